// SPDX-License-Identifier: BSD-2-Clause
// The frame database and allocator. A struct block for each 2 MiB of physical address that holds RAM;
// a split block has a page of 512 struct frame besides.
//
// Where the page of descriptors lives: a free block that is split gives its own first frame, so that
// splitting it cannot fail; a block that was allocated whole takes a page from elsewhere. When all frames
// of a split block are free, it is whole again, but one such block is kept split, at hand.
#include "mem/frame.h"

#include <errno.h>

#include "base/arch.h"
#include "base/log.h"
#include "base/panic.h"
#include "base/spinlock.h"

enum { FRAMES = 512, NO_FRAME = FRAMES, BLOCK_SHIFT = 21, MAX_BANKS = 16, MAX_RESERVED = 64 };
#define BLOCK_SIZE MIB(2)
#define NO_BLOCK UINT32_MAX
#define PA_END (1ul << 56)
enum { MAX_REFS = (1 << 24) - 1, MAX_PINS = (1 << 20) - 1 };

struct frame {
    uint64_t state : 4, owner : 16;
    uint64_t refs : 24; /* of a free frame: the next free one in its block */
    uint64_t pins : 20; /* of a free frame: the one before */
};

/* Whole while frames is NULL: then state, owner, refs and pins count for all of it (a larger
 * allocation's are in its first block). */
struct block {
    uint8_t state;
    uint8_t order; /* of the allocation: 9 or more */
    uint16_t owner;
    uint32_t pins; /* of a split block: those taken before the split, which protect all its frames */
    uint32_t refs;
    uint16_t free, first; /* when split: how many frames are free, and the first of them */
    struct frame *frames;
    uint32_t next, prev; /* in free_blocks or partial_blocks */
};
_Static_assert(sizeof(struct frame) == 8 && sizeof(struct block) == 32, "the database is small");

struct run { uint64_t start, end; };
struct zone { uint64_t start, end; uint32_t first; }; /* whole blocks; first: index of its first */
struct block_list { uint32_t head, count; };

static struct spinlock lock = SPINLOCK_INIT(LOCK_FRAME);
static struct run banks[MAX_BANKS], reserved[MAX_RESERVED];
static unsigned bank_count, reserved_count;
static bool reserved_overflow;
static struct zone zones[MAX_BANKS];
static unsigned zone_count;
static struct block *blocks; /* NULL until frame_init_done */
static uint32_t block_count;
static uint64_t ram_frames, free_frames;
static struct block_list free_blocks = {NO_BLOCK, 0};    /* whole and free */
static struct block_list partial_blocks = {NO_BLOCK, 0}; /* split, with free frames */

void frame_reset(void)
{
    bank_count = reserved_count = zone_count = block_count = 0;
    reserved_overflow = false;
    blocks = NULL;
    ram_frames = free_frames = 0;
    free_blocks = partial_blocks = (struct block_list){NO_BLOCK, 0};
}

/* ---- finding ---- */

static struct block *block_at(uint64_t p)
{
    for (const struct zone *z = zones; z < zones + zone_count; z++) {
        if (p - z->start < z->end - z->start)
            return &blocks[z->first + ((p - z->start) >> BLOCK_SHIFT)];
    }
    return NULL;
}

static uint64_t block_pa(const struct block *b)
{
    uint32_t n = (uint32_t)(b - blocks);
    const struct zone *z = zones + zone_count - 1;

    while (z->first > n)
        z--;
    return z->start + ((uint64_t)(n - z->first) << BLOCK_SHIFT);
}

static struct frame *frame_at(const struct block *b, uint64_t p)
{
    return &b->frames[p >> PAGE_SHIFT & (FRAMES - 1)];
}

/* The block that holds the counts of the whole allocation at p. */
static struct block *block_head(struct block *b, uint64_t p)
{
    return b->order == FRAME_ORDER_2M ? b : block_at(align_down(p, PAGE_SIZE << b->order));
}

bool frame_is_ram(pa_t p)
{
    for (unsigned i = 0; i < bank_count; i++) {
        if (p.v - banks[i].start < banks[i].end - banks[i].start)
            return true;
    }
    return false;
}

/* ---- lists of blocks, by index ---- */

static void list_push(struct block_list *l, struct block *b)
{
    uint32_t n = (uint32_t)(b - blocks);

    b->prev = NO_BLOCK;
    b->next = l->head;
    if (l->head != NO_BLOCK)
        blocks[l->head].prev = n;
    l->head = n;
    l->count++;
}

