// SPDX-License-Identifier: BSD-2-Clause
// Dirty tracking by the D bit. Hardware that does not set it faults on a store, and populate sets
// it; so does guest_mem for what the hypervisor and devices write.
#include <errno.h>

#include "stage2/walk.h"

struct harvest {
    void (*dirty)(void *ctx, gpa_t g, uint64_t size);
    void *ctx;
};

static int apply_clean(struct walk *w, const struct walk_entry *e)
{
    const struct harvest *h = w->ctx;

    if (pte_is_table(e->pte))
        return WALK_DESCEND;
    if (__atomic_fetch_and(e->slot, ~(uint64_t)PTE_D, __ATOMIC_ACQ_REL) & PTE_D) {
        flush_add(w->flush, e->gpa, e->size);
        if (h->dirty)
            h->dirty(h->ctx, gpa(e->gpa), e->size);
    }
    return WALK_NEXT;
}

int stage2_dirty_harvest(struct stage2 *s2, gpa_t g, uint64_t size,
                         void (*dirty)(void *ctx, gpa_t g, uint64_t size), void *ctx,
                         struct stage2_flush *f)
{
    struct harvest h = {dirty, ctx};
    struct walk w = {.apply = apply_clean, .s2 = s2, .flush = f, .ctx = &h};
    int r;

    if (!walk_range_ok(s2, g.v, size))
        return -EINVAL;
    spin_lock(&s2->lock);
    r = change_locked(&w, g.v, size);
    spin_unlock(&s2->lock);
    return r;
}

int stage2_dirty_start(struct stage2 *s2, gpa_t g, uint64_t size, struct stage2_flush *f)
{
    return stage2_dirty_harvest(s2, g, size, NULL, NULL, f);
}
