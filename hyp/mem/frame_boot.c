// SPDX-License-Identifier: BSD-2-Clause
// The frame database from the banks of RAM and what is reserved in them.
#include "mem/frame_db.h"

#include <errno.h>

enum { RESERVE_LEAST = 256, RESERVE_MOST = 16384 };

void frame_reset(void)
{
    frame_db = (struct frame_db){.lock = SPINLOCK_INIT(LOCK_FRAME),
                                 .free_blocks = {NO_BLOCK, 0},
                                 .partial_blocks = {NO_BLOCK, 0}};
}

bool frame_is_ram(pa_t p)
{
    for (unsigned i = 0; i < frame_db.bank_count; i++) {
        if (p.v - frame_db.banks[i].start < frame_db.banks[i].end - frame_db.banks[i].start)
            return true;
    }
    return false;
}

int frame_add_bank(pa_t base, uint64_t size)
{
    struct run r = {align_up(base.v, PAGE_SIZE), align_down(base.v + size, PAGE_SIZE)};
    unsigned i;

    if (frame_db.blocks || base.v > PA_END || size > PA_END - base.v)
        return -EINVAL;
    if (r.start >= r.end)
        return 0;
    /* Joins all that it touches. */
    for (i = 0; i < frame_db.bank_count;) {
        if (r.end < frame_db.banks[i].start || r.start > frame_db.banks[i].end) {
            i++;
            continue;
        }
        r.start = min_u64(r.start, frame_db.banks[i].start);
        r.end = max_u64(r.end, frame_db.banks[i].end);
        for (unsigned k = i; k + 1 < frame_db.bank_count; k++)
            frame_db.banks[k] = frame_db.banks[k + 1];
        frame_db.bank_count--;
    }
    if (frame_db.bank_count == MAX_BANKS)
        return -ENOSPC;
    for (i = frame_db.bank_count++; i && frame_db.banks[i - 1].start > r.start; i--)
        frame_db.banks[i] = frame_db.banks[i - 1];
    frame_db.banks[i] = r;
    return 0;
}

void frame_reserve(pa_t base, uint64_t size)
{
    struct run r = {align_down(base.v, PAGE_SIZE),
                    size > PA_END || base.v > PA_END ? PA_END : align_up(base.v + size, PAGE_SIZE)};

    if (!size || r.start >= r.end)
        return;
    for (unsigned i = 0; i < frame_db.reserved_count; i++) {
        if (r.end >= frame_db.reserved[i].start && r.start <= frame_db.reserved[i].end) {
            frame_db.reserved[i].start = min_u64(r.start, frame_db.reserved[i].start);
            frame_db.reserved[i].end = max_u64(r.end, frame_db.reserved[i].end);
            return;
        }
    }
    if (frame_db.reserved_count == MAX_RESERVED)
        frame_db.reserved_overflow = true;
    else
        frame_db.reserved[frame_db.reserved_count++] = r;
}

/* The next run at or after *from, within [.., end), that no reservation covers. */
static bool next_unreserved(uint64_t from, uint64_t end, struct run *r)
{
    for (unsigned i = 0; i < frame_db.reserved_count;) {
        if (from - frame_db.reserved[i].start <
            frame_db.reserved[i].end - frame_db.reserved[i].start) {
            from = frame_db.reserved[i].end;
            i = 0;
        } else {
            i++;
        }
    }
    if (from >= end)
        return false;
    *r = (struct run){from, end};
    for (unsigned i = 0; i < frame_db.reserved_count; i++) {
        if (frame_db.reserved[i].start > from)
            r->end = min_u64(r->end, frame_db.reserved[i].start);
    }
    return true;
}

