// SPDX-License-Identifier: BSD-2-Clause
// Changing what is mapped: unmap, protect, split, merge. Leaves at the ends of the range are split,
// so that an operation sees only entries that lie wholly in it.
#include <errno.h>

#include "base/panic.h"
#include "mem/frame.h"
#include "stage2/walk.h"

/* So that each leaf of the next smaller size can hold its own references. */
static int split_frames(const struct walk_entry *e)
{
    uint64_t p = pte_pa(e->pte), child = e->size >> 9;
    int r = 0;

    if (child == PAGE_SIZE)
        return frame_split_for(pa(p), PAGE_SIZE);
    for (uint64_t at = 0; at < e->size && !r; at += child)
        r = frame_split_for(pa(p + at), child);
    return r;
}

static int visit_cut(struct walk *w, const struct walk_entry *e)
{
    int r;

    if (entry_whole(e))
        return WALK_NEXT;
    if (pte_is_table(e->pte))
        return WALK_DESCEND;
    if (!pte_is_leaf(e->pte))
        return WALK_NEXT;
    r = split_frames(e);
    w->needed++;
    return r ? r : WALK_DESCEND;
}

/* Puts a table of smaller leaves in the leaf's place. */
static void split_entry(struct walk *w, const struct walk_entry *e)
{
    uint64_t table = walk_take_table(w), *child = pa_to_hva(pa(table)), old;

    for (unsigned i = 0; i < 512; i++)
        child[i] = e->pte + pte_make(i * (e->size >> 9), 0);
    old = __atomic_exchange_n(e->slot, pte_make(table, PTE_V), __ATOMIC_ACQ_REL);
    if (old & ~e->pte & PTE_D) { /* the hardware set it meanwhile */
        for (unsigned i = 0; i < 512; i++)
            __atomic_fetch_or(&child[i], PTE_D, __ATOMIC_RELAXED);
    }
    flush_add(w->flush, e->gpa, e->size);
}

static int visit_change(struct walk *w, const struct walk_entry *e)
{
    if (!pte_is_leaf(e->pte) && !pte_is_table(e->pte))
        return WALK_NEXT;
    if (entry_whole(e))
        return w->apply(w, e);
    if (pte_is_leaf(e->pte))
        split_entry(w, e);
    return WALK_DESCEND;
}

int change_locked(struct walk *w, uint64_t g, uint64_t size)
{
    int r;

    w->enter = visit_cut;
    r = walk_range(w, g, size);
    if (r || (r = walk_reserve(w)))
        return r;
    w->enter = visit_change;
    r = walk_range(w, g, size);
    ASSERT(!r && !w->tables.v);
    return 0;
}

static int change(struct walk *w, uint64_t g, uint64_t size)
{
    int r;

    if (!walk_range_ok(w->s2, g, size))
        return -EINVAL;
    spin_lock(&w->s2->lock);
    r = change_locked(w, g, size);
    spin_unlock(&w->s2->lock);
    return r;
}

/* A whole table goes by one store; what is below it is freed after the flush. */
static int apply_unmap(struct walk *w, const struct walk_entry *e)
{
    pte_store(e->slot, (e->pte & ~(uint64_t)PTE_V) | PTE_SOFT_BUSY);
    flush_add(w->flush, e->gpa, e->size);
    w->flush->busy = true;
    return WALK_NEXT;
}

int stage2_unmap(struct stage2 *s2, gpa_t g, uint64_t size, struct stage2_flush *f)
{
    struct walk w = {.apply = apply_unmap, .s2 = s2, .flush = f};

    return change(&w, g.v, size);
}

static int apply_protect(struct walk *w, const struct walk_entry *e)
{
    uint64_t old = e->pte, pte;

    if (pte_is_table(old))
        return WALK_DESCEND;
    do {
        pte = (old & ~PTE_RWX) | w->arg;
        if (old & PTE_SOFT_COW)
            pte &= ~(uint64_t)PTE_W;
    } while (!__atomic_compare_exchange_n(e->slot, &old, pte, false, __ATOMIC_RELEASE,
                                          __ATOMIC_RELAXED));
    if (pte != old)
        flush_add(w->flush, e->gpa, e->size);
    return WALK_NEXT;
}

int stage2_protect(struct stage2 *s2, gpa_t g, uint64_t size, unsigned prot, struct stage2_flush *f)
{
    struct walk w = {.apply = apply_protect, .s2 = s2, .flush = f, .arg = (uint64_t)prot << 1};

    if (!(prot & PROT_R) || prot & ~(unsigned)(PROT_R | PROT_W | PROT_X))
        return -EINVAL;
    return change(&w, g.v, size);
}

static int apply_nothing(struct walk *w, const struct walk_entry *e)
{
    (void)w;
    (void)e;
    return WALK_NEXT;
}

int split_locked(struct stage2 *s2, uint64_t g, uint64_t page_size, struct stage2_flush *f)
{
    struct walk w = {.apply = apply_nothing, .s2 = s2, .flush = f};

    return change_locked(&w, align_down(g, page_size), page_size);
}

int stage2_split(struct stage2 *s2, gpa_t g, uint64_t page_size, struct stage2_flush *f)
{
    int r;

    if (g.v >= walk_end(s2) || (page_size != PAGE_SIZE && page_size != MIB(2)))
        return -EINVAL;
    spin_lock(&s2->lock);
    r = split_locked(s2, g.v, page_size, f);
    spin_unlock(&s2->lock);
    return r;
}

/* Remembers the last entry that points at a table. */
static int visit_parent(struct walk *w, const struct walk_entry *e)
{
    if (!pte_is_table(e->pte))
        return pte_is_leaf(e->pte) ? WALK_NEXT : -ENOENT;
    *(struct walk_entry *)w->ctx = *e;
    return WALK_DESCEND;
}

static bool alike(const uint64_t *table, uint64_t size)
{
    const uint64_t ad = PTE_A | PTE_D;
    uint64_t first = pte_load(table) & ~ad;

    if (!is_aligned(pte_pa(first), size) || first & PTE_SOFT_BUSY)
        return false;
    for (unsigned i = 0; i < 512; i++) {
        uint64_t pte = pte_load(&table[i]);

        if (!pte_is_leaf(pte) || (pte & ~ad) != first + pte_make(i * (size >> 9), 0))
            return false;
    }
    return true;
}

static int merge_locked(struct stage2 *s2, uint64_t g, struct stage2_flush *f)
{
    struct walk_entry parent = {0};
    struct walk w = {.enter = visit_parent, .s2 = s2, .ctx = &parent};
    int r = walk_range(&w, g, 1);
    uint64_t *table;

    if (r)
        return r;
    if (!parent.slot || parent.level > 2)
        return -ENOENT;
    table = pa_to_hva(pa(pte_pa(parent.pte)));
    if (!alike(table, parent.size))
        return -ENOENT;
    /* A and D: the hardware may set D in the table until the flush. */
    pte_store(parent.slot, pte_load(table) | PTE_A | PTE_D);
    flush_add(f, parent.gpa, parent.size);
    /* Whoever walks the old table still finds its first entry not valid, and asks again. */
    pte_store(&table[0], s2->merged.v);
    s2->merged = pa(pte_pa(parent.pte));
    return 0;
}

int stage2_merge(struct stage2 *s2, gpa_t g, struct stage2_flush *f)
{
    int r;

    if (g.v >= walk_end(s2))
        return -EINVAL;
    spin_lock(&s2->lock);
    r = merge_locked(s2, g.v, f);
    spin_unlock(&s2->lock);
    return r;
}
