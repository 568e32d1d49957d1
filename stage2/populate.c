// SPDX-License-Identifier: BSD-2-Clause
// First touch and copy-on-write. Each attempt looks at the tables with the lock held and either is
// done or says what it lacks: a piece, filled, or a flush. These are got without the lock, then it
// looks again: whatever other harts did meanwhile is simply what it sees then.
//
// The size of a piece: 2 MiB while memory is plentiful, then 64 KiB (as 16 leaves), which needs a sixteenth of the
// exits and wastes little, then 4 KiB; what does not fit, or is not to be had, is tried in the next size. The last
// frames are not for guests (frame_guests_may_have).
//
// Memory that holds an image (stage2_add_image) is mapped copy-on-write, 2 MiB at a time where the image fills that.
// A first write gets a copy at once: of 2 MiB while memory is plentiful, of 4 KiB else, and what lies around it stays
// shared.
//
// Breaking copy-on-write takes two steps, so that no hart reads the old page after another has
// written the new one: the copy is mapped, still without W and marked busy; all harts flush; then W
// is set.
#include <errno.h>
#include <string.h>

#include "mem/frame.h"
#include "stage2/image.h"
#include "stage2/walk.h"

#define MEDIUM KIB(64)

enum next { DONE, AGAIN, ALLOCATE, FLUSH }; /* or a negative errno */

struct attempt {
    struct stage2 *s2;
    uint64_t g; /* page */
    bool write;
    bool at_once; /* the caller cannot wait */
    uint64_t most; /* larger pieces are not to be had, or would not fit */
    bool raw; /* the piece is not filled: it is to be a copy of what is mapped */
    pa_t piece; /* 0: none yet */
    uint64_t piece_size; /* wanted, or of the piece */
    uint64_t flushed; /* a busy leaf that this attempt has flushed */
    pa_t replaced; /* to be put after the flush; 0: none */
    uint64_t replaced_size;
    struct stage2_flush flush;
};

static int want_flush(struct attempt *a, uint64_t size)
{
    flush_add(&a->flush, align_down(a->g, size), size);
    return FLUSH;
}

static void drop_piece(struct attempt *a)
{
    if (a->piece.v)
        frame_put_range(a->piece, a->piece_size);
    a->piece = pa(0);
}

static bool have_piece(const struct attempt *a, uint64_t size, bool raw)
{
    return a->piece.v && a->piece_size == size && a->raw == raw;
}

static int want_piece(struct attempt *a, uint64_t size, bool raw)
{
    drop_piece(a);
    a->piece_size = size;
    a->raw = raw;
    return ALLOCATE;
}

/* After a failure with one size: the next. */
static int go_smaller(struct attempt *a, uint64_t size, int error)
{
    if (size == PAGE_SIZE)
        return error;
    a->most = size == MIB(2) ? MEDIUM : PAGE_SIZE;
    return AGAIN;
}

/* ---- copy-on-write ---- */

/* The last one that shares it keeps it. */
static bool is_last(struct walk_point at, pa_t from)
{
    struct frame_info old = frame_query(from);

    return old.state != FRAME_RESERVED && old.refs == 1 && (at.level == 0) == (old.order == 0);
}

/* In whole as long as memory is plentiful, when what is mapped is an image: it never changes, so the copy is made
 * without the lock. */
static bool break_whole(const struct attempt *a, struct walk_point at)
{
    return at.level == 1 && a->most >= MIB(2) && frame_plentiful() &&
           image_share(a->s2, align_down(a->g, MIB(2)), MIB(2)).v == pte_pa(at.pte);
}

/* Puts the piece in the place of the leaf at, readable for now. */
static int replace(struct attempt *a, struct walk_point at)
{
    uint64_t pte = pte_make(a->piece.v, (at.pte & ~PTE_PPN_MASK) | PTE_SOFT_BUSY | PTE_D);

    a->replaced = pa(pte_pa(at.pte));
    a->replaced_size = a->piece_size;
    pte_store(at.slot, pte);
    a->flushed = pte;
    a->piece = pa(0);
    return want_flush(a, a->piece_size);
}

static void allow_write(struct attempt *a, struct walk_point at)
{
    pte_store(at.slot,
              (at.pte & ~(uint64_t)(PTE_SOFT_COW | PTE_SOFT_BUSY)) | PTE_W | PTE_A | PTE_D);
    a->s2->shared_bytes -= level_size(at.level);
}