static void make_zones(void)
{
    for (unsigned i = 0; i < frame_db.bank_count; i++) {
        uint64_t start = align_down(frame_db.banks[i].start, BLOCK_SIZE);
        uint64_t end = align_up(frame_db.banks[i].end, BLOCK_SIZE);

        frame_db.ram_frames += (frame_db.banks[i].end - frame_db.banks[i].start) >> PAGE_SHIFT;
        if (frame_db.zone_count &&
            start <= frame_db.zones[frame_db.zone_count - 1].end) { /* banks may share a block */
            frame_db.block_count +=
                (uint32_t)((end - frame_db.zones[frame_db.zone_count - 1].end) >> BLOCK_SHIFT);
            frame_db.zones[frame_db.zone_count - 1].end = end;
        } else {
            frame_db.zones[frame_db.zone_count++] = (struct zone){start, end, frame_db.block_count};
            frame_db.block_count += (uint32_t)((end - start) >> BLOCK_SHIFT);
        }
    }
}

/* Frees the reserved frames of [start, end), all in block b. */
static void free_reserved(struct block *b, uint64_t start, uint64_t end)
{
    if (!b->frames) {
        if (b->state != FRAME_RESERVED)
            return;
        if (end - start == BLOCK_SIZE) {
            b->state = FRAME_FREE;
            frame_db_push(&frame_db.free_blocks, b);
            frame_db.free_frames += FRAMES;
            return;
        }
        frame_db_split_into(b, pa(start), (struct frame){.state = FRAME_RESERVED});
        start += PAGE_SIZE;
    }
    /* Downwards, so that they are handed out upwards. */
    while (b->frames && end > start) {
        end -= PAGE_SIZE;
        if (frame_db_frame(b, end)->state == FRAME_RESERVED)
            frame_db_release(b, end >> PAGE_SHIFT & (FRAMES - 1));
    }
}

static void free_run(uint64_t start, uint64_t end)
{
    while (end > start) {
        uint64_t from = max_u64(start, align_down(end - 1, BLOCK_SIZE));

        free_reserved(frame_db_block(from), from, end);
        end = from;
    }
}

int frame_init_done(void)
{
    uint64_t size;
    struct run r;

    if (frame_db.reserved_overflow)
        return -ENOSPC;
    if (frame_db.blocks)
        return -EINVAL;
    make_zones();
    frame_db.reserve = min_u64(RESERVE_MOST, max_u64(RESERVE_LEAST, frame_db.ram_frames / 256));
    size = align_up(frame_db.block_count * sizeof(struct block), PAGE_SIZE);
    for (unsigned i = 0; i < frame_db.bank_count && !frame_db.blocks; i++) {
        uint64_t from = frame_db.banks[i].start;

        while (next_unreserved(from, frame_db.banks[i].end, &r)) {
            if (size && r.end - r.start >= size) {
                frame_db.blocks = pa_to_hva(pa(r.start));
                break;
            }
            from = r.end;
        }
    }
    if (!frame_db.blocks)
        return -ENOMEM;
    for (uint32_t i = 0; i < frame_db.block_count; i++)
        frame_db.blocks[i] = (struct block){.state = FRAME_RESERVED, .order = FRAME_ORDER_2M};
    /* The database is one more reservation; it is at the start of a free run, so r below it is too. */
    for (unsigned i = frame_db.bank_count; i-- > 0;) {
        uint64_t from = frame_db.banks[i].start, database = hva_to_pa(frame_db.blocks).v;

        while (next_unreserved(from, frame_db.banks[i].end, &r)) {
            free_run(r.start == database ? r.start + size : r.start, r.end);
            from = r.end;
        }
    }
    return 0;
}

void frame_unreserve(pa_t base, uint64_t size)
{
    uint64_t start = align_up(base.v, PAGE_SIZE), end;

    if (base.v > PA_END || size > PA_END - base.v)
        return;
    end = align_down(base.v + size, PAGE_SIZE);
    spin_lock(&frame_db.lock);
    for (unsigned i = 0; i < frame_db.bank_count; i++)
        free_run(max_u64(start, frame_db.banks[i].start), min_u64(end, frame_db.banks[i].end));
    spin_unlock(&frame_db.lock);
}
