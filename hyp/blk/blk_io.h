// SPDX-License-Identifier: BSD-2-Clause
// Requests to a block backend that the caller waits for: tables of partitions and of images.
//
// The caller is a thread that may sleep, with no lock held; never a vCPU. Memory is in the direct map (heap or frames,
// not a thread's stack). Offsets and lengths are bytes, multiples of the backend's block size, or of 512 where it has none.
// Errors are the backend's: -EIO, -ENOTSUP, -ENOSPC, -EACCES.
// Lock rank: none. Callers: hyp/blk.
#pragma once
#include "vdev/backend.h"

enum { BLK_SECTOR = 512 };

struct blk_waited {
    struct blk_request r;
    struct thread *thread; /* blk_wait_begin's own, as r.done */
    _Atomic unsigned done; /* no bool: its exchange needs libatomic */
};

/* In two halves: between them w->r goes to somebody who sets its result and calls its done; then blk_wait returns the result. */
void blk_wait_begin(struct blk_waited *w);
int blk_wait(struct blk_waited *w) MUST_CHECK;
/* Submits w->r and waits for its end: its result. */
int blk_do(struct blk_backend *b, struct blk_waited *w) MUST_CHECK;
int blk_read(struct blk_backend *b, uint64_t at, void *to, size_t len) MUST_CHECK;
int blk_write(struct blk_backend *b, uint64_t at, const void *from, size_t len) MUST_CHECK;
/* What was written before is on the medium afterwards. 0 at once where the backend has no cache to flush. */
int blk_flush(struct blk_backend *b) MUST_CHECK;
/* Makes [at, at+len) read as zeros, by the backend's own means or by writing. -ENOMEM. */
int blk_zero(struct blk_backend *b, uint64_t at, uint64_t len) MUST_CHECK;
/* The contents of [at, at+len) are no longer needed: a hint, whose failure is nobody's. */
void blk_discard(struct blk_backend *b, uint64_t at, uint64_t len);
