// SPDX-License-Identifier: BSD-2-Clause
// The usual access is to a page that is there: it takes no lock, as a reader of stage2/walk.h;
// between page_hva and the end of the copy nothing may wait, log or lock. What is not there, or may
// not be written yet, is populated first, just as when the guest itself touches it.
#include "stage2/guest_mem.h"

#include <errno.h>
#include <string.h>

#include "base/panic.h"
#include "mem/frame.h"
#include "stage2/walk.h"

bool guest_mem_is_ram(struct stage2 *s2, gpa_t g, uint64_t len)
{
    for (;;) {
        const struct stage2_ram *ram = stage2_find_ram(s2, g);
        uint64_t here;

        if (!ram)
            return false;
        here = ram->size - (g.v - ram->base.v);
        if (len <= here)
            return true;
        g.v += here; /* regions may adjoin */
        len -= here;
    }
}

static bool is_ready(uint64_t pte, bool write)
{
    return pte_is_leaf(pte) && (!write || (pte & (PTE_W | PTE_D)) == (PTE_W | PTE_D));
}

/* Where g is now, or NULL: to be populated. */
static void *page_hva(struct stage2 *s2, uint64_t g, bool write)
{
    struct walk_point at = walk_point(s2, g);

    if (!is_ready(at.pte, write))
        return NULL;
    return pa_to_hva(pa(pte_pa(at.pte) + (g & (level_size(at.level) - 1))));
}

enum what { READ, WRITE, ZERO };

/* Guests look at the same memory meanwhile, so what may be an index of a ring is moved by one
 * access. */
static void move(enum what what, void *guest, void *host, size_t len)
{
    bool aligned = ((uintptr_t)guest & (len - 1)) == 0;

    if (what == ZERO) {
        memset(guest, 0, len);
    } else if (len > 8) {
        memcpy(what == READ ? host : guest, what == READ ? guest : host, len);
    } else if (len == 2 && aligned) {
        if (what == READ) {
            uint16_t v = *(volatile uint16_t *)guest;
            memcpy(host, &v, 2);
        } else {
            uint16_t v;
            memcpy(&v, host, 2);
            *(volatile uint16_t *)guest = v;
        }
    } else if (len == 4 && aligned) {
        if (what == READ) {
            uint32_t v = *(volatile uint32_t *)guest;
            memcpy(host, &v, 4);
        } else {
            uint32_t v;
            memcpy(&v, host, 4);
            *(volatile uint32_t *)guest = v;
        }
    } else if (len == 8 && aligned) {
        if (what == READ) {
            uint64_t v = *(volatile uint64_t *)guest;
            memcpy(host, &v, 8);
        } else {
            uint64_t v;
            memcpy(&v, host, 8);
            *(volatile uint64_t *)guest = v;
        }
    } else if (what == READ) {
        memcpy(host, guest, len);
    } else {
        memcpy(guest, host, len);
    }
}

/* What lies within one page that is there: most of all. False: nothing was done. */
static inline bool copy_in_page(struct stage2 *s2, uint64_t g, char *host, size_t len,
                                enum what what)
{
    const struct stage2_ram *ram;
    void *guest;

    if (len - 1 >= PAGE_SIZE - (g & PAGE_MASK)) /* none, too */
        return false;
    ram = stage2_find_ram(s2, gpa(g));
    if (!ram || ram->size - (g - ram->base.v) < len)
        return false;
    walk_reader(s2);
    guest = page_hva(s2, g, what != READ);
    if (guest)
        move(what, guest, host, len);
    return guest != NULL;
}

static int copy(struct stage2 *s2, uint64_t g, char *host, size_t len, enum what what)
{
    if (len && !guest_mem_is_ram(s2, gpa(g), len))
        return -EFAULT;
    while (len) {
        size_t n = min_u64(len, PAGE_SIZE - (g & PAGE_MASK));
        void *guest;

        walk_reader(s2);
        guest = page_hva(s2, g, what != READ);
        if (!guest) {
            int r = populate_at_once(s2, gpa(g), what != READ);

            if (r)
                return r;
            continue;
        }
        move(what, guest, host, n);
        g += n;
        if (what != ZERO)
            host += n;
        len -= n;
    }
    return 0;
}

int guest_mem_read(struct stage2 *s2, gpa_t from, void *to, size_t len)
{
    return copy_in_page(s2, from.v, to, len, READ) ? 0 : copy(s2, from.v, to, len, READ);
}
int guest_mem_write(struct stage2 *s2, gpa_t to, const void *from, size_t len)
{
    char *p = (char *)(uintptr_t)from;

    return copy_in_page(s2, to.v, p, len, WRITE) ? 0 : copy(s2, to.v, p, len, WRITE);
}
int guest_mem_zero(struct stage2 *s2, gpa_t to, size_t len)
{
    return copy(s2, to.v, NULL, len, ZERO);
}

