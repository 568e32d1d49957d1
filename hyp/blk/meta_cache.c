// SPDX-License-Identifier: BSD-2-Clause
#include "blk/meta_cache.h"

#include <errno.h>
#include <string.h>

#include "base/panic.h"
#include "blk/blk_io.h"
#include "mem/frame.h"
#include "mem/heap.h"

void meta_init(struct meta_cache *c, struct blk_backend *file, struct spinlock *lock,
               uint32_t page_size, unsigned most)
{
    memset(c, 0, sizeof(*c));
    c->file = file;
    c->lock = lock;
    c->page_size = page_size;
    c->most = most;
    list_init(&c->lru);
    for (unsigned i = 0; i < META_HASH; i++)
        list_init(&c->hash[i]);
}

static struct list *bucket(struct meta_cache *c, uint64_t page_at)
{
    return &c->hash[page_at / c->page_size % META_HASH];
}

static struct meta_page *find(struct meta_cache *c, uint64_t at)
{
    uint64_t page_at = align_down(at, c->page_size);

    LIST_FOR_EACH(it, bucket(c, page_at))
    {
        struct meta_page *p = CONTAINER_OF(it, struct meta_page, hash);

        if (p->at == page_at)
            return p;
    }
    return NULL;
}

static void drop(struct meta_cache *c, struct meta_page *p)
{
    c->dirty[p->stage] -= p->dirty;
    c->count--;
    list_remove(&p->hash);
    list_remove(&p->lru);
}

static void free_page(struct meta_page *p)
{
    frame_free_page(p->data);
    heap_free(p);
}

void meta_free(struct meta_cache *c)
{
    LIST_FOR_EACH(it, &c->lru)
    {
        struct meta_page *p = CONTAINER_OF(it, struct meta_page, lru);

        drop(c, p);
        free_page(p);
    }
}

uint64_t meta_memory(const struct meta_cache *c)
{
    return c->count * (heap_takes(sizeof(struct meta_page)) + PAGE_SIZE);
}

const uint8_t *meta_peek(struct meta_cache *c, uint64_t at, uint32_t *left)
{
    struct meta_page *p = find(c, at);
    uint32_t offset = (uint32_t)(at % c->page_size);

    if (!p)
        return NULL;
    c->hits++;
    list_remove(&p->lru);
    list_push_front(&c->lru, &p->lru);
    *left = c->page_size - offset;
    return p->data + offset;
}

/* The page that was used longest ago and need not be written, out of the lists. */
static struct meta_page *take_clean(struct meta_cache *c)
{
    struct meta_page *found = NULL;

    spin_lock(c->lock);
    for (struct list *it = c->lru.prev; it != &c->lru && !found; it = it->prev)
        if (!CONTAINER_OF(it, struct meta_page, lru)->dirty)
            found = CONTAINER_OF(it, struct meta_page, lru);
    if (found)
        drop(c, found);
    spin_unlock(c->lock);
    return found;
}

static int get_page(struct meta_cache *c, struct meta_page **out)
{
    struct meta_page *p;

    if (c->count >= c->most) {
        *out = take_clean(c);
        return *out ? 0 : -EBUSY;
    }
    p = heap_alloc(sizeof(*p));
    if (p)
        p->data = frame_alloc_page();
    if (!p || !p->data) {
        heap_free(p);
        /* Less memory than was promised will do; but a look-up that needs two tables at once must find both. */
        *out = c->count < META_LEAST ? NULL : take_clean(c);
        return *out ? 0 : -ENOMEM;
    }
    list_init(&p->hash);
    list_init(&p->lru);
    *out = p;
    return 0;
}

static int load_page(struct meta_cache *c, uint64_t page_at, enum meta_stage stage,
                     struct meta_page **out)
{
    struct meta_page *p;
    int error = get_page(c, &p);

    if (error)
        return error;
    error = blk_read(c->file, page_at, p->data, c->page_size);
    if (error) {
        free_page(p);
        return error;
    }
    p->at = page_at;
    p->stage = (uint8_t)stage;
    p->dirty = false;
    spin_lock(c->lock);
    c->loads++;
    c->count++;
    list_push_front(bucket(c, page_at), &p->hash);
    list_push_front(&c->lru, &p->lru);
    spin_unlock(c->lock);
    *out = p;
    return 0;
}

int meta_load(struct meta_cache *c, uint64_t at, enum meta_stage stage, const uint8_t **data)
{
    struct meta_page *p = find(c, at); /* only this thread changes the lists */
    int error = 0;

    if (!p)
        error = load_page(c, align_down(at, c->page_size), stage, &p);
    if (error)
        return error;
    if (p->stage != stage)
        return -EIO; /* an image whose tables lie on one another */
    *data = p->data + at % c->page_size;
    return 0;
}

int meta_get64(struct meta_cache *c, uint64_t at, enum meta_stage stage, uint64_t *v)
{
    const uint8_t *p;
    int error = meta_load(c, at, stage, &p);

    if (!error)
        *v = meta_be(p, 8);
    return error;
}

static void set_dirty(struct meta_cache *c, struct meta_page *p, bool dirty)
{
    if (p->dirty != dirty)
        c->dirty[p->stage] += dirty ? 1u : -1u;
    p->dirty = dirty;
}

void meta_store(struct meta_cache *c, uint64_t at, const void *from, uint32_t len)
{
    struct meta_page *p = find(c, at);

    ASSERT(p != NULL);
    spin_lock(c->lock);
    if (p) { /* a checker does not know that panic does not return */
        memcpy(p->data + at % c->page_size, from, len);
        set_dirty(c, p, true);
    }
    spin_unlock(c->lock);
}

void meta_put64(struct meta_cache *c, uint64_t at, uint64_t v)
{
    uint8_t be[8];

    meta_put_be(be, v, sizeof(be));
    meta_store(c, at, be, sizeof(be));
}

static struct meta_page *next_dirty(struct meta_cache *c, enum meta_stage stage)
{
    struct meta_page *found = NULL;

    spin_lock(c->lock); /* others move pages in this list */
    for (struct list *it = c->lru.next; it != &c->lru && !found; it = it->next) {
        struct meta_page *p = CONTAINER_OF(it, struct meta_page, lru);

        if (p->dirty && p->stage == stage) {
            set_dirty(c, p, false);
            found = p;
        }
    }
    spin_unlock(c->lock);
    return found;
}

int meta_write(struct meta_cache *c, enum meta_stage stage)
{
    struct meta_page *p;

    while (c->dirty[stage] && (p = next_dirty(c, stage)) != NULL) {
        int error = blk_write(c->file, p->at, p->data, c->page_size);

        if (error) {
            spin_lock(c->lock);
            set_dirty(c, p, true);
            spin_unlock(c->lock);
            return error;
        }
    }
    return 0;
}

void meta_forget(struct meta_cache *c, uint64_t at, uint64_t len)
{
    for (uint64_t page = align_down(at, c->page_size); page < at + len; page += c->page_size) {
        struct meta_page *p = find(c, page);

        if (!p)
            continue;
        spin_lock(c->lock);
        drop(c, p);
        spin_unlock(c->lock);
        free_page(p);
    }
}
