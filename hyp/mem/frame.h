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
    FRAME_IMAGE,    /* a bundle's; VMs map it copy-on-write, with a reference each */
    FRAME_LENT,     /* given to a device or another VM for a while */
    FRAME_RESERVED, /* firmware, device tree, holes */
    FRAME_STATES
};

enum {
    FRAME_ORDER_4K = 0,
    FRAME_ORDER_16K = 2,
    FRAME_ORDER_64K = 4,
    FRAME_ORDER_2M = 9,
    FRAME_ORDER_1G = 18
};
enum { OWNER_HYP = 0 }; /* VM owners are 1.. */

struct frame_info {
    enum frame_state state;
    uint16_t owner;
    uint32_t refs, pins;
    uint8_t order; /* 9 when the whole 2 MiB block is one allocation, else 0 */
};

/* Boot: one call for each bank of RAM, then one for each reservation, then frame_init_done.
 * Banks may be unaligned, reservations may lie anywhere, overlap, or be outside RAM. The two-level
 * database itself is taken from the banks (reserved; the direct map must be there), 16 KiB for each
 * GiB and 4 KiB for each block that is split. add_bank: 0, -EINVAL (too late, wraps, beyond 2^56),
 * -ENOSPC (too many). init_done: 0, -ENOSPC (too many reservations), -ENOMEM (no room for the
 * database). */
int frame_add_bank(pa_t base, uint64_t size) MUST_CHECK;
void frame_reserve(pa_t base, uint64_t size);
int frame_init_done(void) MUST_CHECK;
/* Gives reserved RAM (say, a bundle that is no longer needed) to the allocator. */
void frame_unreserve(pa_t base, uint64_t size);

/* 2^order frames with one reference each (a 2 MiB or larger allocation has one for its whole).
 * 0, -ENOMEM (no piece that large), -EINVAL. */
int frame_alloc(unsigned order, enum frame_state state, uint16_t owner, pa_t *out) MUST_CHECK;
/* blocks contiguous pieces of 2 MiB, aligned to 2 MiB, an allocation with one reference each: given back by
 * frame_put_range over all of them or over some. 0, -ENOMEM (no run that long), -EINVAL. */
int frame_alloc_run(uint64_t blocks, enum frame_state state, uint16_t owner, pa_t *out) MUST_CHECK;
/* What is reserved of the whole pages in [p, p+size) becomes state, the hypervisor's, with one reference for each
 * allocation (2 MiB blocks where they lie wholly in the range). 0, -EINVAL, or -ENOMEM: what there was no memory for
 * stays reserved. */
int frame_adopt(pa_t p, uint64_t size, enum frame_state state) MUST_CHECK;
/* Reference counts. The last put frees. pa may be anywhere within the allocation. */
void frame_get(pa_t p);
void frame_put(pa_t p);
/* Turns a 2 MiB allocation into 512 single frames with the same state, owner and references
 * (when only a part of it is to be freed), or a larger one into 2 MiB ones. Pins taken before
 * protect all of the 512 until their unpin. 0 (also when it is split, reserved or not RAM),
 * -ENOMEM, -EBUSY (larger than 2 MiB and pinned). */
int frame_split(pa_t block) MUST_CHECK;
/* Pins for devices that do DMA. 0, -EINVAL for a frame that is free or reserved, -ENOMEM when the
 * count is full. */
int frame_pin(pa_t p) MUST_CHECK;
void frame_unpin(pa_t p);
/* Of an allocation. 0, or -EINVAL (p is free or reserved, or state says so). */
int frame_set_state(pa_t p, enum frame_state state, uint16_t owner) MUST_CHECK;
struct frame_info frame_query(pa_t p); /* outside RAM: FRAME_RESERVED */
bool frame_is_ram(pa_t p);

/* The same for all frames of [p, p+size), whole pages: one reference for each allocation in it (for
 * the whole of a 2 MiB or larger one, which must lie wholly in the range: see frame_split_for),
 * each pin counted page by page. Reserved frames and what is not RAM are passed over by get and
 * put. */
int frame_split_for(pa_t p,
                    uint64_t size) MUST_CHECK; /* splits what reaches beyond; as frame_split */
void frame_get_range(pa_t p, uint64_t size);
void frame_put_range(pa_t p, uint64_t size);
int frame_pin_range(pa_t p, uint64_t size) MUST_CHECK; /* all or none */
void frame_unpin_range(pa_t p, uint64_t size);

/* Frames by state, for all owners (owner = -1: the sum over states is all RAM) or one (then without
 * free and reserved, which are nobody's). Scans: not for hot paths. */
void frame_count(int owner, uint64_t counts[FRAME_STATES]);
uint64_t frame_free_count(void); /* free 4 KiB frames; cheap */
uint64_t frame_free_blocks(void); /* free 2 MiB blocks; cheap */
/* How much is left for guests, so that what they get becomes smaller before it ends. */
enum frame_supply {
    FRAME_PLENTY, /* more than a sixteenth of all 2 MiB blocks is free: pieces of 2 MiB */
    FRAME_SHORT, /* pieces of 64 KiB */
    FRAME_SCARCE, /* less than a 64th of all frames is free: single frames */
};
enum frame_supply frame_supply(void); /* cheap */
bool frame_plentiful(void); /* FRAME_PLENTY */
/* Guests may not have the last frames, which page tables and the hypervisor need to go on with what there is: a
 * 256th of RAM, 256 frames at least, 16384 at most. Whether a guest may have n more. at_once: for who cannot
 * wait, and may have half of the reserve. */
uint64_t frame_reserve_size(void);
bool frame_guests_may_have(uint64_t n, bool at_once);
/* Called when not even one more may be had without the reserve; on any hart, perhaps with locks before LOCK_FRAME
 * held: it may wake somebody, no more. NULL: nobody. Set once. */
extern void (*frame_guests_low)(void);
void frame_reset(void); /* tests only: back to before the first frame_add_bank */
/* A page for the hypervisor itself, zeroed; NULL when out of memory. */
void *frame_alloc_page(void);
void frame_free_page(void *page);