int guest_mem_copy(struct stage2 *to_s2, gpa_t to, struct stage2 *from_s2, gpa_t from, size_t len)
{
    if (len && (!guest_mem_is_ram(to_s2, to, len) || !guest_mem_is_ram(from_s2, from, len)))
        return -EFAULT;
    while (len) {
        size_t n =
            min_u64(len, min_u64(PAGE_SIZE - (to.v & PAGE_MASK), PAGE_SIZE - (from.v & PAGE_MASK)));
        void *target, *source;
        int r;

        walk_reader(to_s2);
        walk_reader(from_s2);
        target = page_hva(to_s2, to.v, true);
        source = page_hva(from_s2, from.v, false);
        if (!target || !source) {
            r = target ? stage2_populate(from_s2, from, false) : stage2_populate(to_s2, to, true);
            if (r)
                return r;
            continue;
        }
        memcpy(target, source, n);
        to.v += n;
        from.v += n;
        len -= n;
    }
    return 0;
}

/* ---- pins ---- */

/* The pages that hold [p, p+len). */
static pa_t pages_of(uint64_t p, uint64_t len, uint64_t *size)
{
    uint64_t start = align_down(p, PAGE_SIZE);

    *size = align_up(p + len, PAGE_SIZE) - start;
    return pa(start);
}

/* Pins what of [g, g+len) one leaf maps: *n bytes at *p. -EAGAIN: populate first. */
static int pin_leaf(struct stage2 *s2, uint64_t g, uint64_t len, bool write, pa_t *p, uint64_t *n)
{
    struct walk_point at;
    uint64_t offset, size;
    pa_t pages;
    int r = -EAGAIN;

    spin_lock(&s2->lock); /* a frame that a leaf maps is not freed before it is pinned */
    at = walk_point(s2, g);
    /* A page that is pinned only to be read is not shared either: the guest's next write would move
     * it. */
    if (is_ready(at.pte, write) && !(at.pte & PTE_SOFT_COW)) {
        offset = g & (level_size(at.level) - 1);
        *n = min_u64(len, level_size(at.level) - offset);
        *p = pa(pte_pa(at.pte) + offset);
        pages = pages_of(p->v, *n, &size);
        r = frame_pin_range(pages, size);
    }
    spin_unlock(&s2->lock);
    return r == -EINVAL ? -EFAULT : r; /* reserved memory is not for devices */
}

static int pin_next(struct stage2 *s2, uint64_t g, uint64_t len, bool write, pa_t *p, uint64_t *n)
{
    int r;

    while ((r = pin_leaf(s2, g, len, write, p, n)) == -EAGAIN) {
        struct walk_point at;

        walk_reader(s2);
        at = walk_point(s2, g);
        r = populate_at_once(s2, gpa(g), write || (at.pte & PTE_SOFT_COW));
        if (r)
            return r;
    }
    return r;
}

static void unpin_piece(void *hva, uint64_t len)
{
    uint64_t size;
    pa_t pages = pages_of(hva_to_pa(hva).v, len, &size);

    frame_unpin_range(pages, size);
}

int guest_mem_pin(struct stage2 *s2, gpa_t g, uint64_t len, bool write, struct guest_iov *iov,
                  unsigned max)
{
    unsigned count = 0;
    int r = 0;

    if (len && !guest_mem_is_ram(s2, g, len))
        return -EFAULT;
    while (len) {
        struct guest_iov *last = count ? &iov[count - 1] : NULL;
        uint64_t n;
        pa_t p;
        char *hva;

        r = pin_next(s2, g.v, min_u64(len, GIB(1)), write, &p, &n);
        if (r)
            break;
        hva = pa_to_hva(p);
        if (last && (char *)last->hva + last->len == hva && n <= UINT32_MAX - last->len) {
            last->len += (uint32_t)n;
        } else if (count < max) {
            iov[count++] = (struct guest_iov){hva, (uint32_t)n, (uint32_t)(g.v >> PAGE_SHIFT)};
        } else {
            unpin_piece(hva, n);
            r = -E2BIG;
            break;
        }
        g.v += n;
        len -= n;
    }
    if (!r)
        return (int)count;
    guest_mem_unpin(s2, iov, count, false);
    return r;
}

static int apply_dirty(struct walk *w, const struct walk_entry *e)
{
    (void)w;
    if (pte_is_leaf(e->pte) && !(e->pte & PTE_D))
        __atomic_fetch_or(e->slot, PTE_D, __ATOMIC_RELEASE);
    return pte_is_table(e->pte) ? WALK_DESCEND : WALK_NEXT;
}

static void mark_dirty(struct stage2 *s2, uint64_t g, uint64_t size)
{
    struct walk w = {.enter = apply_dirty, .s2 = s2};
    int r;

    spin_lock(&s2->lock);
    r = walk_range(&w, g, size);
    spin_unlock(&s2->lock);
    ASSERT(!r); /* apply_dirty never stops */
}

void guest_mem_unpin(struct stage2 *s2, const struct guest_iov *iov, unsigned n, bool written)
{
    for (unsigned i = 0; i < n; i++) {
        uint64_t size;

        (void)pages_of(hva_to_pa(iov[i].hva).v, iov[i].len, &size);
        if (written)
            mark_dirty(s2, (uint64_t)iov[i].gfn << PAGE_SHIFT, size);
        unpin_piece(iov[i].hva, iov[i].len);
    }
}
