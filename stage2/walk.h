// SPDX-License-Identifier: BSD-2-Clause
// The walk of stage-2 tables, internal to stage2/: one descent, visitors say what to do.
//
// A change of the tables is two walks over the same range with the lock held: the first counts the
// tables that it needs (in a table that is not there yet entries have no slot), the second, which
// cannot fail, uses them.
// Entries are read and written atomically: the hardware sets A and D bits, and readers hold no
// lock.
//
// Readers without the lock (walk_point between walk_reader and the last use of what it found) are
// safe for the reason that a TLB is: they announce their hart in s2->harts, they answer no
// cross-hart request meanwhile (so no lock, no log, no wait), and what leaves the tables is freed
// only after a flush that every hart in s2->harts has answered.
// Lock rank: LOCK_STAGE2 held by the caller of walk_range. Callers: stage2/ only.
#pragma once
#include <stdatomic.h>

#include "base/arch.h"
#include "stage2/stage2.h"

#define PTE_RWX ((uint64_t)(PTE_R | PTE_W | PTE_X))
#define PTE_LEAF ((uint64_t)(PTE_V | PTE_U | PTE_A | PTE_D)) /* in every leaf */
#define PTE_PPN_SHIFT 10
#define PTE_PPN_MASK (((1ul << 44) - 1) << PTE_PPN_SHIFT)
/* In a busy entry without V: which flush frees it. */
#define PTE_TAG_SHIFT 54
#define PTE_TAG_MAX 1023

static inline uint64_t pte_make(uint64_t p, uint64_t bits)
{
    return (p >> PAGE_SHIFT) << PTE_PPN_SHIFT | bits;
}
static inline uint64_t pte_pa(uint64_t pte)
{
    return (pte & PTE_PPN_MASK) >> PTE_PPN_SHIFT << PAGE_SHIFT;
}
static inline bool pte_is_leaf(uint64_t pte) { return (pte & PTE_V) && (pte & PTE_RWX); }
static inline bool pte_is_table(uint64_t pte) { return (pte & PTE_V) && !(pte & PTE_RWX); }
/* Out of the tables, not freed yet. */
static inline bool pte_is_gone(uint64_t pte) { return !(pte & PTE_V) && (pte & PTE_SOFT_BUSY); }
static inline uint64_t pte_load(const uint64_t *slot)
{
    return __atomic_load_n(slot, __ATOMIC_ACQUIRE);
}
static inline void pte_store(uint64_t *slot, uint64_t pte)
{
    __atomic_store_n(slot, pte, __ATOMIC_RELEASE);
}

static inline unsigned level_shift(unsigned level) { return PAGE_SHIFT + 9 * level; }
static inline uint64_t level_size(unsigned level) { return 1ul << level_shift(level); }
static inline unsigned walk_levels(const struct stage2 *s2)
{
    return s2->mode - STAGE2_SV39X4 + 3u;
}
static inline uint64_t walk_end(const struct stage2 *s2) { return 1ul << (5 + 9 * s2->mode - 36); }
/* Whole pages, not empty, within the mode's range. */
bool walk_range_ok(const struct stage2 *s2, uint64_t g, uint64_t size);

struct walk_entry {
    uint64_t *slot;      /* NULL: in a table that is not there yet */
    uint64_t pte; /* as read; without a slot: what splitting the leaf above would put here, or 0 */
    uint64_t gpa, size; /* what the entry covers */
    uint64_t start, end; /* the part of the range within it */
    unsigned level; /* 0: 4 KiB */
};
static inline bool entry_whole(const struct walk_entry *e) { return e->end - e->start == e->size; }

enum { WALK_NEXT = 0, WALK_DESCEND = 1 }; /* or a negative errno: stop */
struct walk {
    /* At each entry that overlaps the range, ascending. */
    int (*enter)(struct walk *w, const struct walk_entry *e);
    /* After the table that enter descended into; may be NULL. */
    void (*leave)(struct walk *w, const struct walk_entry *e);
    /* What change.c does to an entry that is wholly in the range; like enter. */
    int (*apply)(struct walk *w, const struct walk_entry *e);
    struct stage2 *s2;
    pa_t tables; /* reserve: tables at hand, chained through their first word */
    unsigned needed; /* tables, counted by the first walk */
    uint64_t arg;
    void *ctx;
    struct stage2_flush *flush;
};

/* 0 or what enter returned. The range must be within the mode's. */
int walk_range(struct walk *w, uint64_t g, uint64_t size);
/* w->needed zeroed tables into w->tables; 0 or -ENOMEM and none. */
int walk_reserve(struct walk *w);
/* Takes one of the reserved tables. */
uint64_t walk_take_table(struct walk *w);

/* The last entry on the way to g: a leaf, or what is not valid. No lock needed for readers. */
struct walk_point {
    uint64_t *slot;
    uint64_t pte;
    unsigned level;
};
static inline struct walk_point walk_point(const struct stage2 *s2, uint64_t g)
{
    unsigned level = walk_levels(s2) - 1;
    uint64_t *table = pa_to_hva(s2->root);
    uint64_t index = g >> level_shift(level) & 2047;

    for (;;) {
        struct walk_point p = {&table[index], pte_load(&table[index]), level};

        if (!pte_is_table(p.pte))
            return p;
        table = pa_to_hva(pa(pte_pa(p.pte)));
        level--;
        index = g >> level_shift(level) & 511;
    }
}

/* Opens a read of the tables without the lock; see above. */
static inline void walk_reader(struct stage2 *s2)
{
    uint64_t bit = BIT(hart_index());

    if (!(atomic_load_explicit(&s2->harts, memory_order_relaxed) & bit)) {
        atomic_fetch_or(&s2->harts, bit);
        arch_fence_rw();
    }
}

/* Adds [g, g+size) to a batch. */
static inline void flush_add(struct stage2_flush *f, uint64_t g, uint64_t size)
{
    f->start = min_u64(f->start, g);
    f->end = max_u64(f->end, g + size);
}

/* map.c, change.c: with the lock held. own: the caller's reference goes over to the leaf. -EAGAIN:
 * busy entries are in the way, they are in f. */
int map_locked(struct stage2 *s2, uint64_t g, uint64_t p, uint64_t size, uint64_t bits, bool own,
               struct stage2_flush *f) MUST_CHECK;
int change_locked(struct walk *w, uint64_t g, uint64_t size) MUST_CHECK;
int split_locked(struct stage2 *s2, uint64_t g, uint64_t page_size,
                 struct stage2_flush *f) MUST_CHECK;

/* flush.c: what was just written, and will be mapped, may be code: no hart that runs the VM keeps, in its instruction
 * cache, what was there before. No lock held. */
void flush_code(struct stage2 *s2);

/* populate.c: as stage2_populate, for guest_mem: its callers cannot wait, so it may take a part of the reserve. */
int populate_at_once(struct stage2 *s2, gpa_t g, bool write) MUST_CHECK;

/* vmid.c. On this hart: whether s2 is loaded, and by which VMID. */
bool vmid_loaded(const struct stage2 *s2, uint16_t *vmid);
/* Unloads s2 from this hart, since it is being destroyed. */
void vmid_unload(const struct stage2 *s2);
