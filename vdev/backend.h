// SPDX-License-Identifier: BSD-2-Clause
// What stands behind devices: character streams, block storage, entropy, clocks for people. The
// device side is in vdev/, the providing side in hyp/ (drivers, console multiplexer, RAM disks).
// Lock rank: the provider's own is LOCK_BACKEND; callbacks to the device (ready, done) are made
// with no lock held, on any hart, and take the device's lock.
#pragma once
#include "base/state.h"
#include "base/util.h"

/* A character stream, such as a console. Never blocks. */
struct chr_backend {
    /* Bytes taken: all, or fewer when the buffer is full and is being drained, or when it has taken long
     * enough: the guest's access is then tried again (MMIO_RETRY). A stream that nobody drains takes all and drops the oldest. */
    size_t (*write)(void *ctx, const char *data, size_t len);
    size_t (*read)(void *ctx, char *to, size_t max); /* bytes waiting, up to max */
    void (*size)(void *ctx, uint16_t *columns, uint16_t *rows);
    void *ctx;
    /* Set by the device: input waits to be read, or the size has changed. */
    void (*ready)(void *device);
    /* Set by a device that has such a thing: a break on the line, after what it has read. False: no room. */
    bool (*line_break)(void *device);
    void *device;
};

enum blk_op { BLK_READ, BLK_WRITE, BLK_FLUSH, BLK_DISCARD, BLK_WRITE_ZEROES };
enum { BLK_SEGMENTS = 128 };
struct blk_segment {
    void *hva;
    uint32_t len;
}; /* in the direct map, pinned by the requester */
struct blk_request {
    enum blk_op op;
    uint64_t sector; /* 512 bytes each */
    uint64_t sectors; /* of the whole request, for discard and write-zeroes too */
    bool unmap; /* write zeroes may deallocate */
    struct blk_segment *seg; /* read and write: total length = sectors * 512; not to be changed */
    unsigned seg_count;
    int result; /* 0, -EIO, -ENOTSUP, -ENOSPC, -EACCES: set before done */
    /* Once for each request taken. May be called before submit returns (on any hart): it then takes
     * no lock. After submit has returned, call it with no lock held. */
    void (*done)(struct blk_request *r);
    void *owner;
    struct blk_request *next; /* for the provider's queue */
};
struct blk_backend {
    /* Takes the request (0) or says -EAGAIN (full: tried again after ready()), never fails otherwise:
     * other errors come through done. */
    int (*submit)(void *ctx, struct blk_request *r);
    void (*close)(void *ctx);
    void *ctx;
    uint64_t sectors; /* capacity */
    uint32_t block_size; /* bytes, >= 512 */
    bool read_only, can_discard, can_write_zeroes, can_flush;
    unsigned depth; /* requests worth having in flight; 1: all end within submit; 0: not known */
    /* Optional: contents that live only in memory, as part of the VM's state. */
    void (*save)(void *ctx, struct state_writer *w);
    int (*load)(void *ctx, struct state_reader *r);
    char serial[21];
    void (*ready)(void *device); /* set by the device: the provider takes requests again */
    void *device;
};

/* Fills to with len random bytes from the host's source: always all. hyp/drv/entropy.c */
struct entropy_backend {
    void (*fill)(void *ctx, void *to, size_t len);
    void *ctx;
};