static void list_drop(struct block_list *l, struct block *b)
{
    if (b->next != NO_BLOCK)
        blocks[b->next].prev = b->prev;
    if (b->prev != NO_BLOCK)
        blocks[b->prev].next = b->next;
    else
        l->head = b->next;
    l->count--;
}

/* ---- free frames within a split block ---- */

static void take_frame(struct block *b, unsigned i)
{
    struct frame *f = &b->frames[i];

    if (f->refs != NO_FRAME)
        b->frames[f->refs].pins = f->pins;
    if (f->pins != NO_FRAME)
        b->frames[f->pins].refs = f->refs;
    else
        b->first = f->refs;
    free_frames--;
    if (!--b->free)
        list_drop(&partial_blocks, b);
}

static void add_frame(struct block *b, unsigned i)
{
    b->frames[i] = (struct frame){.state = FRAME_FREE, .refs = b->first, .pins = NO_FRAME};
    if (b->first != NO_FRAME)
        b->frames[b->first].pins = i;
    b->first = (uint16_t)i;
    free_frames++;
    if (!b->free++)
        list_push(&partial_blocks, b);
}

static bool hosts_itself(const struct block *b)
{
    return hva_to_pa(b->frames).v >> BLOCK_SHIFT == block_pa(b) >> BLOCK_SHIFT;
}

/* Gives frame i of b back, and whatever comes free with it: a block that is whole again may return
 * its page of descriptors to another block, and so on. */
static void release_frame(struct block *b, unsigned i)
{
    for (;;) {
        bool self = hosts_itself(b);
        uint64_t page = hva_to_pa(b->frames).v;

        add_frame(b, i);
        if (partial_blocks.count < 2)
            return;
        if (b->free + self < FRAMES) {
            /* This one may just have come to the list, and be at hand instead of a block that is all free. */
            struct block *other = &blocks[b->next == NO_BLOCK ? partial_blocks.head : b->next];

            self = hosts_itself(other);
            if (other->free + self < FRAMES)
                return;
            b = other;
            page = hva_to_pa(b->frames).v;
        }
        list_drop(&partial_blocks, b);
        b->frames = NULL;
        b->state = FRAME_FREE;
        b->order = FRAME_ORDER_2M;
        list_push(&free_blocks, b);
        if (self) {
            free_frames++;
            return;
        }
        b = block_at(page);
        i = page >> PAGE_SHIFT & (FRAMES - 1);
    }
}

/* Makes b split, all of its frames like the one given, with descriptors in page. */
static void split_into(struct block *b, pa_t page, struct frame like)
{
    struct frame *frames = pa_to_hva(page);

    for (unsigned i = 0; i < FRAMES; i++)
        frames[i] = like;
    b->frames = frames;
    b->free = 0;
    b->first = NO_FRAME;
    b->pins = 0;
    if (hosts_itself(b))
        *frame_at(b, page.v) = (struct frame){.state = FRAME_HYP, .refs = 1};
}

/* Splits a free block for single frames. */
static struct block *open_block(void)
{
    struct block *b;

    if (free_blocks.head == NO_BLOCK)
        return NULL;
    b = &blocks[free_blocks.head];
    list_drop(&free_blocks, b);
    free_frames -= FRAMES;
    split_into(b, pa(block_pa(b)), (struct frame){.state = FRAME_FREE});
    for (unsigned i = FRAMES - 1; i >= 1; i--)
        add_frame(b, i);
    return b;
}

/* ---- boot ---- */

int frame_add_bank(pa_t base, uint64_t size)
{
    struct run r = {align_up(base.v, PAGE_SIZE), align_down(base.v + size, PAGE_SIZE)};
    unsigned i;

    if (blocks || base.v > PA_END || size > PA_END - base.v)
        return -EINVAL;
    if (r.start >= r.end)
        return 0;
    /* Joins all that it touches. */
    for (i = 0; i < bank_count;) {
        if (r.end < banks[i].start || r.start > banks[i].end) {
            i++;
            continue;
        }
        r.start = min_u64(r.start, banks[i].start);
        r.end = max_u64(r.end, banks[i].end);
        for (unsigned k = i; k + 1 < bank_count; k++)
            banks[k] = banks[k + 1];
        bank_count--;
    }
    if (bank_count == MAX_BANKS)
        return -ENOSPC;
    for (i = bank_count++; i && banks[i - 1].start > r.start; i--)
        banks[i] = banks[i - 1];
    banks[i] = r;
    return 0;
}

