// SPDX-License-Identifier: BSD-2-Clause
// Making qcow2 images and making them larger; see qcow2.h.
// Lock rank: none. Callers: hyp/blk, threads that may sleep.
#pragma once
#include "blk/qcow2.h"

struct qcow2_new {
    uint64_t size; /* of the guest's disk, bytes, whole sectors */
    const char *backing, *backing_format; /* "": none */
};

/* Writes an empty image over whatever is in the file: clusters of 64 KiB, counts of 16 bits. 0; -ENOSPC: the file is too
 * small; -EINVAL; -ENOMEM; -EIO. */
int qcow2_create(struct blk_backend *file, const struct qcow2_new *n) MUST_CHECK;