/* A write to a leaf with PTE_SOFT_COW. */
static int break_cow(struct attempt *a, struct walk_point at)
{
    pa_t from = pa(pte_pa(at.pte));
    bool whole, image;

    if (at.pte & PTE_SOFT_BUSY) {
        if (a->flushed != at.pte) {
            a->flushed = at.pte;
            return want_flush(a, level_size(at.level));
        }
        allow_write(a, at);
        return DONE;
    }
    if (is_last(at, from)) {
        int r = frame_set_state(from, FRAME_VM, a->s2->owner);

        allow_write(a, at);
        return r;
    }
    whole = break_whole(a, at);
    if (at.level && !whole) {
        int r = split_locked(a->s2, a->g, PAGE_SIZE, &a->flush);

        if (r)
            return r;
        at = walk_point(a->s2, a->g);
        from = pa(pte_pa(at.pte));
    }
    image = whole || image_share(a->s2, a->g, PAGE_SIZE).v == from.v;
    if (!have_piece(a, whole ? MIB(2) : PAGE_SIZE, !image))
        return want_piece(a, whole ? MIB(2) : PAGE_SIZE, !image);
    if (a->raw)
        memcpy(pa_to_hva(a->piece), pa_to_hva(from), PAGE_SIZE);
    return replace(a, at);
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

/* ---- first touch ---- */

static bool fits(const struct attempt *a, uint64_t size)
{
    const struct stage2_ram *ram = stage2_find_ram(a->s2, gpa(a->g));
    uint64_t start = align_down(a->g, size);

    return start >= ram->base.v && start + size <= ram->base.v + ram->size;
}

/* The largest piece around the page that may be. level: of the entry that is empty. */
static uint64_t choose_size(const struct attempt *a, unsigned level)
{
    enum frame_supply supply = frame_supply();

    if (level && a->most >= MIB(2) && supply == FRAME_PLENTY && fits(a, MIB(2)))
        return MIB(2);
    if (a->most >= MEDIUM && supply != FRAME_SCARCE && fits(a, MEDIUM))
        return MEDIUM;
    return PAGE_SIZE;
}

/* The largest piece around the page that an image has as it is, and where; 0: none. It costs no memory but tables. */
static uint64_t choose_shared(const struct attempt *a, unsigned level, uint64_t size, pa_t *from)
{
    if (level && a->most >= MIB(2) && fits(a, MIB(2))) {
        *from = image_share(a->s2, align_down(a->g, MIB(2)), MIB(2));
        if (from->v)
            return a->write && size == MIB(2) ? 0 : MIB(2);
    }
    if (a->write ||
        size == MIB(2)) /* what an image does not fill is a copy while memory is plentiful */
        return 0;
    for (; size; size = size == MEDIUM ? PAGE_SIZE : 0) {
        *from = image_share(a->s2, align_down(a->g, size), size);
        if (from->v)
            return size;
    }
    return 0;
}

static int after_map(struct attempt *a, uint64_t size, int r)
{
    if (r == -EAGAIN)
        return FLUSH;
    /* Something is there already, or there is no table for it. */
    return r == -EEXIST || r == -ENOMEM ? go_smaller(a, size, r) : r;
}

static int map_shared(struct attempt *a, uint64_t size, pa_t from)
{
    int r = map_locked(a->s2, align_down(a->g, size), from.v, size, PTE_R | PTE_X | PTE_SOFT_COW,
                       false, &a->flush);

    return r || !a->write ? after_map(a, size, r) : AGAIN;
}

static int map_own(struct attempt *a, uint64_t size)
{
    int r = map_locked(a->s2, align_down(a->g, size), a->piece.v, size, PTE_RWX, true, &a->flush);

    if (r == 0)
        a->piece = pa(0);
    return after_map(a, size, r);
}

static int at_nothing(struct attempt *a, unsigned level)
{
    uint64_t size = choose_size(a, level);
    pa_t from = pa(0);
    uint64_t shared = choose_shared(a, level, size, &from);

    if (shared)
        return map_shared(a, shared, from);
    if (size == MEDIUM && stage2_has_image(a->s2, gpa(align_down(a->g, size)), size))
        size = PAGE_SIZE; /* its other pages may be shared */
    /* A piece that was got for this is used even if the supply has changed since. */
    if (a->piece.v && !a->raw && a->piece_size <= a->most && (a->piece_size < MIB(2) || level))
        size = a->piece_size;
    return have_piece(a, size, false) ? map_own(a, size) : want_piece(a, size, false);
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

static unsigned order_of(uint64_t size)
{
    return size == MIB(2) ? FRAME_ORDER_2M : size == MEDIUM ? FRAME_ORDER_64K : FRAME_ORDER_4K;
}

static bool may_have(const struct attempt *a)
{
    uint64_t n = a->piece_size >> PAGE_SHIFT;

    if (atomic_load_explicit(&a->s2->starved, memory_order_relaxed))
        return false;
    return frame_guests_may_have(n, a->at_once);
}

static void fill(const struct attempt *a, uint64_t g)
{
    image_fill(a->s2, pa_to_hva(a->piece), g, a->piece_size);
    if (stage2_has_image(a->s2, gpa(g), a->piece_size))
        flush_code(a->s2);
}

static int allocate(struct attempt *a)
{
    if (!may_have(a) || frame_alloc(order_of(a->piece_size), FRAME_VM, a->s2->owner, &a->piece)) {
        a->piece = pa(0);
        return go_smaller(a, a->piece_size, -ENOMEM);
    }
    if (!a->raw)
        fill(a, align_down(a->g, a->piece_size));
    return AGAIN;
}

static int populate(struct attempt *a)
{
    struct stage2 *s2 = a->s2;
    uint16_t vmid;
    int r;

    if (!stage2_find_ram(s2, gpa(a->g)))
        return -EFAULT;
    do {
        spin_lock(&s2->lock);
        r = attempt(a);
        spin_unlock(&s2->lock);
        stage2_flush_commit(&a->flush);
        if (a->replaced.v)
            frame_put_range(a->replaced, a->replaced_size);
        a->replaced = pa(0);
        if (r == ALLOCATE)
            r = allocate(a);
    } while (r > DONE);
    drop_piece(a);
    if (r == 0 && vmid_loaded(s2, &vmid))
        arch_hfence_gvma_gpa(a->g, vmid);
    return r;
}

static struct attempt begin(struct stage2 *s2, gpa_t g, bool write)
{
    return (struct attempt){.s2 = s2,
                            .g = align_down(g.v, PAGE_SIZE),
                            .write = write,
                            .most = MIB(2),
                            .flush = STAGE2_FLUSH_INIT(s2)};
}

int stage2_populate(struct stage2 *s2, gpa_t g, bool write)
{
    struct attempt a = begin(s2, g, write);

    return populate(&a);
}

int populate_at_once(struct stage2 *s2, gpa_t g, bool write)
{
    struct attempt a = begin(s2, g, write);

    a.at_once = true;
    return populate(&a);
}
