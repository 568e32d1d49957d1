// SPDX-License-Identifier: BSD-2-Clause
// The frame database, internal to hyp/mem/frame*.c. A struct block for each 2 MiB of physical
// address that holds RAM; a split block has a page of 512 struct frame besides.
//
// Where the page of descriptors lives: a free block that is split gives its own first frame, so
// that splitting it cannot fail; a block that was allocated whole takes a page from elsewhere. When
// all frames of a split block are free, it is whole again, but one such block is kept split, at
// hand.
// Lock rank: LOCK_FRAME, frame_db.lock; all these functions want it held. Callers: frame*.c.
#pragma once
#include "base/panic.h"
#include "base/spinlock.h"
#include "mem/frame.h"

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
    /* Of a split block: those taken before the split, which protect all its frames. */
    uint32_t pins;
    uint32_t refs;
    uint16_t free, first; /* when split: how many frames are free, and the first of them */
    struct frame *frames;
    uint32_t next, prev; /* in free_blocks or partial_blocks */
};
_Static_assert(sizeof(struct frame) == 8 && sizeof(struct block) == 32, "the database is small");

struct run {
    uint64_t start, end;
};
struct zone {
    uint64_t start, end;
    uint32_t first;
}; /* whole blocks; first: index of its first */
struct block_list {
    uint32_t head, count;
};

struct frame_db {
    struct spinlock lock;
    bool reserved_overflow;
    struct run banks[MAX_BANKS], reserved[MAX_RESERVED];
    unsigned bank_count, reserved_count, zone_count;
    struct zone zones[MAX_BANKS];
    struct block *blocks; /* NULL until frame_init_done */
    uint32_t block_count;
    uint64_t ram_frames, free_frames;
    uint64_t reserve; /* what guests may not have */
    struct block_list free_blocks; /* whole and free */
    struct block_list partial_blocks; /* split, with free frames */
};
extern struct frame_db frame_db;

/* The block at an address, NULL outside of all; its frame; the block that holds the counts of
 * the whole allocation at p. */
struct block *frame_db_block(uint64_t p);
static inline struct frame *frame_db_frame(const struct block *b, uint64_t p)
{
    return &b->frames[p >> PAGE_SHIFT & (FRAMES - 1)];
}
struct block *frame_db_head(struct block *b, uint64_t p);

void frame_db_push(struct block_list *l, struct block *b);
bool frame_db_all_free(const struct block *b, uint32_t n);
/* n free blocks become one allocation (of 2^order frames), or with order FRAME_ORDER_2M n of them. */
void frame_db_take_blocks(struct block *b, uint32_t n, unsigned order, enum frame_state state,
                          uint16_t owner);
/* A single frame. 0 or -ENOMEM. */
int frame_db_alloc_one(enum frame_state state, uint16_t owner, pa_t *out) MUST_CHECK;
uint64_t frame_db_pa(const struct block *b);
/* Makes b split, all of its frames like the one given, with descriptors in page. */
void frame_db_split_into(struct block *b, pa_t page, struct frame like);
/* Gives frame i of b, or the whole allocation that begins at b, back. */
void frame_db_release(struct block *b, unsigned i);
void frame_db_release_whole(struct block *b);
