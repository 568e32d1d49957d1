// SPDX-License-Identifier: BSD-2-Clause
// Between image.c (opening and closing), image_request.c (what is carried on at once), image_work.c (the worker) and image_grow.c
// (a larger disk).
// Lock rank: see image.h. Callers: those only.
#pragma once
#include "base/log.h"
#include "blk/blk_io.h"
#include "blk/image.h"
#include "sched/thread.h"

enum {
    IMAGE_DEPTH = 16, /* requests in flight */
    IMAGE_CACHE_TOP = 256, /* pages of tables: 1 MiB, which maps 8 GiB in clusters of 64 KiB */
    IMAGE_CACHE_BELOW = 64, /* of each image behind */
};

struct image;
struct image_request {
    struct image *image;
    struct blk_request *r; /* the requester's; NULL: free */
    uint64_t at, end; /* bytes of the guest's disk that are left */
    struct blk_request part; /* the run that a file has */
    _Atomic uint32_t state; /* enum part_state: no byte, exchanging one needs libatomic */
    struct image_request *next; /* in the worker's queue */
    struct blk_batch *batch; /* of the part that has just ended */
    bool more; /* a commit comes: only while it is being submitted */
    struct blk_segment seg[BLK_SEGMENTS]; /* of the part */
};

struct image_layer {
    struct blk_backend *file;
    bool is_qcow2;
    struct qcow2 q;
    uint64_t size; /* bytes: zeros behind */
};

/* Somebody waits for the image to become larger. */
struct image_growth {
    struct blk_growth *g;
    struct blk_waited waited; /* said done at its end */
};

struct image {
    struct blk_backend blk;
    char name[QCOW2_NAME];
    struct image_layer *layer[IMAGE_LAYERS]; /* the first is written */
    unsigned layers;
    struct spinlock lock; /* tables in memory, and what follows */
    struct image_request *request[IMAGE_DEPTH];
    struct image_request *first, *last; /* for the worker */
    struct image_growth *growth; /* for the worker, or NULL */
    unsigned direct; /* runs that files have, from whoever */
    bool hold; /* no new ones: the worker waits for their end */
    bool full; /* somebody was told -EAGAIN */
    bool closing;
    _Atomic unsigned ended; /* the worker has */
    struct thread *worker;
    struct log_limit errors;
};

/* The bytes [offset, offset+len) of a list of segments, as a list of at most BLK_SEGMENTS. */
unsigned image_slice(const struct blk_request *r, uint64_t offset, uint64_t len,
                     struct blk_segment *to);
/* Carries a request on as far as it goes without waiting: it has ended, a file has it, or the worker's queue. */
void image_go(struct image_request *q);
/* Ends it, and says so in the log when it failed. No lock held. */
void image_end(struct image_request *q, int result);
void image_queue(struct image_request *q);
int image_submit(void *ctx, struct blk_request *r);
void image_commit(void *ctx, unsigned wanted);
/* What layer `from` and those behind it have at [at, at+len): the layer that has it and the run; with the lock held. kind HOLE:
 * none has it. */
int image_map(struct image *m, unsigned from, uint64_t at, uint64_t len, struct image_layer **layer,
              struct qcow2_run *run) MUST_CHECK;

/* image_work.c: the thread; reading behind the first layer, and waiting for runs in flight, for qcow2_write. */
void image_worker(void *image);
int image_read_below(void *image, uint64_t at, void *to, size_t len);
void image_quiesce(void *image);

/* image_grow.c: as blk_backend says; and the worker's part of it. */
int image_grow(void *ctx, struct blk_growth *g);
void image_work_growth(struct image *m, struct image_growth *w);
