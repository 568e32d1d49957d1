// SPDX-License-Identifier: BSD-2-Clause
// The metadata of an image in memory: a bounded number of pages of its file, written back in stages.
//
// Stages are what makes an image whole at every moment: pages of one stage are written before those of the
// next, with a flush between (qcow2_flush). Numbers in pages are big endian, as qcow2 has them.
// Invariants: at most as many pages as were said; a dirty page is not dropped. One thread, the image's worker, loads, changes and
// writes; all others only look, with the lock held, and what they were shown is theirs until they let go of it.
// Lock rank: the owner's lock (LOCK_BACKEND), which this takes itself but in meta_peek. Callers: qcow2*.c.
#pragma once
#include "base/list.h"
#include "base/spinlock.h"
#include "vdev/backend.h"

enum meta_stage { META_REFCOUNTS, META_REFCOUNT_TABLE, META_MAPS, META_STAGES };

enum { META_HASH = 64, META_LEAST = 4 };

struct meta_page {
    struct list hash, lru; /* lru: the front was used last */
    uint64_t at; /* in the file */
    uint8_t *data; /* a frame */
    uint8_t stage;
    bool dirty;
};

struct meta_cache {
    struct blk_backend *file;
    struct spinlock *lock;
    uint32_t page_size; /* at most 4096 */
    unsigned most, count;
    unsigned dirty[META_STAGES];
    uint64_t hits, loads; /* for people */
    struct list lru, hash[META_HASH];
};

void meta_init(struct meta_cache *c, struct blk_backend *file, struct spinlock *lock,
               uint32_t page_size, unsigned most);
void meta_free(struct meta_cache *c); /* what is dirty is lost */
uint64_t meta_memory(const struct meta_cache *c); /* bytes that its pages take */

/* The bytes from at to the end of their page, *left of them; NULL: not here. With the lock held; valid until it is let go. */
const uint8_t *meta_peek(struct meta_cache *c, uint64_t at, uint32_t *left);

/* For the worker only, no lock held. The pointer is valid until its next call. -EIO and what the file says; -ENOMEM;
 * -EBUSY: all pages are dirty. */
int meta_load(struct meta_cache *c, uint64_t at, enum meta_stage stage,
              const uint8_t **p) MUST_CHECK;
int meta_get64(struct meta_cache *c, uint64_t at, enum meta_stage stage, uint64_t *v) MUST_CHECK;
/* Changes bytes of a page that is here (the worker has just loaded it). */
void meta_store(struct meta_cache *c, uint64_t at, const void *from, uint32_t len);
void meta_put64(struct meta_cache *c, uint64_t at, uint64_t v);
/* Writes the dirty pages of a stage. On error what was not written stays dirty. */
int meta_write(struct meta_cache *c, enum meta_stage stage) MUST_CHECK;
/* Forgets a range of pages: the file was written there by other means. */
void meta_forget(struct meta_cache *c, uint64_t at, uint64_t len);
static inline unsigned meta_dirty(const struct meta_cache *c)
{
    return c->dirty[META_REFCOUNTS] + c->dirty[META_REFCOUNT_TABLE] + c->dirty[META_MAPS];
}

static inline uint64_t meta_be(const uint8_t *p, unsigned bytes)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < bytes; i++)
        v = v << 8 | p[i];
    return v;
}
static inline void meta_put_be(uint8_t *p, uint64_t v, unsigned bytes)
{
    while (bytes--) {
        p[bytes] = (uint8_t)v;
        v >>= 8;
    }
}
