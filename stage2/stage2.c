// SPDX-License-Identifier: BSD-2-Clause
// The life of a stage 2, its RAM regions, and looking at it.
#include "stage2/stage2.h"

#include <errno.h>

#include "mem/frame.h"
#include "sched/xcall.h"
#include "stage2/walk.h"

uint32_t stage2_modes;

enum { ROOT_PAGES = 4 };

const char *stage2_mode_name(enum stage2_mode mode)
{
    switch (mode) {
    case STAGE2_BARE:
        return "Bare";
    case STAGE2_SV39X4:
        return "Sv39x4";
    case STAGE2_SV48X4:
        return "Sv48x4";
    case STAGE2_SV57X4:
        return "Sv57x4";
    }
    return "?";
}

unsigned stage2_mode_gpa_bits(enum stage2_mode mode)
{
    return mode == STAGE2_BARE ? 56 : 5 + 9 * (unsigned)mode - 36;
}

int stage2_create(struct stage2 *s2, uint16_t owner, uint64_t gpa_end)
{
    unsigned mode = STAGE2_SV39X4;
    pa_t root;

    while (!(stage2_modes >> mode & 1) || gpa_end > BIT(stage2_mode_gpa_bits(mode))) {
        if (++mode > STAGE2_SV57X4)
            return -EINVAL;
    }
    if (frame_alloc(FRAME_ORDER_16K, FRAME_TABLE, owner, &root))
        return -ENOMEM;
    arch_zero_page_run(pa_to_hva(root), ROOT_PAGES * PAGE_SIZE);
    *s2 = (struct stage2){
        .root = root, .mode = (uint8_t)mode, .owner = owner, .table_frames = ROOT_PAGES};
    spin_init(&s2->lock, LOCK_STAGE2);
    return 0;
}

static void unload(void *s2) { vmid_unload(s2); }

void stage2_destroy(struct stage2 *s2)
{
    struct stage2_flush f = STAGE2_FLUSH_INIT(s2);
    uint64_t harts;

    if (!s2->root.v)
        return;
    /* Nothing reaches beyond the range, so this takes no memory. */
    if (stage2_unmap(s2, gpa(0), walk_end(s2), &f) == 0) {
        f.busy = true; /* what a lost batch left, too */
        flush_add(&f, 0, walk_end(s2));
        stage2_flush_commit(&f);
    }
    harts = atomic_exchange(&s2->harts, 0);
    if (harts)
        xcall_run(harts, unload, s2);
    frame_put_range(s2->root, ROOT_PAGES * PAGE_SIZE);
    s2->root = pa(0);
    s2->table_frames = 0;
}

int stage2_add_ram(struct stage2 *s2, gpa_t base, uint64_t size)
{
    if (!walk_range_ok(s2, base.v, size) || base.v + size > 1ul << 44)
        return -EINVAL;
    for (unsigned i = 0; i < s2->ram_count; i++) {
        if (base.v < s2->ram[i].base.v + s2->ram[i].size && s2->ram[i].base.v < base.v + size)
            return -EINVAL;
    }
    if (s2->ram_count == STAGE2_MAX_RAM)
        return -ENOSPC;
    s2->ram[s2->ram_count++] = (struct stage2_ram){base, size};
    return 0;
}

const struct stage2_ram *stage2_find_ram(const struct stage2 *s2, gpa_t g)
{
    for (unsigned i = 0; i < s2->ram_count; i++) {
        if (g.v - s2->ram[i].base.v < s2->ram[i].size)
            return &s2->ram[i];
    }
    return NULL;
}

static struct stage2_leaf leaf_at(uint64_t pte, unsigned level, uint64_t g)
{
    uint64_t size = level_size(level);

    return (struct stage2_leaf){pte, pa(pte_pa(pte) + (g & (size - 1))), size};
}

int stage2_lookup(struct stage2 *s2, gpa_t g, struct stage2_leaf *leaf)
{
    struct walk_point p;

    if (g.v >= walk_end(s2))
        return -ENOENT;
    walk_reader(s2);
    p = walk_point(s2, g.v);
    if (!pte_is_leaf(p.pte))
        return -ENOENT;
    *leaf = leaf_at(p.pte, p.level, g.v);
    return 0;
}

struct each {
    void (*call)(void *ctx, gpa_t g, const struct stage2_leaf *leaf);
    void *ctx;
};

static int visit_each(struct walk *w, const struct walk_entry *e)
{
    const struct each *each = w->ctx;

    if (pte_is_leaf(e->pte)) {
        struct stage2_leaf leaf = leaf_at(e->pte, e->level, e->gpa);

        each->call(each->ctx, gpa(e->gpa), &leaf);
    }
    return pte_is_table(e->pte) ? WALK_DESCEND : WALK_NEXT;
}

void stage2_for_each(struct stage2 *s2, gpa_t g, uint64_t size,
                     void (*call)(void *ctx, gpa_t g, const struct stage2_leaf *leaf), void *ctx)
{
    struct each each = {call, ctx};
    struct walk w = {.enter = visit_each, .s2 = s2, .ctx = &each};
    int r = 0;

    if (g.v >= walk_end(s2))
        return;
    spin_lock(&s2->lock);
    r = walk_range(&w, g.v, min_u64(size, walk_end(s2) - g.v));
    spin_unlock(&s2->lock);
    (void)r; /* visit_each never stops */
}

struct trace {
    struct stage2_step *step;
    unsigned count;
};

static int visit_trace(struct walk *w, const struct walk_entry *e)
{
    struct trace *t = w->ctx;
    unsigned index = (unsigned)((uintptr_t)e->slot >> 3 & 511);
    uint64_t table = align_down(hva_to_pa(e->slot).v, PAGE_SIZE);

    if (!t->count) { /* the root has four pages */
        table = w->s2->root.v;
        index = (unsigned)(e->gpa >> level_shift(e->level));
    }
    t->step[t->count++] = (struct stage2_step){e->level, pa(table), index, e->pte};
    return pte_is_table(e->pte) ? WALK_DESCEND : WALK_NEXT;
}

unsigned stage2_trace(struct stage2 *s2, gpa_t g, struct stage2_step steps[5])
{
    struct trace t = {steps, 0};
    struct walk w = {.enter = visit_trace, .s2 = s2, .ctx = &t};

    if (g.v >= walk_end(s2))
        return 0;
    spin_lock(&s2->lock);
    if (walk_range(&w, g.v, 1) < 0)
        t.count = 0;
    spin_unlock(&s2->lock);
    return t.count;
}
