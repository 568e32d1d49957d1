// SPDX-License-Identifier: BSD-2-Clause
// Flush batches. What unmap takes out stays in the tables as busy entries (V clear, PTE_SOFT_BUSY
// set, the frame number kept), so that taking out needs no memory and no list through memory that a
// guest may still write. The commit claims the busy entries in its range with a tag of its own,
// flushes all harts, and frees what still carries its tag: what was taken out later has another tag
// or none, and is freed after its own flush.
#include "base/panic.h"
#include "mem/frame.h"
#include "sched/xcall.h"
#include "stage2/walk.h"

/* More pages than this are flushed by VMID. */
enum { FLUSH_PAGES = 16 };

static void flush_hart(void *arg)
{
    const struct stage2_flush *f = arg;
    struct stage2 *s2 = f->s2;
    uint16_t vmid;

    if (!vmid_loaded(s2, &vmid)) {
        /* It ran here once; after this nothing of it is left here. */
        arch_hfence_gvma_vmid(vmid);
        atomic_fetch_and(&s2->harts, ~BIT(hart_index()));
    } else if (f->end - f->start > FLUSH_PAGES * PAGE_SIZE) {
        arch_hfence_gvma_vmid(vmid);
    } else {
        for (uint64_t g = f->start; g < f->end; g += PAGE_SIZE)
            arch_hfence_gvma_gpa(g, vmid);
    }
}

static uint64_t tag_of(uint64_t pte) { return pte >> PTE_TAG_SHIFT; }

static int visit_claim(struct walk *w, const struct walk_entry *e)
{
    if (pte_is_gone(e->pte) && entry_whole(e))
        pte_store(e->slot, (e->pte & ~(0ul - BIT(PTE_TAG_SHIFT))) | w->arg << PTE_TAG_SHIFT);
    return pte_is_table(e->pte) ? WALK_DESCEND : WALK_NEXT;
}

/* w->ctx is not NULL below a table that was taken out: all there is to be freed. */
static int visit_reclaim(struct walk *w, const struct walk_entry *e)
{
    bool below = w->ctx, mine = below || (pte_is_gone(e->pte) && tag_of(e->pte) == w->arg);

    if (!e->pte)
        return WALK_NEXT;
    if (!mine)
        return pte_is_table(e->pte) ? WALK_DESCEND : WALK_NEXT;
    if (e->pte & PTE_RWX) {
        pte_store(e->slot, 0);
        w->s2->mapped_bytes -= e->size;
        if (e->pte & PTE_SOFT_COW)
            w->s2->shared_bytes -= e->size;
        frame_put_range(pa(pte_pa(e->pte)), e->size);
        return WALK_NEXT;
    }
    if (!below)
        w->ctx = e->slot; /* until leave_reclaim of the same entry */
    return WALK_DESCEND;
}

static void put_table(struct stage2 *s2, uint64_t table)
{
    frame_put(pa(table));
    s2->table_frames--;
}

static void leave_reclaim(struct walk *w, const struct walk_entry *e)
{
    if (!w->ctx)
        return;
    if (w->ctx == e->slot)
        w->ctx = NULL;
    pte_store(e->slot, 0);
    put_table(w->s2, pte_pa(e->pte));
}

static void walk_busy(struct stage2_flush *f, struct walk *w)
{
    int r = walk_range(w, f->start, f->end - f->start);

    ASSERT(!r); /* these visitors never stop */
}

/* The tables that merges have taken out until now, of whatever batch: all of the VM's translations must go before
 * they are freed. */
static pa_t take_merged(struct stage2_flush *f)
{
    pa_t tables = f->s2->merged;

    f->s2->merged = pa(0);
    if (tables.v) {
        f->start = 0;
        f->end = walk_end(f->s2);
    }
    return tables;
}

static void free_merged(struct stage2 *s2, pa_t tables)
{
    while (tables.v) {
        uint64_t table = tables.v;

        tables = pa(*(uint64_t *)pa_to_hva(tables));
        put_table(s2, table);
    }
}

static void forget_code(void *arg)
{
    (void)arg;
    arch_fence_i();
}

void flush_code(struct stage2 *s2)
{
    uint64_t harts;

    atomic_fetch_add(&s2->code_written, 1);
    /* As in stage2_flush_commit: a hart that is not in the set yet will see the count. */
    arch_fence_rw();
    harts = atomic_load(&s2->harts);
    if (harts)
        xcall_run(harts, forget_code, NULL);
}

void stage2_flush_commit(struct stage2_flush *f)
{
    struct stage2 *s2 = f->s2;
    struct walk w = {.enter = visit_claim, .s2 = s2};
    struct stage2_flush wide = *f; /* what the harts flush */
    uint64_t harts;
    pa_t merged;

    if (f->start >= f->end)
        return;
    spin_lock(&s2->lock);
    if (f->busy) {
        s2->flush_tag = s2->flush_tag % PTE_TAG_MAX + 1;
        w.arg = s2->flush_tag;
        walk_busy(f, &w);
    }
    merged = take_merged(&wide);
    spin_unlock(&s2->lock);
    /* The changes are visible before it is read who may have seen what was before them. */
    arch_fence_rw();
    harts = atomic_load(&s2->harts);
    if (harts)
        xcall_run(harts, flush_hart, &wide);
    if (f->busy || merged.v) {
        spin_lock(&s2->lock);
        if (f->busy) {
            w.enter = visit_reclaim;
            w.leave = leave_reclaim;
            walk_busy(f, &w);
        }
        free_merged(s2, merged);
        spin_unlock(&s2->lock);
    }
    *f = (struct stage2_flush)STAGE2_FLUSH_INIT(s2);
}