void frame_reserve(pa_t base, uint64_t size)
{
    struct run r = {align_down(base.v, PAGE_SIZE),
                    size > PA_END || base.v > PA_END ? PA_END : align_up(base.v + size, PAGE_SIZE)};

    if (!size || r.start >= r.end)
        return;
    for (unsigned i = 0; i < reserved_count; i++) {
        if (r.end >= reserved[i].start && r.start <= reserved[i].end) {
            reserved[i].start = min_u64(r.start, reserved[i].start);
            reserved[i].end = max_u64(r.end, reserved[i].end);
            return;
        }
    }
    if (reserved_count == MAX_RESERVED)
        reserved_overflow = true;
    else
        reserved[reserved_count++] = r;
}

/* The next run at or after *from, within [.., end), that no reservation covers. */
static bool next_unreserved(uint64_t from, uint64_t end, struct run *r)
{
    for (unsigned i = 0; i < reserved_count;) {
        if (from - reserved[i].start < reserved[i].end - reserved[i].start) {
            from = reserved[i].end;
            i = 0;
        } else {
            i++;
        }
    }
    if (from >= end)
        return false;
    *r = (struct run){from, end};
    for (unsigned i = 0; i < reserved_count; i++) {
        if (reserved[i].start > from)
            r->end = min_u64(r->end, reserved[i].start);
    }
    return true;
}

static void make_zones(void)
{
    for (unsigned i = 0; i < bank_count; i++) {
        uint64_t start = align_down(banks[i].start, BLOCK_SIZE);
        uint64_t end = align_up(banks[i].end, BLOCK_SIZE);

        ram_frames += (banks[i].end - banks[i].start) >> PAGE_SHIFT;
        if (zone_count && start <= zones[zone_count - 1].end) { /* banks may share a block */
            block_count += (uint32_t)((end - zones[zone_count - 1].end) >> BLOCK_SHIFT);
            zones[zone_count - 1].end = end;
        } else {
            zones[zone_count++] = (struct zone){start, end, block_count};
            block_count += (uint32_t)((end - start) >> BLOCK_SHIFT);
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
            list_push(&free_blocks, b);
            free_frames += FRAMES;
            return;
        }
        split_into(b, pa(start), (struct frame){.state = FRAME_RESERVED});
        start += PAGE_SIZE;
    }
    /* Downwards, so that they are handed out upwards. */
    while (b->frames && end > start) {
        end -= PAGE_SIZE;
        if (frame_at(b, end)->state == FRAME_RESERVED)
            release_frame(b, end >> PAGE_SHIFT & (FRAMES - 1));
    }
}

static void free_run(uint64_t start, uint64_t end)
{
    while (end > start) {
        uint64_t from = max_u64(start, align_down(end - 1, BLOCK_SIZE));

        free_reserved(block_at(from), from, end);
        end = from;
    }
}

