// SPDX-License-Identifier: BSD-2-Clause
// A disk in memory behind struct blk_backend, all of whose requests end within submit, and which remembers what was
// written and flushed, so that a test can cut its power: fake_disk_cut makes what the medium may hold then.
// Link: tests/fake/fake_disk.c tests/fake/fake_base.c hyp/blk/blk_io.c
#pragma once
#include <stdio.h>

#include "vdev/backend.h"

struct fake_disk_op {
    bool flush;
    uint64_t at;
    uint32_t len;
    uint8_t *data;
};
struct fake_disk {
    struct blk_backend blk;
    uint8_t *data;
    size_t size;
    bool keep_log;
    struct fake_disk_op *log;
    unsigned logged, room;
    unsigned reads, writes, flushes, discards;
    unsigned
        fail_after; /* not 0: so many more writes and flushes succeed, less one; then all requests fail, or one */
    bool failing, fail_once;
    bool async; /* requests wait for fake_disk_complete */
    struct blk_request *queue[64];
    unsigned queued;
};

extern int fake_heap_left; /* allocations that succeed; -1: all */
extern int fake_heap_blocks; /* that are not freed yet */

void fake_disk_init(struct fake_disk *d, size_t size);
/* For blk.grow, of a test that set blk.sectors to fewer than there are. */
int fake_disk_grow(void *ctx, struct blk_growth *g);
void fake_disk_free(struct fake_disk *d);
void fake_disk_load(struct fake_disk *d, const char *path); /* at its beginning */
void fake_disk_save(const struct fake_disk *d, const char *path);
void fake_disk_start_log(struct fake_disk *d); /* forgets what was logged */
/* The medium when the power went after the first n operations of the log, applied to from (what it held when the log began):
 * all before the last flush among them, and of those since then each in the set of choices (bit i mod 64). */
void fake_disk_cut(const struct fake_disk *d, const uint8_t *from, unsigned n, uint64_t choices,
                   uint8_t *medium);
void fake_disk_complete(struct fake_disk *d, unsigned which);
/* Runs a command of the shell; its exit status. */
int fake_disk_run(const char *fmt, ...) PRINTF_LIKE(1, 2);
