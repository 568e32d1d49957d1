// SPDX-License-Identifier: BSD-2-Clause
// Reading compressed clusters: deflate without a header (RFC 1951), with a window of 4 KiB, by the library zlib.
//
// What a cluster holds stays in memory until another one is read, since guests ask for parts of clusters. Memory is taken
// at the first compressed cluster, and no more later: the cluster, a piece of what is stored, and what zlib keeps.
// Invariants: clusters are never written compressed, so what was stored at a place stays what it is.
// Lock rank: none. Callers: the image's worker only.
#pragma once
#include "blk/qcow2.h"

struct qcow2_inflate;

/* The contents of the cluster that run (of kind QCOW2_COMPRESSED) is in: qcow2_cluster(q) bytes, valid until the next call.
 * -ENOMEM; -EIO, also when they are damaged. */
int qcow2_read_compressed(struct qcow2 *q, const struct qcow2_run *run,
                          const uint8_t **cluster) MUST_CHECK;
uint64_t qcow2_inflate_memory(const struct qcow2 *q); /* bytes that it has taken; any thread */
void qcow2_inflate_free(struct qcow2_inflate *z); /* NULL is fine */
