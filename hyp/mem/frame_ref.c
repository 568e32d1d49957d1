// SPDX-License-Identifier: BSD-2-Clause
// References and pins: one operation for each allocation in a range.
#include "mem/frame_db.h"

#include <errno.h>

enum change { GET, PUT, PIN, UNPIN };

static bool change_whole(struct block *b, enum change what, uint32_t pages)
{
    switch (what) {
    case GET:
        ASSERT(b->refs && b->refs < MAX_REFS);
        b->refs++;
        break;
    case PUT:
        ASSERT(b->refs);
        b->refs--;
        break;
    case PIN:
        if (b->pins > UINT32_MAX - pages)
            return false;
        b->pins += pages;
        break;
    case UNPIN:
        ASSERT(b->pins >= pages);
        b->pins -= pages;
        break;
    }
    if (!b->refs && !b->pins)
        frame_db_release_whole(b);
    return true;
}

/* The last pin from before the split has gone: frees what waited for it. */
static void sweep(struct block *b)
{
    for (unsigned i = 0; i < FRAMES && b->frames; i++) {
        struct frame *f = &b->frames[i];

        if (f->state != FRAME_FREE && f->state != FRAME_RESERVED && !f->refs && !f->pins)
            frame_db_release(b, i);
    }
}

static bool change_frame(struct block *b, struct frame *f, enum change what)
{
    switch (what) {
    case GET:
        ASSERT(f->refs && f->refs < MAX_REFS);
        f->refs++;
        break;
    case PUT:
        ASSERT(f->refs);
        f->refs--;
        break;
    case PIN:
        if (f->pins == MAX_PINS)
            return false;
        f->pins++;
        break;
    case UNPIN:
        if (f->pins) {
            f->pins--;
        } else {
            ASSERT(b->pins);
            if (!--b->pins)
                sweep(b);
            return true;
        }
        break;
    }
    if (!f->refs && !f->pins && !b->pins)
        frame_db_release(b, (unsigned)(f - b->frames));
    return true;
}

/* Applies what to each allocation of [p, end); returns where it stopped, end when all is done. */
static uint64_t change_range(uint64_t p, uint64_t end, enum change what)
{
    while (p < end) {
        struct block *b = frame_db_block(p);
        uint64_t next = min_u64(end, align_down(p, BLOCK_SIZE) + BLOCK_SIZE);
        bool refs = what == GET || what == PUT;

        if (!b || (!b->frames && b->state == FRAME_RESERVED)) {
            if (!refs)
                return p;
        } else if (b->frames) {
            struct frame *f = frame_db_frame(b, p);

            next = p + PAGE_SIZE;
            if (f->state == FRAME_RESERVED) {
                if (!refs)
                    return p;
            } else {
                if (f->state == FRAME_FREE && what == PIN)
                    return p;
                ASSERT(f->state != FRAME_FREE);
                if (!change_frame(b, f, what))
                    return p;
            }
        } else {
            uint64_t whole = PAGE_SIZE << b->order;

            if (b->state == FRAME_FREE && what == PIN)
                return p;
            ASSERT(b->state != FRAME_FREE);
            if (refs) {
                ASSERT(is_aligned(p, whole) && end - p >= whole);
                next = p + whole;
            }
            if (!change_whole(frame_db_head(b, p), what, (uint32_t)((next - p) >> PAGE_SHIFT)))
                return p;
        }
        p = next;
    }
    return end;
}

static void locked_range(pa_t p, uint64_t size, enum change what)
{
    ASSERT(is_aligned(p.v | size, PAGE_SIZE));
    spin_lock(&frame_db.lock);
    ASSERT(change_range(p.v, p.v + size, what) == p.v + size);
    spin_unlock(&frame_db.lock);
}

void frame_get_range(pa_t p, uint64_t size) { locked_range(p, size, GET); }
void frame_put_range(pa_t p, uint64_t size) { locked_range(p, size, PUT); }
void frame_unpin_range(pa_t p, uint64_t size) { locked_range(p, size, UNPIN); }

int frame_pin_range(pa_t p, uint64_t size)
{
    uint64_t end = p.v + size, stopped;
    int r = 0;

    ASSERT(is_aligned(p.v | size, PAGE_SIZE));
    spin_lock(&frame_db.lock);
    stopped = change_range(p.v, end, PIN);
    if (stopped < end) {
        struct block *b = frame_db_block(stopped);
        unsigned state = !b          ? FRAME_RESERVED
                         : b->frames ? frame_db_frame(b, stopped)->state
                                     : b->state;

        r = state == FRAME_FREE || state == FRAME_RESERVED ? -EINVAL : -ENOMEM;
        change_range(p.v, stopped, UNPIN);
    }
    spin_unlock(&frame_db.lock);
    return r;
}

/* For one allocation, wherever p is in it. */
static struct run around(uint64_t p)
{
    struct block *b = frame_db_block(p);
    uint64_t size = b && !b->frames ? PAGE_SIZE << b->order : PAGE_SIZE;

    return (struct run){align_down(p, size), align_down(p, size) + size};
}

static void locked_one(pa_t p, enum change what)
{
    struct run r;

    spin_lock(&frame_db.lock);
    r = around(p.v);
    change_range(r.start, r.end, what);
    spin_unlock(&frame_db.lock);
}

void frame_get(pa_t p) { locked_one(p, GET); }
void frame_put(pa_t p) { locked_one(p, PUT); }
int frame_pin(pa_t p) { return frame_pin_range(pa(align_down(p.v, PAGE_SIZE)), PAGE_SIZE); }
void frame_unpin(pa_t p) { frame_unpin_range(pa(align_down(p.v, PAGE_SIZE)), PAGE_SIZE); }