int frame_init_done(void)
{
    uint64_t size;
    struct run r;

    if (reserved_overflow)
        return -ENOSPC;
    if (blocks)
        return -EINVAL;
    make_zones();
    size = align_up(block_count * sizeof(struct block), PAGE_SIZE);
    for (unsigned i = 0; i < bank_count && !blocks; i++) {
        uint64_t from = banks[i].start;

        while (next_unreserved(from, banks[i].end, &r)) {
            if (size && r.end - r.start >= size) {
                blocks = pa_to_hva(pa(r.start));
                break;
            }
            from = r.end;
        }
    }
    if (!blocks)
        return -ENOMEM;
    for (uint32_t i = 0; i < block_count; i++)
        blocks[i] = (struct block){.state = FRAME_RESERVED, .order = FRAME_ORDER_2M};
    /* The database is one more reservation; it is at the start of a free run, so r below it is too. */
    for (unsigned i = bank_count; i-- > 0;) {
        uint64_t from = banks[i].start, database = hva_to_pa(blocks).v;

        while (next_unreserved(from, banks[i].end, &r)) {
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
    spin_lock(&lock);
    for (unsigned i = 0; i < bank_count; i++)
        free_run(max_u64(start, banks[i].start), min_u64(end, banks[i].end));
    spin_unlock(&lock);
}

/* ---- allocation; the lock is held ---- */

static void give_frame(struct block *b, unsigned i, enum frame_state state, uint16_t owner)
{
    take_frame(b, i);
    b->frames[i] = (struct frame){.state = state, .owner = owner, .refs = 1};
}

static int alloc_one(enum frame_state state, uint16_t owner, pa_t *out)
{
    struct block *b =
        partial_blocks.head == NO_BLOCK ? open_block() : &blocks[partial_blocks.head];
    unsigned i;

    if (!b)
        return -ENOMEM;
    i = b->first;
    give_frame(b, i, state, owner);
    *out = pa(block_pa(b) + i * PAGE_SIZE);
    return 0;
}

/* The first aligned run of n free frames of b, or NO_FRAME. */
static unsigned find_run(const struct block *b, unsigned n)
{
    for (unsigned i = 0; i < FRAMES; i += n) {
        unsigned k = 0;

        while (k < n && b->frames[i + k].state == FRAME_FREE)
            k++;
        if (k == n)
            return i;
    }
    return NO_FRAME;
}

static int alloc_few(unsigned n, enum frame_state state, uint16_t owner, pa_t *out)
{
    struct block *b = NULL;
    unsigned at = NO_FRAME;

    for (uint32_t next = partial_blocks.head; next != NO_BLOCK && at == NO_FRAME; next = b->next) {
        b = &blocks[next];
        if (b->free >= n)
            at = find_run(b, n);
    }
    if (at == NO_FRAME) {
        b = open_block();
        if (!b)
            return -ENOMEM;
        at = n; /* the first run has the block's own descriptors */
    }
    for (unsigned i = at; i < at + n; i++)
        give_frame(b, i, state, owner);
    *out = pa(block_pa(b) + at * PAGE_SIZE);
    return 0;
}

static bool all_free(const struct block *b, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (b[i].frames || b[i].state != FRAME_FREE)
            return false;
    }
    return true;
}

/* n free blocks, aligned to their size; NULL: there are none. */
static struct block *find_blocks(uint32_t n)
{
    uint64_t size = (uint64_t)n << BLOCK_SHIFT;

    if (n == 1)
        return free_blocks.head == NO_BLOCK ? NULL : &blocks[free_blocks.head];
    for (const struct zone *z = zones; z < zones + zone_count; z++) {
        for (uint64_t p = align_up(z->start, size); p < z->end && z->end - p >= size; p += size) {
            if (all_free(block_at(p), n))
                return block_at(p);
        }
    }
    return NULL;
}

static int alloc_blocks(unsigned order, enum frame_state state, uint16_t owner, pa_t *out)
{
    uint32_t n = 1u << (order - FRAME_ORDER_2M);
    struct block *b = find_blocks(n);

    if (!b)
        return -ENOMEM;
    for (uint32_t i = 0; i < n; i++) {
        list_drop(&free_blocks, &b[i]);
        b[i].state = state;
        b[i].owner = owner;
        b[i].order = (uint8_t)order;
        b[i].pins = 0;
        b[i].refs = 1;
    }
    free_frames -= (uint64_t)n * FRAMES;
    *out = pa(block_pa(b));
    return 0;
}

int frame_alloc(unsigned order, enum frame_state state, uint16_t owner, pa_t *out)
{
    int r;

    if (order > FRAME_ORDER_1G || state <= FRAME_FREE || state >= FRAME_RESERVED)
        return -EINVAL;
    spin_lock(&lock);
    if (!order)
        r = alloc_one(state, owner, out);
    else if (order < FRAME_ORDER_2M)
        r = alloc_few(1u << order, state, owner, out);
    else
        r = alloc_blocks(order, state, owner, out);
    spin_unlock(&lock);
    return r;
}

static void release_whole(struct block *b)
{
    uint32_t n = 1u << (b->order - FRAME_ORDER_2M);

    free_frames += (uint64_t)n * FRAMES;
    while (n-- > 0) {
        b[n].state = FRAME_FREE;
        b[n].order = FRAME_ORDER_2M;
        b[n].refs = 0;
        list_push(&free_blocks, &b[n]);
    }
}

static int split_locked(struct block *b, uint64_t p)
{
    pa_t page;

    if (!b || b->frames || b->state == FRAME_RESERVED)
        return 0;
    ASSERT(b->state != FRAME_FREE);
    if (b->order > FRAME_ORDER_2M) {
        struct block *head = block_head(b, p);
        uint32_t n = 1u << (b->order - FRAME_ORDER_2M);

        if (head->pins)
            return -EBUSY;
        while (n-- > 0) {
            head[n].order = FRAME_ORDER_2M;
            head[n].state = head->state;
            head[n].owner = head->owner;
            head[n].refs = head->refs;
        }
        return 0;
    }
    if (alloc_one(FRAME_HYP, OWNER_HYP, &page))
        return -ENOMEM;
    ASSERT(b->refs <= MAX_REFS);
    uint32_t pins = b->pins;
    split_into(b, page, (struct frame){.state = b->state, .owner = b->owner, .refs = b->refs});
    b->pins = pins;
    return 0;
}

int frame_split(pa_t p)
{
    int r;

    spin_lock(&lock);
    r = split_locked(block_at(p.v), p.v);
    spin_unlock(&lock);
    return r;
}

int frame_split_for(pa_t p, uint64_t size)
{
    /* What reaches beyond the range holds its first or its last byte. */
    uint64_t edge[2] = {p.v, p.v + size - 1};
    int r = 0;

    spin_lock(&lock);
    for (unsigned i = 0; i < 2 && !r; i++) {
        struct block *b;

        while (!r && (b = block_at(edge[i])) && !b->frames && b->state != FRAME_RESERVED) {
            uint64_t whole = PAGE_SIZE << b->order, start = align_down(edge[i], whole);

            if (start >= p.v && start + whole <= p.v + size)
                break;
            r = split_locked(b, edge[i]);
        }
    }
    spin_unlock(&lock);
    return r;
}

/* ---- references and pins: one operation for each allocation in a range ---- */

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
        release_whole(b);
    return true;
}

