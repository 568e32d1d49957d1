// SPDX-License-Identifier: BSD-2-Clause
// A disk of the host that is open, and requests to it. Link: tests/fake/hostdev.units.
#pragma once
#include "fake_hostdev.h"

extern struct hostdev *hostdisk; /* the one that most tests use: disk 0 */
extern struct blk_backend *hostdisk_backend; /* its only opener, with hostdisk_ready */
extern char *hostdisk_page;
extern unsigned hostdisk_done_count, hostdisk_ready_count;

/* Before all tests. */
int hostdisk_setup(void **state);
/* Opens it again, to be written, when nobody has it. */
void hostdisk_open(void);
/* A request whose result is 77 until it is done; hostdisk_done then makes it its own owner. */
struct blk_request hostdisk_request(enum blk_op op, uint64_t sector, uint64_t sectors,
                                    struct blk_segment *seg, unsigned count);
/* Submits it, and interrupts for it; its result. */
int hostdisk_run(struct hostdev *d, struct blk_backend *b, struct blk_request *r);
void hostdisk_done(struct blk_request *r);
void hostdisk_ready(void *dev);
