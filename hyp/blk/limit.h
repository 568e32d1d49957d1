// SPDX-License-Identifier: BSD-2-Clause
// A limit on what goes through a block backend: requests a second, bytes a second.
//
// A request beyond the limit is not taken (-EAGAIN, as by a backend that is full), and a timer says ready when it may be: so
// nothing waits here, and what waits is in the guest's own ring. After a rest a burst is let through: a tenth of a
// second's worth, but at least one request of the largest size. Limits change at any time; without one a request costs a
// look at a flag.
// Lock rank: LOCK_BACKEND, not held while the backend below or the device is called. Callers: vm.
#pragma once
#include "vdev/backend.h"

struct blk_limit {
    uint32_t iops; /* requests a second, up to BLK_LIMIT_IOPS_MAX; 0: no limit */
    uint64_t bytes; /* read and written a second, BLK_LIMIT_BYTES_MIN to below 2^33; 0: no limit */
};
/* With less, the burst after a bucket's rest (net/bucket.h) would be more than the rate allows. */
enum { BLK_LIMIT_BYTES_MIN = 64 * 1024, BLK_LIMIT_IOPS_MAX = 10000000 };

/* A backend over below, which is its from now on: close closes both. NULL: out of memory, and below is as it was. */
struct blk_backend *blk_limit_create(struct blk_backend *below,
                                     const struct blk_limit *limit) MUST_CHECK;
/* Another limit for what blk_limit_create made, from the next request on; what waits is told to try again. From threads, with
 * no lock held; the VM that it belongs to is not destroyed meanwhile. */
void blk_limit_set(struct blk_backend *limited, const struct blk_limit *limit);
