// SPDX-License-Identifier: BSD-2-Clause
// First touch and copy-on-write. Each attempt looks at the tables with the lock held and either is
// done or says what it lacks: a zeroed piece, or a flush. These are got without the lock, then it
// looks again: whatever other harts did meanwhile is simply what it sees then.
//
// Breaking copy-on-write takes two steps, so that no hart reads the old page after another has
// written the new one: the copy is mapped, still without W and marked busy; all harts flush; then W
// is set.
#include <errno.h>
#include <string.h>

#include "mem/frame.h"
#include "stage2/walk.h"

enum next { DONE, ALLOCATE, FLUSH }; /* or a negative errno */

struct attempt {
    struct stage2 *s2;
    uint64_t g; /* page */
    bool write;
    bool small; /* no 2 MiB piece is to be had, or would fit */
    bool copying; /* the piece will be filled by a copy */
    pa_t piece; /* 0: none yet */
    uint64_t piece_size; /* wanted, or of the piece */
    uint64_t flushed; /* a busy leaf that this attempt has flushed */
    pa_t replaced; /* to be put after the flush; 0: none */
    struct stage2_flush flush;
};

static int want_flush(struct attempt *a, uint64_t size)
{
    flush_add(&a->flush, align_down(a->g, size), size);
    return FLUSH;
}

static int want_piece(struct attempt *a, uint64_t size, bool copying)
{
    a->piece_size = size;
    a->copying = copying;
    return ALLOCATE;
}

static void drop_piece(struct attempt *a)
{
    if (a->piece.v)
        frame_put(a->piece);
    a->piece = pa(0);
}

/* A write to a leaf with PTE_SOFT_COW. */
static int break_cow(struct attempt *a, struct walk_point at)
{
    struct frame_info old;
    pa_t from = pa(pte_pa(at.pte));
    uint64_t pte = at.pte & ~(uint64_t)(PTE_SOFT_COW | PTE_SOFT_BUSY);

    if (at.pte & PTE_SOFT_BUSY) {
        if (a->flushed != at.pte) {
            a->flushed = at.pte;
            return want_flush(a, PAGE_SIZE);
        }
        pte_store(at.slot, pte | PTE_W | PTE_A | PTE_D);
        return DONE;
    }
    old = frame_query(from);
    if (old.state != FRAME_RESERVED && old.refs == 1 && (at.level == 0) == (old.order == 0)) {
        /* The last one that shares it. */
        int r = frame_set_state(from, FRAME_VM, a->s2->owner);

        pte_store(at.slot, pte | PTE_W | PTE_A | PTE_D);
        return r;
    }
    if (at.level) {
        int r = split_locked(a->s2, a->g, PAGE_SIZE, &a->flush);

        if (r)
            return r;
        at = walk_point(a->s2, a->g);
        from = pa(pte_pa(at.pte));
    }
    if (!a->piece.v || a->piece_size != PAGE_SIZE) {
        drop_piece(a);
        return want_piece(a, PAGE_SIZE, true);
    }
    memcpy(pa_to_hva(a->piece), pa_to_hva(from), PAGE_SIZE);
    pte = pte_make(a->piece.v, (at.pte & ~PTE_PPN_MASK) | PTE_SOFT_BUSY | PTE_D);
    pte_store(at.slot, pte);
    a->flushed = pte;
    a->piece = pa(0);
    a->replaced = from;
    return want_flush(a, PAGE_SIZE);
}

static int at_leaf(struct attempt *a, struct walk_point at)
{
    if (!a->write || (at.pte & (PTE_W | PTE_D)) == (PTE_W | PTE_D))
        return DONE; /* another hart did it, or this one had a stale entry */
    if (at.pte & PTE_W) {
        __atomic_fetch_or(at.slot, PTE_A | PTE_D, __ATOMIC_RELEASE);
        return DONE;
    }
    return at.pte & PTE_SOFT_COW ? break_cow(a, at) : -EFAULT;
}

static bool may_be_large(const struct attempt *a, unsigned level)
{
    const struct stage2_ram *ram = stage2_find_ram(a->s2, gpa(a->g));
    uint64_t start = align_down(a->g, MIB(2));

    return level && !a->small && start >= ram->base.v &&
           start + MIB(2) <= ram->base.v + ram->size && frame_plentiful();
}

static int at_nothing(struct attempt *a, unsigned level)
{
    uint64_t size;
    int r;

    if (!a->piece.v || a->copying || (a->piece_size > PAGE_SIZE && !level)) {
        drop_piece(a);
        return want_piece(a, may_be_large(a, level) ? MIB(2) : PAGE_SIZE, false);
    }
    size = a->piece_size;
    r = map_locked(a->s2, align_down(a->g, size), a->piece.v, size, PTE_RWX, true, &a->flush);
    if (r == 0)
        a->piece = pa(0);
    if (r == -EAGAIN)
        return FLUSH;
    if (r == -ENOMEM && size > PAGE_SIZE) { /* no table, but the piece's memory can serve */
        drop_piece(a);
        a->small = true;
        return want_piece(a, PAGE_SIZE, false);
    }
    return r;
}

static int attempt(struct attempt *a)
{
    struct walk_point at = walk_point(a->s2, a->g);

    if (pte_is_leaf(at.pte))
        return at_leaf(a, at);
    if (pte_is_gone(at.pte)) { /* nothing may take its place before it is flushed */
        a->flush.busy = true;
        return want_flush(a, level_size(at.level));
    }
    return at_nothing(a, at.level);
}

static int allocate(struct attempt *a)
{
    unsigned order = a->piece_size > PAGE_SIZE ? FRAME_ORDER_2M : FRAME_ORDER_4K;

    if (frame_alloc(order, FRAME_VM, a->s2->owner, &a->piece)) {
        a->piece = pa(0);
        a->small = true;
        return order ? 0 : -ENOMEM;
    }
    if (!a->copying)
        arch_zero_page_run(pa_to_hva(a->piece), a->piece_size);
    return 0;
}

int stage2_populate(struct stage2 *s2, gpa_t g, bool write)
{
    struct attempt a = {
        .s2 = s2, .g = align_down(g.v, PAGE_SIZE), .write = write, .flush = STAGE2_FLUSH_INIT(s2)};
    uint16_t vmid;
    int r;

    if (!stage2_find_ram(s2, g))
        return -EFAULT;
    do {
        spin_lock(&s2->lock);
        r = attempt(&a);
        spin_unlock(&s2->lock);
        stage2_flush_commit(&a.flush);
        if (a.replaced.v)
            frame_put(a.replaced);
        a.replaced = pa(0);
        if (r == ALLOCATE)
            r = allocate(&a) ? -ENOMEM : ALLOCATE;
    } while (r > DONE);
    drop_piece(&a);
    if (r == 0 && vmid_loaded(s2, &vmid))
        arch_hfence_gvma_gpa(a.g, vmid);
    return r;
}
