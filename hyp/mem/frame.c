// SPDX-License-Identifier: BSD-2-Clause
// Allocating, freeing, splitting and merging blocks and frames, and questions about them.
#include "mem/frame_db.h"

#include <errno.h>

#include "base/arch.h"

enum { FEW_LOOKS = 8 };

struct frame_db frame_db = {.lock = SPINLOCK_INIT(LOCK_FRAME),
                            .free_blocks = {NO_BLOCK, 0},
                            .partial_blocks = {NO_BLOCK, 0}};

void (*frame_guests_low)(void);

/* ---- finding ---- */

struct block *frame_db_block(uint64_t p)
{
    for (const struct zone *z = frame_db.zones; z < frame_db.zones + frame_db.zone_count; z++) {
        if (p - z->start < z->end - z->start)
            return &frame_db.blocks[z->first + ((p - z->start) >> BLOCK_SHIFT)];
    }
    return NULL;
}

uint64_t frame_db_pa(const struct block *b)
{
    uint32_t n = (uint32_t)(b - frame_db.blocks);
    const struct zone *z = frame_db.zones + frame_db.zone_count - 1;

    while (z->first > n)
        z--;
    return z->start + ((uint64_t)(n - z->first) << BLOCK_SHIFT);
}

/* The block that holds the counts of the whole allocation at p. */
struct block *frame_db_head(struct block *b, uint64_t p)
{
    return b->order == FRAME_ORDER_2M ? b : frame_db_block(align_down(p, PAGE_SIZE << b->order));
}

/* ---- lists of blocks, by index ---- */

void frame_db_push(struct block_list *l, struct block *b)
{
    uint32_t n = (uint32_t)(b - frame_db.blocks);

    b->prev = NO_BLOCK;
    b->next = l->head;
    if (l->head != NO_BLOCK)
        frame_db.blocks[l->head].prev = n;
    l->head = n;
    l->count++;
}

static void list_drop(struct block_list *l, struct block *b)
{
    if (b->next != NO_BLOCK)
        frame_db.blocks[b->next].prev = b->prev;
    if (b->prev != NO_BLOCK)
        frame_db.blocks[b->prev].next = b->next;
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
    frame_db.free_frames--;
    if (!--b->free)
        list_drop(&frame_db.partial_blocks, b);
}

static void add_frame(struct block *b, unsigned i)
{
    b->frames[i] = (struct frame){.state = FRAME_FREE, .refs = b->first, .pins = NO_FRAME};
    if (b->first != NO_FRAME)
        b->frames[b->first].pins = i;
    b->first = (uint16_t)i;
    frame_db.free_frames++;
    if (!b->free++)
        frame_db_push(&frame_db.partial_blocks, b);
}

static bool hosts_itself(const struct block *b)
{
    return hva_to_pa(b->frames).v >> BLOCK_SHIFT == frame_db_pa(b) >> BLOCK_SHIFT;
}

/* Gives frame i of b back, and whatever comes free with it: a block that is whole again may return
 * its page of descriptors to another block, and so on. */
void frame_db_release(struct block *b, unsigned i)
{
    for (;;) {
        bool self = hosts_itself(b);
        uint64_t page = hva_to_pa(b->frames).v;

        add_frame(b, i);
        if (frame_db.partial_blocks.count < 2)
            return;
        if (b->free + self < FRAMES) {
            /* This one may just have come to the list, and be at hand instead of a block that is
             * all free. */
            struct block *other =
                &frame_db.blocks[b->next == NO_BLOCK ? frame_db.partial_blocks.head : b->next];

            self = hosts_itself(other);
            if (other->free + self < FRAMES)
                return;
            b = other;
            page = hva_to_pa(b->frames).v;
        }
        list_drop(&frame_db.partial_blocks, b);
        b->frames = NULL;
        b->state = FRAME_FREE;
        b->order = FRAME_ORDER_2M;
        frame_db_push(&frame_db.free_blocks, b);
        if (self) {
            frame_db.free_frames++;
            return;
        }
        b = frame_db_block(page);
        i = page >> PAGE_SHIFT & (FRAMES - 1);
    }
}

void frame_db_split_into(struct block *b, pa_t page, struct frame like)
{
    struct frame *frames = pa_to_hva(page);

    for (unsigned i = 0; i < FRAMES; i++)
        frames[i] = like;
    b->frames = frames;
    b->free = 0;
    b->first = NO_FRAME;
    b->pins = 0;
    if (hosts_itself(b))
        *frame_db_frame(b, page.v) = (struct frame){.state = FRAME_HYP, .refs = 1};
}

/* Splits a free block for single frames. */
static struct block *open_block(void)
{
    struct block *b;

    if (frame_db.free_blocks.head == NO_BLOCK)
        return NULL;
    b = &frame_db.blocks[frame_db.free_blocks.head];
    list_drop(&frame_db.free_blocks, b);
    frame_db.free_frames -= FRAMES;
    frame_db_split_into(b, pa(frame_db_pa(b)), (struct frame){.state = FRAME_FREE});
    for (unsigned i = FRAMES - 1; i >= 1; i--)
        add_frame(b, i);
    return b;
}