/* The last pin from before the split has gone: frees what waited for it. */
static void sweep(struct block *b)
{
    for (unsigned i = 0; i < FRAMES && b->frames; i++) {
        struct frame *f = &b->frames[i];

        if (f->state != FRAME_FREE && f->state != FRAME_RESERVED && !f->refs && !f->pins)
            release_frame(b, i);
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
        release_frame(b, (unsigned)(f - b->frames));
    return true;
}

/* Applies what to each allocation of [p, end); returns where it stopped, end when all is done. */
static uint64_t change_range(uint64_t p, uint64_t end, enum change what)
{
    while (p < end) {
        struct block *b = block_at(p);
        uint64_t next = min_u64(end, align_down(p, BLOCK_SIZE) + BLOCK_SIZE);
        bool refs = what == GET || what == PUT;

        if (!b || (!b->frames && b->state == FRAME_RESERVED)) {
            if (!refs)
                return p;
        } else if (b->frames) {
            struct frame *f = frame_at(b, p);

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
            if (!change_whole(block_head(b, p), what, (uint32_t)((next - p) >> PAGE_SHIFT)))
                return p;
        }
        p = next;
    }
    return end;
}

static void locked_range(pa_t p, uint64_t size, enum change what)
{
    ASSERT(is_aligned(p.v | size, PAGE_SIZE));
    spin_lock(&lock);
    ASSERT(change_range(p.v, p.v + size, what) == p.v + size);
    spin_unlock(&lock);
}

void frame_get_range(pa_t p, uint64_t size)
{
    locked_range(p, size, GET);
}
void frame_put_range(pa_t p, uint64_t size)
{
    locked_range(p, size, PUT);
}
void frame_unpin_range(pa_t p, uint64_t size)
{
    locked_range(p, size, UNPIN);
}

int frame_pin_range(pa_t p, uint64_t size)
{
    uint64_t end = p.v + size, stopped;
    int r = 0;

    ASSERT(is_aligned(p.v | size, PAGE_SIZE));
    spin_lock(&lock);
    stopped = change_range(p.v, end, PIN);
    if (stopped < end) {
        struct block *b = block_at(stopped);
        unsigned state = !b ? FRAME_RESERVED : b->frames ? frame_at(b, stopped)->state : b->state;

        r = state == FRAME_FREE || state == FRAME_RESERVED ? -EINVAL : -ENOMEM;
        change_range(p.v, stopped, UNPIN);
    }
    spin_unlock(&lock);
    return r;
}

/* For one allocation, wherever p is in it. */
static struct run around(uint64_t p)
{
    struct block *b = block_at(p);
    uint64_t size = b && !b->frames ? PAGE_SIZE << b->order : PAGE_SIZE;

    return (struct run){align_down(p, size), align_down(p, size) + size};
}

static void locked_one(pa_t p, enum change what)
{
    struct run r;

    spin_lock(&lock);
    r = around(p.v);
    change_range(r.start, r.end, what);
    spin_unlock(&lock);
}

void frame_get(pa_t p)
{
    locked_one(p, GET);
}
void frame_put(pa_t p)
{
    locked_one(p, PUT);
}
int frame_pin(pa_t p)
{
    return frame_pin_range(pa(align_down(p.v, PAGE_SIZE)), PAGE_SIZE);
}
void frame_unpin(pa_t p)
{
    frame_unpin_range(pa(align_down(p.v, PAGE_SIZE)), PAGE_SIZE);
}

/* ---- questions ---- */

static struct frame_info query_locked(uint64_t p)
{
    struct block *b = block_at(p);

    if (!b || !frame_is_ram(pa(p)))
        return (struct frame_info){.state = FRAME_RESERVED};
    if (b->frames) {
        struct frame *f = frame_at(b, p);

        if (f->state == FRAME_FREE)
            return (struct frame_info){.state = FRAME_FREE};
        return (struct frame_info){f->state, f->owner, f->refs, f->pins + b->pins, 0};
    }
    b = block_head(b, p);
    if (b->state == FRAME_FREE || b->state == FRAME_RESERVED)
        return (struct frame_info){.state = b->state, .order = b->order};
    return (struct frame_info){b->state, b->owner, b->refs, b->pins, b->order};
}

struct frame_info frame_query(pa_t p)
{
    struct frame_info info;

    spin_lock(&lock);
    info = query_locked(p.v);
    spin_unlock(&lock);
    return info;
}

int frame_set_state(pa_t p, enum frame_state state, uint16_t owner)
{
    struct frame_info info;
    struct block *b;

    if (state <= FRAME_FREE || state >= FRAME_RESERVED)
        return -EINVAL;
    spin_lock(&lock);
    info = query_locked(p.v);
    if (info.state != FRAME_FREE && info.state != FRAME_RESERVED) {
        b = block_at(p.v);
        if (b->frames) {
            frame_at(b, p.v)->state = state;
            frame_at(b, p.v)->owner = owner;
        } else {
            b = block_head(b, p.v);
            for (uint32_t n = 1u << (b->order - FRAME_ORDER_2M); n-- > 0;) {
                b[n].state = (uint8_t)state;
                b[n].owner = owner;
            }
        }
    }
    spin_unlock(&lock);
    return info.state == FRAME_FREE || info.state == FRAME_RESERVED ? -EINVAL : 0;
}

void frame_count(int owner, uint64_t counts[FRAME_STATES])
{
    uint64_t others = 0;

    for (unsigned i = 0; i < FRAME_STATES; i++)
        counts[i] = 0;
    spin_lock(&lock);
    for (const struct block *b = blocks; b < blocks + block_count; b++) {
        if (!b->frames && (owner < 0 || b->owner == owner))
            counts[b->state] += FRAMES;
        for (unsigned i = 0; b->frames && i < FRAMES; i++) {
            if (owner < 0 || b->frames[i].owner == owner)
                counts[b->frames[i].state]++;
        }
    }
    spin_unlock(&lock);
    /* Reserved descriptors also stand for holes between banks. */
    for (unsigned i = 0; i < FRAME_RESERVED; i++)
        others += counts[i];
    counts[FRAME_RESERVED] = owner < 0 ? ram_frames - others : 0;
    if (owner >= 0)
        counts[FRAME_FREE] = 0;
}

uint64_t frame_free_count(void)
{
    return free_frames;
}
uint64_t frame_free_blocks(void)
{
    return free_blocks.count;
}
bool frame_plentiful(void)
{
    return free_blocks.count > block_count / 16;
}

void *frame_alloc_page(void)
{
    pa_t p;

    if (frame_alloc(FRAME_ORDER_4K, FRAME_HYP, OWNER_HYP, &p))
        return NULL;
    arch_zero_page_run(pa_to_hva(p), PAGE_SIZE);
    return pa_to_hva(p);
}

void frame_free_page(void *page)
{
    if (page)
        frame_put(hva_to_pa(page));
}
