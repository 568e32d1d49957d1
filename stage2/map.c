// SPDX-License-Identifier: BSD-2-Clause
// Mapping: the first walk says what is in the way and how many tables are missing, the second fills
// in.
#include <errno.h>

#include "base/panic.h"
#include "mem/frame.h"
#include "stage2/walk.h"

struct map {
    uint64_t offset; /* pa - gpa */
    uint64_t bits;
    bool own;
};

static bool fits(const struct map *m, const struct walk_entry *e)
{
    return e->level <= 2 && entry_whole(e) && is_aligned(e->gpa + m->offset, e->size);
}

static int visit_plan(struct walk *w, const struct walk_entry *e)
{
    const struct map *m = w->ctx;

    if (pte_is_leaf(e->pte))
        return -EEXIST;
    if (pte_is_gone(e->pte)) {
        flush_add(w->flush, e->gpa, e->size);
        w->flush->busy = true;
        return -EAGAIN;
    }
    if (pte_is_table(e->pte))
        return WALK_DESCEND;
    if (fits(m, e))
        return m->own ? WALK_NEXT : frame_split_for(pa(e->gpa + m->offset), e->size);
    w->needed++;
    return WALK_DESCEND;
}

static int visit_fill(struct walk *w, const struct walk_entry *e)
{
    const struct map *m = w->ctx;
    pa_t p = pa(e->gpa + m->offset);

    if (pte_is_table(e->pte))
        return WALK_DESCEND;
    if (!fits(m, e)) {
        pte_store(e->slot, pte_make(walk_take_table(w), PTE_V));
        return WALK_DESCEND;
    }
    if (!m->own)
        frame_get_range(p, e->size);
    pte_store(e->slot, pte_make(p.v, m->bits | PTE_LEAF));
    w->s2->mapped_bytes += e->size;
    if (m->bits & PTE_SOFT_COW)
        w->s2->shared_bytes += e->size;
    return WALK_NEXT;
}

int map_locked(struct stage2 *s2, uint64_t g, uint64_t p, uint64_t size, uint64_t bits, bool own,
               struct stage2_flush *f)
{
    struct map m = {p - g, bits, own};
    struct walk w = {.enter = visit_plan, .s2 = s2, .ctx = &m, .flush = f};
    int r = walk_range(&w, g, size);

    if (r || (r = walk_reserve(&w)))
        return r;
    w.enter = visit_fill;
    r = walk_range(&w, g, size);
    ASSERT(!r && !w.tables.v);
    return 0;
}

int stage2_map(struct stage2 *s2, gpa_t g, pa_t p, uint64_t size, unsigned prot, uint64_t pte_soft)
{
    uint64_t bits = (uint64_t)prot << 1 | (pte_soft & PTE_SOFT_COW); /* PROT_R.. are PTE_R.. >> 1 */
    int r;

    if (!walk_range_ok(s2, g.v, size) || !is_aligned(p.v, PAGE_SIZE) || !(prot & PROT_R) ||
        prot & ~(unsigned)(PROT_R | PROT_W | PROT_X) || !range_ok(p.v, size, 1ul << 56))
        return -EINVAL;
    if (bits & PTE_SOFT_COW)
        bits &= ~(uint64_t)PTE_W;
    do {
        struct stage2_flush f = STAGE2_FLUSH_INIT(s2);

        spin_lock(&s2->lock);
        r = map_locked(s2, g.v, p.v, size, bits, false, &f);
        spin_unlock(&s2->lock);
        stage2_flush_commit(&f);
    } while (r == -EAGAIN);
    return r;
}
