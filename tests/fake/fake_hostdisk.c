// SPDX-License-Identifier: BSD-2-Clause
#include "fake_hostdisk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "mem/frame.h"

struct hostdev *hostdisk;
struct blk_backend *hostdisk_backend;
char *hostdisk_page;
unsigned hostdisk_done_count, hostdisk_ready_count;
unsigned fake_highest_lock(void);

void hostdisk_done(struct blk_request *r)
{
    assert_int_equal(fake_highest_lock(), 0);
    r->owner = r; /* marks it done */
    hostdisk_done_count++;
}

void hostdisk_ready(void *dev)
{
    (void)dev;
    assert_int_equal(fake_highest_lock(), 0);
    hostdisk_ready_count++;
}

struct blk_request hostdisk_request(enum blk_op op, uint64_t sector, uint64_t sectors,
                                    struct blk_segment *seg, unsigned count)
{
    return (struct blk_request){.op = op,
                                .sector = sector,
                                .sectors = sectors,
                                .seg = seg,
                                .seg_count = count,
                                .done = hostdisk_done,
                                .result = 77};
}

int hostdisk_run(struct hostdev *d, struct blk_backend *b, struct blk_request *r)
{
    assert_int_equal(b->submit(b->ctx, r), 0);
    if (d->used_idx && !r->owner)
        hostdev_interrupt(d);
    assert_ptr_equal(r->owner, r);
    return r->result;
}

void hostdisk_open(void)
{
    hostdisk_backend = host_disk_open(0, false);
    assert_non_null(hostdisk_backend);
    hostdisk_backend->ready = hostdisk_ready;
}

int hostdisk_setup(void **state)
{
    (void)state;
    hostdev_start();
    hostdisk_page = frame_alloc_page();
    hostdisk = hostdev_disk();
    hostdev_attach(hostdisk);
    assert_int_equal(host_disk_count(), 1);
    hostdisk_open();
    return 0;
}
