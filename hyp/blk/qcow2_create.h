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
/* How large a file must be to hold all of a guest's disk of so many bytes, tables included. */
uint64_t qcow2_full_size(uint64_t size);
/* qcow2_resize.c: makes the guest's disk of an image that is open for writing larger; for the thread that changes tables, while others
 * look them up. 0; -EINVAL and why: not larger, too large; -ENOSPC; -ENOMEM; -EIO: it is as it was. */
int qcow2_resize(struct qcow2 *q, uint64_t size, char *why, size_t why_size) MUST_CHECK;
/* 0, or -EINVAL and why: whether it can become so large, room for tables apart. */
int qcow2_check_size(const struct qcow2 *q, uint64_t size, char *why, size_t why_size) MUST_CHECK;
/* The file has more sectors than it had. */
void qcow2_set_room(struct qcow2 *q);
