// SPDX-License-Identifier: BSD-2-Clause
// Long runs of memory, for bundles: allocated for one that is sent over the wire, or taken over from what boot reserved
// around the one that the firmware loaded.
#include "mem/frame_db.h"

#include <errno.h>

/* The first n free blocks in a row of a zone, or NULL. */
static struct block *find_run(const struct zone *z, uint64_t n)
{
    uint64_t blocks = (z->end - z->start) >> BLOCK_SHIFT, run = 0;
    struct block *first = &frame_db.blocks[z->first];

    for (uint64_t i = 0; i < blocks && run < n; i++) {
        run = frame_db_all_free(&first[i], 1) ? run + 1 : 0;
        if (run == n)
            return &first[i + 1 - n];
    }
    return NULL;
}

int frame_alloc_run(uint64_t blocks, enum frame_state state, uint16_t owner, pa_t *out)
{
    struct block *b = NULL;

    if (!blocks || state <= FRAME_FREE || state >= FRAME_RESERVED)
        return -EINVAL;
    spin_lock(&frame_db.lock);
    for (unsigned i = 0; i < frame_db.zone_count && !b; i++)
        b = find_run(&frame_db.zones[i], blocks);
    if (b) {
        frame_db_take_blocks(b, (uint32_t)blocks, FRAME_ORDER_2M, state, owner);
        *out = pa(frame_db_pa(b));
    }
    spin_unlock(&frame_db.lock);
    return b ? 0 : -ENOMEM;
}

/* The part [start, end) of block b. */
static int adopt_in_block(struct block *b, uint64_t start, uint64_t end, enum frame_state state)
{
    struct frame like = {.state = FRAME_RESERVED};
    pa_t page;

    if (!b->frames) {
        if (b->state != FRAME_RESERVED)
            return 0;
        if (end - start == BLOCK_SIZE) {
            b->state = (uint8_t)state;
            b->owner = OWNER_HYP;
            b->order = FRAME_ORDER_2M;
            b->pins = 0;
            b->refs = 1;
            return 0;
        }
        if (frame_db_alloc_one(FRAME_HYP, OWNER_HYP, &page))
            return -ENOMEM;
        frame_db_split_into(b, page, like);
    }
    for (uint64_t p = start; p < end; p += PAGE_SIZE) {
        struct frame *f = frame_db_frame(b, p);

        if (f->state == FRAME_RESERVED)
            *f = (struct frame){.state = state, .owner = OWNER_HYP, .refs = 1};
    }
    return 0;
}

/* What of [start, end) is RAM of the bank. */
static int adopt_in_bank(struct run bank, uint64_t start, uint64_t end, enum frame_state state)
{
    int r = 0;

    start = max_u64(start, bank.start);
    end = min_u64(end, bank.end);
    for (uint64_t p = start, next; p < end && !r; p = next) {
        next = min_u64(end, align_down(p, BLOCK_SIZE) + BLOCK_SIZE);
        r = adopt_in_block(frame_db_block(p), p, next, state);
    }
    return r;
}

int frame_adopt(pa_t p, uint64_t size, enum frame_state state)
{
    uint64_t start = align_up(p.v, PAGE_SIZE), end;
    int r = 0;

    if (state <= FRAME_FREE || state >= FRAME_RESERVED || p.v > PA_END || size > PA_END - p.v)
        return -EINVAL;
    end = align_down(p.v + size, PAGE_SIZE);
    spin_lock(&frame_db.lock);
    for (unsigned i = 0; i < frame_db.bank_count && !r; i++)
        r = adopt_in_bank(frame_db.banks[i], start, end, state);
    spin_unlock(&frame_db.lock);
    return r;
}