/* ---- allocation; the lock is held ---- */

static void give_frame(struct block *b, unsigned i, enum frame_state state, uint16_t owner)
{
    take_frame(b, i);
    b->frames[i] = (struct frame){.state = state, .owner = owner, .refs = 1};
}

int frame_db_alloc_one(enum frame_state state, uint16_t owner, pa_t *out)
{
    struct block *b = frame_db.partial_blocks.head == NO_BLOCK
                          ? open_block()
                          : &frame_db.blocks[frame_db.partial_blocks.head];
    unsigned i;

    if (!b)
        return -ENOMEM;
    i = b->first;
    give_frame(b, i, state, owner);
    *out = pa(frame_db_pa(b) + i * PAGE_SIZE);
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

/* What is more than a stage 2's root can be had in smaller pieces, so it is not looked for everywhere. */
static int alloc_few(unsigned n, enum frame_state state, uint16_t owner, pa_t *out)
{
    unsigned looks = n > 1u << FRAME_ORDER_16K ? FEW_LOOKS : UINT32_MAX;
    struct block *b = NULL;
    unsigned at = NO_FRAME;

    for (uint32_t next = frame_db.partial_blocks.head;
         next != NO_BLOCK && at == NO_FRAME && looks--; next = b->next) {
        b = &frame_db.blocks[next];
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
    *out = pa(frame_db_pa(b) + at * PAGE_SIZE);
    return 0;
}

bool frame_db_all_free(const struct block *b, uint32_t n)
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
        return frame_db.free_blocks.head == NO_BLOCK ? NULL
                                                     : &frame_db.blocks[frame_db.free_blocks.head];
    for (const struct zone *z = frame_db.zones; z < frame_db.zones + frame_db.zone_count; z++) {
        for (uint64_t p = align_up(z->start, size); p < z->end && z->end - p >= size; p += size) {
            if (frame_db_all_free(frame_db_block(p), n))
                return frame_db_block(p);
        }
    }
    return NULL;
}

void frame_db_take_blocks(struct block *b, uint32_t n, unsigned order, enum frame_state state,
                          uint16_t owner)
{
    for (uint32_t i = 0; i < n; i++) {
        list_drop(&frame_db.free_blocks, &b[i]);
        b[i].state = (uint8_t)state;
        b[i].owner = owner;
        b[i].order = (uint8_t)order;
        b[i].pins = 0;
        b[i].refs = 1;
    }
    frame_db.free_frames -= (uint64_t)n * FRAMES;
}

static int alloc_blocks(unsigned order, enum frame_state state, uint16_t owner, pa_t *out)
{
    uint32_t n = 1u << (order - FRAME_ORDER_2M);
    struct block *b = find_blocks(n);

    if (!b)
        return -ENOMEM;
    frame_db_take_blocks(b, n, order, state, owner);
    *out = pa(frame_db_pa(b));
    return 0;
}

int frame_alloc(unsigned order, enum frame_state state, uint16_t owner, pa_t *out)
{
    int r;

    if (order > FRAME_ORDER_1G || state <= FRAME_FREE || state >= FRAME_RESERVED)
        return -EINVAL;
    spin_lock(&frame_db.lock);
    if (!order)
        r = frame_db_alloc_one(state, owner, out);
    else if (order < FRAME_ORDER_2M)
        r = alloc_few(1u << order, state, owner, out);
    else
        r = alloc_blocks(order, state, owner, out);
    spin_unlock(&frame_db.lock);
    return r;
}

void frame_db_release_whole(struct block *b)
{
    uint32_t n = 1u << (b->order - FRAME_ORDER_2M);

    frame_db.free_frames += (uint64_t)n * FRAMES;
    while (n-- > 0) {
        b[n].state = FRAME_FREE;
        b[n].order = FRAME_ORDER_2M;
        b[n].refs = 0;
        frame_db_push(&frame_db.free_blocks, &b[n]);
    }
}

static int split_locked(struct block *b, uint64_t p)
{
    pa_t page;

    if (!b || b->frames || b->state == FRAME_RESERVED)
        return 0;
    ASSERT(b->state != FRAME_FREE);
    if (b->order > FRAME_ORDER_2M) {
        struct block *head = frame_db_head(b, p);
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
    if (frame_db_alloc_one(FRAME_HYP, OWNER_HYP, &page))
        return -ENOMEM;
    ASSERT(b->refs <= MAX_REFS);
    uint32_t pins = b->pins;
    frame_db_split_into(b, page,
                        (struct frame){.state = b->state, .owner = b->owner, .refs = b->refs});
    b->pins = pins;
    return 0;
}

int frame_split(pa_t p)
{
    int r;

    spin_lock(&frame_db.lock);
    r = split_locked(frame_db_block(p.v), p.v);
    spin_unlock(&frame_db.lock);
    return r;
}

int frame_split_for(pa_t p, uint64_t size)
{
    /* What reaches beyond the range holds its first or its last byte. */
    uint64_t edge[2] = {p.v, p.v + size - 1};
    int r = 0;

    spin_lock(&frame_db.lock);
    for (unsigned i = 0; i < 2 && !r; i++) {
        struct block *b;

        while (!r && (b = frame_db_block(edge[i])) && !b->frames && b->state != FRAME_RESERVED) {
            uint64_t whole = PAGE_SIZE << b->order, start = align_down(edge[i], whole);

            if (start >= p.v && start + whole <= p.v + size)
                break;
            r = split_locked(b, edge[i]);
        }
    }
    spin_unlock(&frame_db.lock);
    return r;
}

/* ---- questions ---- */

static struct frame_info query_locked(uint64_t p)
{
    struct block *b = frame_db_block(p);

    if (!b || !frame_is_ram(pa(p)))
        return (struct frame_info){.state = FRAME_RESERVED};
    if (b->frames) {
        struct frame *f = frame_db_frame(b, p);

        if (f->state == FRAME_FREE)
            return (struct frame_info){.state = FRAME_FREE};
        return (struct frame_info){f->state, f->owner, f->refs, f->pins + b->pins, 0};
    }
    b = frame_db_head(b, p);
    if (b->state == FRAME_FREE || b->state == FRAME_RESERVED)
        return (struct frame_info){.state = b->state, .order = b->order};
    return (struct frame_info){b->state, b->owner, b->refs, b->pins, b->order};
}

struct frame_info frame_query(pa_t p)
{
    struct frame_info info;

    spin_lock(&frame_db.lock);
    info = query_locked(p.v);
    spin_unlock(&frame_db.lock);
    return info;
}

int frame_set_state(pa_t p, enum frame_state state, uint16_t owner)
{
    struct frame_info info;
    struct block *b;

    if (state <= FRAME_FREE || state >= FRAME_RESERVED)
        return -EINVAL;
    spin_lock(&frame_db.lock);
    info = query_locked(p.v);
    if (info.state != FRAME_FREE && info.state != FRAME_RESERVED) {
        b = frame_db_block(p.v);
        if (b->frames) {
            frame_db_frame(b, p.v)->state = state;
            frame_db_frame(b, p.v)->owner = owner;
        } else {
            b = frame_db_head(b, p.v);
            for (uint32_t n = 1u << (b->order - FRAME_ORDER_2M); n-- > 0;) {
                b[n].state = (uint8_t)state;
                b[n].owner = owner;
            }
        }
    }
    spin_unlock(&frame_db.lock);
    return info.state == FRAME_FREE || info.state == FRAME_RESERVED ? -EINVAL : 0;
}

static void count_block(const struct block *b, int owner, uint64_t counts[FRAME_STATES])
{
    if (!b->frames && (owner < 0 || b->owner == owner))
        counts[b->state] += FRAMES;
    for (unsigned i = 0; b->frames && i < FRAMES; i++) {
        if (owner < 0 || b->frames[i].owner == owner)
            counts[b->frames[i].state]++;
    }
}

/* The lock is free between blocks: a large machine has millions of frames, and all harts need some. */
void frame_count(int owner, uint64_t counts[FRAME_STATES])
{
    uint64_t others = 0;

    for (unsigned i = 0; i < FRAME_STATES; i++)
        counts[i] = 0;
    for (const struct block *b = frame_db.blocks; b < frame_db.blocks + frame_db.block_count; b++) {
        spin_lock(&frame_db.lock);
        count_block(b, owner, counts);
        spin_unlock(&frame_db.lock);
    }
    /* Reserved descriptors also stand for holes between banks. */
    for (unsigned i = 0; i < FRAME_RESERVED; i++)
        others += counts[i];
    counts[FRAME_RESERVED] = owner < 0 ? frame_db.ram_frames - others : 0;
    if (owner >= 0)
        counts[FRAME_FREE] = 0;
}

uint64_t frame_free_count(void) { return frame_db.free_frames; }
uint64_t frame_free_blocks(void) { return frame_db.free_blocks.count; }

enum frame_supply frame_supply(void)
{
    if (frame_db.free_blocks.count > frame_db.block_count / 16)
        return FRAME_PLENTY;
    return frame_db.free_frames > frame_db.ram_frames / 64 ? FRAME_SHORT : FRAME_SCARCE;
}

bool frame_plentiful(void) { return frame_supply() == FRAME_PLENTY; }

uint64_t frame_reserve_size(void) { return frame_db.reserve; }

bool frame_guests_may_have(uint64_t n, bool at_once)
{
    uint64_t free = frame_db.free_frames, keep = frame_db.reserve;

    if (free <= keep && frame_guests_low)
        frame_guests_low();
    keep >>= at_once;
    return free >= keep && free - keep >= n;
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
