// SPDX-License-Identifier: BSD-2-Clause
// Small objects share a page (a slab) that begins with its header, so no object is page-aligned;
// what is larger than half a page has whole frames, so it is page-aligned: heap_free tells them
// apart by that.
#include "mem/heap.h"

#include <string.h>

#include "base/arch.h"
#include "base/list.h"
#include "base/panic.h"
#include "base/spinlock.h"
#include "mem/frame.h"

struct slab {
    struct list link; /* in slabs[class] while it has room */
    void *free;       /* objects given back, chained by their first word */
    uint16_t class, used;
    uint32_t fresh; /* offset of the first object never used */
};
_Static_assert(sizeof(struct slab) == 32, "room for 127 objects of 32 bytes");

enum { CLASSES = ARRAY_LEN(heap_class_size) };

/* Allocations of several frames: how many there are must be known to free them. */
struct large {
    struct list link;
    void *start;
    uint32_t pages;
};
_Static_assert(sizeof(struct large) == HEAP_NOTE, "heap_takes");

static struct spinlock lock = SPINLOCK_INIT(LOCK_FRAME); /* never held while calling frame.c */
static struct list slabs[CLASSES];
static struct list larges = LIST_INIT(larges);
static size_t held; /* bytes */

static void *slab_take(struct slab *s)
{
    void *p = s->free;

    if (p) {
        memcpy(&s->free, p, sizeof(s->free));
    } else {
        p = (char *)s + s->fresh;
        s->fresh += heap_class_size[s->class];
    }
    s->used++;
    if (!s->free && s->fresh + heap_class_size[s->class] > PAGE_SIZE)
        list_remove(&s->link);
    return p;
}

static void *small_alloc(unsigned class)
{
    void *p = NULL;

    spin_lock(&lock);
    if (!slabs[class].next)
        list_init(&slabs[class]);
    if (!list_empty(&slabs[class]))
        p = slab_take(CONTAINER_OF(slabs[class].next, struct slab, link));
    spin_unlock(&lock);
    if (!p) {
        struct slab *s = frame_alloc_page();

        if (!s)
            return NULL;
        s->class = (uint16_t)class;
        s->fresh = sizeof(*s);
        spin_lock(&lock);
        held += PAGE_SIZE;
        list_push_front(&slabs[class], &s->link);
        p = slab_take(s);
        spin_unlock(&lock);
    }
    memset(p, 0, heap_class_size[class]);
    return p;
}

static void small_free(void *p)
{
    struct slab *s = (struct slab *)align_down((uintptr_t)p, PAGE_SIZE);
    bool empty;

    spin_lock(&lock);
    ASSERT(s->class < CLASSES && s->used &&
           ((uintptr_t)p - (uintptr_t)s - sizeof(*s)) % heap_class_size[s->class] == 0);
    if (list_empty(&s->link))
        list_push_front(&slabs[s->class], &s->link);
    memcpy(p, &s->free, sizeof(s->free));
    s->free = p;
    empty = --s->used == 0;
    if (empty) {
        list_remove(&s->link);
        held -= PAGE_SIZE;
    }
    spin_unlock(&lock);
    if (empty)
        frame_free_page(s);
}

static void large_put(void *start, uint32_t pages)
{
    if (pages >= 1u << FRAME_ORDER_2M)
        frame_put(hva_to_pa(start));
    else
        frame_put_range(hva_to_pa(start), pages * PAGE_SIZE);
}

static void *large_alloc(size_t size)
{
    unsigned order = 0;
    uint32_t pages;
    struct large *l = NULL;
    pa_t p;

    while (PAGE_SIZE << order < size) {
        if (++order > FRAME_ORDER_1G)
            return NULL;
    }
    if (order) {
        l = heap_alloc(sizeof(*l));
        if (!l)
            return NULL;
    }
    if (frame_alloc(order, FRAME_HYP, OWNER_HYP, &p)) {
        heap_free(l);
        return NULL;
    }
    pages = 1u << order;
    if (order < FRAME_ORDER_2M) { /* what the power of two gave too much */
        pages = (uint32_t)((size + PAGE_MASK) >> PAGE_SHIFT);
        frame_put_range(pa_add(p, pages * PAGE_SIZE), ((1ul << order) - pages) * PAGE_SIZE);
    }
    arch_zero_page_run(pa_to_hva(p), pages * PAGE_SIZE);
    spin_lock(&lock);
    held += pages * PAGE_SIZE;
    if (l) {
        l->start = pa_to_hva(p);
        l->pages = pages;
        list_push_front(&larges, &l->link);
    }
    spin_unlock(&lock);
    return pa_to_hva(p);
}

static void large_free(void *start)
{
    struct large *l = NULL;
    uint32_t pages = 1;

    spin_lock(&lock);
    LIST_FOR_EACH(it, &larges)
    {
        if (CONTAINER_OF(it, struct large, link)->start == start) {
            l = CONTAINER_OF(it, struct large, link);
            pages = l->pages;
            list_remove(it);
            break;
        }
    }
    held -= pages * PAGE_SIZE;
    spin_unlock(&lock);
    heap_free(l);
    large_put(start, pages);
}

void *heap_alloc(size_t size)
{
    unsigned class = 0;

    if (size > HEAP_SMALL_MAX)
        return large_alloc(size);
    while (heap_class_size[class] < size)
        class ++;
    return small_alloc(class);
}

void heap_free(void *p)
{
    if (!p)
        return;
    if (is_aligned((uintptr_t)p, PAGE_SIZE))
        large_free(p);
    else
        small_free(p);
}

size_t heap_bytes(void) { return held; }
