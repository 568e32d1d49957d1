// SPDX-License-Identifier: BSD-2-Clause
// Frames: every 4 KiB frame of host RAM has a state, an owner, references and pins.
//
// The database has two levels, so that it costs little: a descriptor for each 2 MiB block, and,
// only for blocks that are split, a page of 512 descriptors of 8 bytes.
// Invariants: a frame is in one state and has one owner; FRAME_FREE has no references; a pinned
// frame is never freed (frame_put of the last reference is refused while pins remain: it is then
// freed by the last unpin). Allocations are naturally aligned; contents are NOT zeroed.
// Lock rank: LOCK_FRAME (internal). Callers: everyone above base.
#pragma once
#include <stdint.h>

#include "base/addr.h"

enum frame_state {
    FRAME_FREE,
    FRAME_HYP,      /* the hypervisor's own data, stacks, tables of its own */
    FRAME_TABLE,    /* a stage-2 page table of owner */
    FRAME_VM,       /* RAM of owner */
    FRAME_SHARED,   /* copy-on-write, several VMs */
    FRAME_LENT,     /* given to a device or another VM for a while */
    FRAME_RESERVED, /* firmware, device tree, bundle, holes */
    FRAME_STATES
};

enum { FRAME_ORDER_4K = 0, FRAME_ORDER_16K = 2, FRAME_ORDER_2M = 9, FRAME_ORDER_1G = 18 };
enum { OWNER_HYP = 0 }; /* VM owners are 1.. */

struct frame_info {
    enum frame_state state;
    uint16_t owner;
    uint32_t refs, pins;
    uint8_t order; /* 9 when the whole 2 MiB block is one allocation, else 0 */
};

/* Boot: one call for each bank of RAM, then one for each reservation, then frame_init_done.
 * Banks may be unaligned, reservations may lie anywhere, overlap, or be outside RAM. The two-level
 * database itself is taken from the banks. */
int frame_add_bank(pa_t base, uint64_t size) MUST_CHECK;
void frame_reserve(pa_t base, uint64_t size);
int frame_init_done(void) MUST_CHECK;
/* Gives reserved RAM (say, a bundle that is no longer needed) to the allocator. */
void frame_unreserve(pa_t base, uint64_t size);

/* 2^order frames with one reference each (a 2 MiB or larger allocation has one for its whole).
 * 0, -ENOMEM (no piece that large), -EINVAL. */
int frame_alloc(unsigned order, enum frame_state state, uint16_t owner, pa_t *out) MUST_CHECK;
/* Reference counts. The last put frees. pa may be anywhere within the allocation. */
void frame_get(pa_t p);
void frame_put(pa_t p);
/* Turns a 2 MiB allocation into 512 single frames with the same state, owner and references
 * (when only a part of it is to be freed). 0 or -ENOMEM. */
int frame_split(pa_t block) MUST_CHECK;
/* Pins for devices that do DMA. 0, or -EINVAL for a frame that is free or reserved. */
int frame_pin(pa_t p) MUST_CHECK;
void frame_unpin(pa_t p);
int frame_set_state(pa_t p, enum frame_state state, uint16_t owner) MUST_CHECK;
struct frame_info frame_query(pa_t p); /* outside RAM: FRAME_RESERVED */
bool frame_is_ram(pa_t p);

/* Frames by state, for all owners (owner = -1) or one; the sum over states is all RAM. */
void frame_count(int owner, uint64_t counts[FRAME_STATES]);
uint64_t frame_free_count(void); /* free 4 KiB frames; cheap */
/* Free 2 MiB blocks; cheap: says whether memory is plentiful. */
uint64_t frame_free_blocks(void);
/* A page for the hypervisor itself, zeroed; NULL when out of memory. */
void *frame_alloc_page(void);
void frame_free_page(void *page);
