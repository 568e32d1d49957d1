// SPDX-License-Identifier: BSD-2-Clause
#include "stage2/walk.h"

#include <errno.h>

#include "base/panic.h"
#include "mem/frame.h"

bool walk_range_ok(const struct stage2 *s2, uint64_t g, uint64_t size)
{
    return size && is_aligned(g | size, PAGE_SIZE) && range_ok(g, size, walk_end(s2));
}

/* The part [start, end) of a table at level whose first entry is for base. table NULL: not there
 * yet, its entries would be the parts of leaf (0: nothing). */
static int walk_table(struct walk *w, uint64_t *table, uint64_t leaf, unsigned level, uint64_t base,
                      uint64_t start, uint64_t end)
{
    uint64_t size = level_size(level);

    for (uint64_t g = align_down(start, size); g < end; g += size) {
        uint64_t index = (g - base) >> level_shift(level), pte;
        struct walk_entry e = {.slot = table ? &table[index] : NULL,
                               .gpa = g,
                               .size = size,
                               .start = max_u64(start, g),
                               .end = min_u64(end, g + size),
                               .level = level};
        int r;

        e.pte = table ? pte_load(e.slot) : leaf ? leaf + pte_make(g - base, 0) : 0;
        r = w->enter(w, &e);
        if (r < 0)
            return r;
        if (r != WALK_DESCEND)
            continue;
        ASSERT(level);
        pte = e.slot ? pte_load(e.slot) : e.pte; /* enter may have made a table */
        if (pte && !(pte & PTE_RWX))
            r = walk_table(w, pa_to_hva(pa(pte_pa(pte))), 0, level - 1, g, e.start, e.end);
        else
            r = walk_table(w, NULL, pte, level - 1, g, e.start, e.end);
        if (r < 0)
            return r;
        if (w->leave)
            w->leave(w, &e);
    }
    return 0;
}

int walk_range(struct walk *w, uint64_t g, uint64_t size)
{
    return walk_table(w, pa_to_hva(w->s2->root), 0, walk_levels(w->s2) - 1, 0, g, g + size);
}

int walk_reserve(struct walk *w)
{
    for (unsigned i = 0; i < w->needed; i++) {
        pa_t p;

        if (frame_alloc(FRAME_ORDER_4K, FRAME_TABLE, w->s2->owner, &p)) {
            while (w->tables.v)
                frame_put(pa(walk_take_table(w)));
            w->s2->table_frames -= i;
            return -ENOMEM;
        }
        arch_zero_page_run(pa_to_hva(p), PAGE_SIZE);
        *(uint64_t *)pa_to_hva(p) = w->tables.v;
        w->tables = p;
        w->s2->table_frames++;
    }
    return 0;
}

uint64_t walk_take_table(struct walk *w)
{
    uint64_t p = w->tables.v, *table = pa_to_hva(w->tables);

    ASSERT(p);
    w->tables = pa(table[0]);
    table[0] = 0;
    return p;
}
