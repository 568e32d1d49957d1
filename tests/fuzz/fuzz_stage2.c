// SPDX-License-Identifier: BSD-2-Clause
// Stage 2 against a simple model: a table of pages, each with what is mapped, its protection and one word
// of contents. The input is a list of operations, with memory that runs out, batches that are committed
// late or lost, and pins. After every one the tables say what the model says; after a failure nothing has
// changed; in the end every frame has come back.
// units: stage2/stage2.c stage2/walk.c stage2/map.c stage2/change.c stage2/dirty.c stage2/flush.c stage2/vmid.c stage2/populate.c stage2/image.c stage2/guest_mem.c hyp/mem/frame.c hyp/mem/frame_boot.c hyp/mem/frame_ref.c hyp/mem/frame_run.c tests/fake/fake_base.c tests/fake/fake_mem.c tests/fake/fake_xcall.c
#include <errno.h>

#include "base/arch.h"
#include "fake_mem.h"
#include "fuzz.h"
#include "mem/frame.h"
#include "stage2/guest_mem.h"
#include "stage2/walk.h"

const unsigned fuzz_runs = 600;
const size_t fuzz_max = 512;

/* RAM for guests of almost 6 MiB, so that its end is in small pages; below it the window for device memory. */
#define RAM 0x80000000ul
#define RAM_PAGES 1500
#define WINDOW 0x40000000ul
#define WINDOW_PAGES 1024
enum { PAGES = RAM_PAGES + WINDOW_PAGES, OWNER = 3, PINS = 4, SHARED = 8 };

struct page {
    uint64_t pa; /* of window pages; 0: not known (RAM populated by stage 2) */
    uint64_t word; /* of RAM */
    uint8_t prot; /* 0: nothing is mapped */
    bool cow, dirty;
    bool image; /* a page of an image, shared with it */
};
static struct page model[PAGES];
static struct stage2 s2;
static struct stage2_flush batch;
static pa_t hog[6200]; /* memory taken away */
static unsigned hogs;
static struct {
    struct guest_iov iov[8];
    unsigned n;
    uint64_t g, len;
} pins[PINS];
static pa_t shared[SHARED]; /* host frames that are mapped copy-on-write */
/* A bundle's memory, and the parts of it that the guest's memory begins with. */
enum { IMAGE_BLOCKS = 3, IMAGE_BYTES = IMAGE_BLOCKS * 0x200000 };
static pa_t bundle;
static struct image {
    uint64_t base, size, offset; /* in the bundle */
} images[STAGE2_MAX_IMAGES];
static unsigned image_count;

static uint64_t page_gpa(unsigned i)
{
    return i < RAM_PAGES ? RAM + i * PAGE_SIZE : WINDOW + (i - RAM_PAGES) * PAGE_SIZE;
}

static uint64_t shared_word(unsigned i) { return 0xC0C0C0C0C0000000ul + i; }

/* Of the bundle, eight bytes at an offset. */
static uint64_t image_word(uint64_t offset) { return 0xB0B0000000000000ul + offset; }

/* The image that has the size bytes at g, or NULL. */
static const struct image *image_at(uint64_t g, uint64_t size)
{
    for (unsigned k = 0; k < image_count; k++)
        if (g >= images[k].base && g + size <= images[k].base + images[k].size)
            return &images[k];
    return NULL;
}

/* What a page begins with when it is touched first. */
static uint64_t fresh_word(unsigned i)
{
    const struct image *m = i < RAM_PAGES ? image_at(page_gpa(i), 8) : NULL;

    return m ? image_word(m->offset + (page_gpa(i) - m->base)) : 0;
}

static void commit(void) { stage2_flush_commit(&batch); }

/* ---- checks ---- */

static void check_page(unsigned i)
{
    struct stage2_leaf leaf;
    const struct page *m = &model[i];
    int r = stage2_lookup(&s2, gpa(page_gpa(i)), &leaf);

    assert_int_equal(r, m->prot ? 0 : -ENOENT);
    if (r)
        return;
    assert_int_equal(leaf.pte >> 1 & 7, m->prot);
    assert_int_equal(!!(leaf.pte & PTE_SOFT_COW), m->cow);
    assert_int_equal(leaf.pte & (PTE_V | PTE_U | PTE_G | PTE_SOFT_BUSY), PTE_V | PTE_U);
    if (m->pa)
        assert_int_equal(leaf.pa.v, m->pa);
    if (m->dirty)
        assert_true(leaf.pte & PTE_D);
    if (i < RAM_PAGES)
        assert_int_equal(*(uint64_t *)pa_to_hva(leaf.pa), m->word);
}

static void check_all(void)
{
    for (unsigned i = 0; i < PAGES; i++)
        check_page(i);
}

static uint64_t leaf_bytes;
static void add_leaf(void *ctx, gpa_t g, const struct stage2_leaf *leaf)
{
    (void)ctx;
    assert_true(is_aligned(g.v, leaf->page_size) && is_aligned(leaf->pa.v, leaf->page_size));
    leaf_bytes += leaf->page_size;
}

/* ---- operations ---- */

struct range {
    unsigned first, count;
};

static struct range take_range(struct fuzz_in *in)
{
    uint16_t at = fuzz_u16(in);
    uint8_t n = fuzz_u8(in);
    struct range r = {at % PAGES, n < 128 ? n % 16 + 1u : (n - 127u) * 8};
    unsigned end = r.first < RAM_PAGES ? RAM_PAGES : PAGES;

    if (at & 0x8000) /* at the border of a large page */
        r.first = r.first < RAM_PAGES ? (r.first | 511) % RAM_PAGES
                                      : RAM_PAGES + ((r.first - RAM_PAGES) & 512);
    r.count = (unsigned)min_u64(r.count, end - r.first);
    return r;
}

static bool in_part(unsigned i, struct range r) { return i - r.first < r.count; }

/* A page that has come as an image's own: it must be whole and alike. */
static void model_shared(unsigned i, pa_t p)
{
    const struct image *m = image_at(page_gpa(i), PAGE_SIZE);

    assert_non_null(m);
    if (m)
        assert_int_equal(p.v, bundle.v + m->offset + (page_gpa(i) - m->base));
    model[i].image = model[i].cow = true;
    model[i].prot = PROT_R | PROT_X;
    model[i].pa = p.v;
}

/* What stage 2 has populated for count pages from first: these, or all of large ones around them. All but
 * written, and the one behind it, are zeroed. */
static void model_populated(unsigned first, unsigned count, unsigned written)
{
    unsigned end = (unsigned)min_u64(((first + count) | 511) + 1, RAM_PAGES);

    for (unsigned i = first & ~511u; i < end; i++) {
        struct stage2_leaf leaf;

        if (!model[i].prot && !stage2_lookup(&s2, gpa(page_gpa(i)), &leaf)) {
            model[i] = (struct page){.prot = PROT_R | PROT_W | PROT_X, .word = fresh_word(i)};
            if (leaf.pte & PTE_SOFT_COW)
                model_shared(i, leaf.pa);
            if (i - written > 1)
                assert_int_equal(*(uint64_t *)pa_to_hva(leaf.pa), model[i].word);
        }
    }
}

/* A write to a page of an image may have given all of the large page around it a copy. */
static void model_copied(unsigned first, unsigned count)
{
    unsigned end = (unsigned)min_u64(((first + count) | 511) + 1, RAM_PAGES);

    for (unsigned i = first & ~511u; i < end; i++) {
        struct stage2_leaf leaf;

        if (!model[i].image || stage2_lookup(&s2, gpa(page_gpa(i)), &leaf) ||
            leaf.pte & PTE_SOFT_COW)
            continue;
        model[i].image = model[i].cow = false;
        model[i].prot |= PROT_W;
        model[i].pa = 0;
    }
}

static int expected_write(unsigned i)
{
    return model[i].prot && !(model[i].prot & PROT_W) && !model[i].cow ? -EFAULT : 0;
}

static void model_write(unsigned i)
{
    if (model[i].cow) {
        model[i].cow = model[i].image = false;
        model[i].prot |= PROT_W;
        model[i].pa = 0;
    }
    model[i].dirty = true;
}

/* -ENOMEM is always allowed where memory may be needed. */
static void touch(unsigned i, bool write)
{
    int want = write && i < RAM_PAGES ? expected_write(i) : 0;
    int r = stage2_populate(&s2, gpa(page_gpa(i) + 8), write);

    if (i >= RAM_PAGES) {
        assert_int_equal(r, -EFAULT);
        return;
    }
    model_populated(i, 1, PAGES);
    if (write)
        model_copied(i, 1);
    if (r != -ENOMEM)
        assert_int_equal(r, want);
    if (!r && write)
        model_write(i);
}

static void write_word(unsigned i, uint64_t v, bool zero)
{
    int want = i < RAM_PAGES ? expected_write(i) : -EFAULT;
    int r = zero ? guest_mem_zero(&s2, gpa(page_gpa(i)), 8)
                 : guest_mem_write(&s2, gpa(page_gpa(i)), &v, 8);

    model_populated(i, 2, i);
    model_copied(i, 2);
    if (r != -ENOMEM || i >= RAM_PAGES)
        assert_int_equal(r, want);
    if (!r) {
        model_write(i);
        model[i].word = zero ? 0 : v;
    }
}

/* Two pages at once: the second may fail, the first is done then. */
static void write_across(unsigned i)
{
    uint64_t v[2] = {0, i + 1};
    int r;

    if (i + 1 >= RAM_PAGES || expected_write(i) || expected_write(i + 1))
        return;
    r = guest_mem_write(&s2, gpa(page_gpa(i) + PAGE_SIZE - 8), v, 16);
    model_populated(i, 2, i);
    model_copied(i, 2);
    if (r == -ENOMEM) {
        struct stage2_leaf leaf; /* how far it came is seen only by the copy-on-write */

        if (!stage2_lookup(&s2, gpa(page_gpa(i)), &leaf) && model[i].prot &&
            !(leaf.pte & PTE_SOFT_COW))
            model_write(i);
        return;
    }
    assert_int_equal(r, 0);
    model_write(i);
    model_write(i + 1);
    model[i + 1].word = v[1];
}

static void read_word(unsigned i)
{
    uint64_t v = 0x5555;
    int r = guest_mem_read(&s2, gpa(page_gpa(i)), &v, 8);

    model_populated(i, 1, PAGES);
    if (i >= RAM_PAGES)
        assert_int_equal(r, -EFAULT);
    else if (r != -ENOMEM) {
        assert_int_equal(r, 0);
        assert_int_equal(v, model[i].word);
    }
}

static bool any_mapped(struct range r)
{
    for (unsigned i = r.first; i < r.first + r.count; i++)
        if (model[i].prot)
            return true;
    return false;
}

/* Device memory into the window; a shared frame, copy-on-write, into RAM. */
static void map(struct range r, uint8_t how)
{
    unsigned prot = (how & 7) | PROT_R, k = how >> 3 & (SHARED - 1);
    bool ram = r.first < RAM_PAGES, cow = ram;
    uint64_t p =
        (how & 128 ? 0x10000000ul : 0x10001000ul) + (uint64_t)(r.first - RAM_PAGES) * PAGE_SIZE;
    int e;

    if (ram) {
        r.count = 1;
        p = shared[k].v;
    }
    e = stage2_map(&s2, gpa(page_gpa(r.first)), pa(p), r.count * PAGE_SIZE, prot,
                   cow ? PTE_SOFT_COW : 0);
    if (any_mapped(r)) {
        assert_true(e == -EEXIST || e == -ENOMEM);
        return;
    }
    if (e == -ENOMEM)
        return;
    assert_int_equal(e, 0);
    for (unsigned i = 0; i < r.count; i++)
        model[r.first + i] = (struct page){.pa = ram ? p : p + i * PAGE_SIZE,
                                           .prot = (uint8_t)(cow ? prot & ~(unsigned)PROT_W : prot),
                                           .cow = cow,
                                           .word = shared_word(k)};
}

static void unmap(struct range r)
{
    if (stage2_unmap(&s2, gpa(page_gpa(r.first)), r.count * PAGE_SIZE, &batch))
        return;
    for (unsigned i = r.first; i < r.first + r.count; i++)
        model[i] = (struct page){0};
}

static void protect(struct range r, unsigned prot)
{
    int e = stage2_protect(&s2, gpa(page_gpa(r.first)), r.count * PAGE_SIZE, prot, &batch);

    if (!(prot & PROT_R)) {
        assert_int_equal(e, -EINVAL);
        return;
    }
    for (unsigned i = r.first; !e && i < r.first + r.count; i++)
        if (model[i].prot)
            model[i].prot = (uint8_t)(model[i].cow ? prot & ~(unsigned)PROT_W : prot);
    assert_true(e == 0 || e == -ENOMEM);
}

static uint8_t reported[PAGES];
static void on_dirty(void *ctx, gpa_t g, uint64_t size)
{
    (void)ctx;
    for (unsigned i = 0; i < PAGES; i++)
        if (page_gpa(i) - g.v < size)
            reported[i]++;
}

/* Nothing that was written is missed, nothing is reported twice. */
static void harvest(struct range r, bool start)
{
    int e;

    memset(reported, 0, sizeof(reported));
    e = start ? stage2_dirty_start(&s2, gpa(page_gpa(r.first)), r.count * PAGE_SIZE, &batch)
              : stage2_dirty_harvest(&s2, gpa(page_gpa(r.first)), r.count * PAGE_SIZE, on_dirty,
                                     NULL, &batch);
    assert_true(e == 0 || e == -ENOMEM);
    for (unsigned i = 0; i < PAGES; i++) {
        assert_true(reported[i] <= (!e && in_part(i, r) && model[i].prot));
        if (e || !in_part(i, r))
            continue;
        if (!start && model[i].dirty)
            assert_int_equal(reported[i], 1);
        model[i].dirty = false;
    }
}

static void split_or_merge(unsigned i, uint8_t how)
{
    int e = how & 1 ? stage2_merge(&s2, gpa(page_gpa(i)), &batch)
                    : stage2_split(&s2, gpa(page_gpa(i)), how & 2 ? PAGE_SIZE : MIB(2), &batch);

    if (how & 1)
        assert_true(e == 0 || e == -ENOENT);
    else
        assert_true(e == 0 || e == -ENOMEM);
}

static void pin(unsigned slot, struct range r, bool write)
{
    int n;

    if (pins[slot].n) {
        guest_mem_unpin(&s2, pins[slot].iov, pins[slot].n, write);
        pins[slot].n = 0;
        return;
    }
    pins[slot].g = page_gpa(r.first) + 100;
    pins[slot].len = r.count * PAGE_SIZE - 200;
    n = guest_mem_pin(&s2, gpa(pins[slot].g), pins[slot].len, write, pins[slot].iov, 8);
    if (r.first >= RAM_PAGES)
        assert_int_equal(n, -EFAULT);
    else
        assert_true(n > 0 || n == -ENOMEM || n == -E2BIG || n == -EFAULT);
    model_populated(r.first, r.count, PAGES);
    model_copied(r.first, r.count); /* to be read, too: what is pinned is not shared */
    /* Which of the pages a pin that failed had made ready is its own business. */
    for (unsigned i = r.first; i < r.first + r.count && i < RAM_PAGES; i++) {
        struct stage2_leaf leaf;

        if (model[i].cow && !stage2_lookup(&s2, gpa(page_gpa(i)), &leaf) &&
            !(leaf.pte & PTE_SOFT_COW))
            model_write(i);
    }
    pins[slot].n = n > 0 ? (unsigned)n : 0;
    for (unsigned k = 0, at = 0; k < pins[slot].n; at += pins[slot].iov[k++].len) {
        struct stage2_leaf leaf;

        assert_int_equal(stage2_lookup(&s2, gpa(pins[slot].g + at), &leaf), 0);
        assert_ptr_equal(pa_to_hva(leaf.pa), pins[slot].iov[k].hva);
        assert_true(frame_query(leaf.pa).pins > 0);
    }
}

/* From now on what is touched first in the range has bytes of the bundle. Where these are alike modulo 2 MiB, 4 KiB, or not. */
static void add_image(struct range r, uint8_t how)
{
    uint64_t base = page_gpa(r.first) + (how & 1 ? how & ~7u : 0);
    uint64_t size = min_u64(r.count * PAGE_SIZE, MIB(4)) - (how & 2 ? 0x100 + (how & ~7u) : 0);
    uint64_t offset = (how & 4 ? base % MIB(2) : base % PAGE_SIZE) + (how & 16 ? 8 : 0);
    bool fits = r.first < RAM_PAGES && base + size <= page_gpa(RAM_PAGES - 1) + PAGE_SIZE;
    int e, want = !fits ? -EINVAL : image_count == STAGE2_MAX_IMAGES ? -ENOSPC : 0;

    for (unsigned k = 0; k < image_count && !want; k++)
        if (base < images[k].base + images[k].size && images[k].base < base + size)
            want = -EINVAL;
    offset = min_u64(offset, IMAGE_BYTES - size) & ~7ul;
    e = stage2_add_image(&s2, gpa(base), (const char *)pa_to_hva(bundle) + offset, size);
    assert_int_equal(e, want);
    if (!e)
        images[image_count++] = (struct image){base, size, offset};
}

/* Takes all memory but a few frames away, or gives it back. */
static void memory(bool take, unsigned spare)
{
    while (take && !frame_alloc(FRAME_ORDER_2M, FRAME_HYP, 0, &hog[hogs]))
        hogs++;
    while (take && !frame_alloc(FRAME_ORDER_4K, FRAME_HYP, 0, &hog[hogs]))
        hogs++;
    for (unsigned n = take ? spare : hogs; n && hogs; n--)
        frame_put(hog[--hogs]);
}

static void step(struct fuzz_in *in)
{
    uint8_t op = fuzz_u8(in);
    struct range r = take_range(in);

    switch (op & 15) {
    case 0:
    case 1:
        touch(r.first, op & 1);
        break;
    case 2:
        write_word(r.first, fuzz_u16(in) | 1, op & 16);
        break;
    case 3:
        op & 16 ? write_across(r.first) : read_word(r.first);
        break;
    case 4:
    case 5:
        map(r, fuzz_u8(in));
        break;
    case 6:
        unmap(r);
        break;
    case 7:
        protect(r, op >> 4 & 7);
        break;
    case 8:
        harvest(r, op & 16);
        break;
    case 9:
    case 10:
        split_or_merge(r.first, op >> 4);
        break;
    case 11:
        pin(op >> 4 & 3, r, op & 64);
        break;
    case 12:
        memory(op & 16, op >> 5);
        break;
    case 13:
        if (op & 16)
            batch = (struct stage2_flush)STAGE2_FLUSH_INIT(&s2); /* lost */
        else
            commit();
        break;
    case 14:
        if (op & 64) {
            add_image(r, fuzz_u8(in));
            break;
        }
        fake_hart = op >> 4 & 3;
        (void)vmid_load(&s2);
        break;
    case 15:
        check_all();
        break;
    }
    if (!(op & 128))
        commit();
    for (unsigned i = r.first; i < r.first + r.count; i++)
        check_page(i);
}

static void start(void)
{
    vmid_init(2);
    stage2_modes = 1 << 8;
    hogs = 0;
    memset(model, 0, sizeof(model));
    memset(pins, 0, sizeof(pins));
    assert_int_equal(stage2_create(&s2, OWNER, GIB(4)), 0);
    assert_int_equal(stage2_add_ram(&s2, gpa(RAM), RAM_PAGES * PAGE_SIZE), 0);
    batch = (struct stage2_flush)STAGE2_FLUSH_INIT(&s2);
    image_count = 0;
    assert_int_equal(frame_alloc_run(IMAGE_BLOCKS, FRAME_IMAGE, 0, &bundle), 0);
    for (uint64_t at = 0; at < IMAGE_BYTES; at += 8)
        *(uint64_t *)pa_to_hva(pa_add(bundle, at)) = image_word(at);
    for (unsigned i = 0; i < SHARED; i++) {
        assert_int_equal(frame_alloc(0, FRAME_SHARED, 0, &shared[i]), 0);
        memset(pa_to_hva(shared[i]), 0, PAGE_SIZE);
        *(uint64_t *)pa_to_hva(shared[i]) = shared_word(i);
    }
}

static void end(uint64_t free_before)
{
    memory(false, 0);
    check_all();
    for (unsigned i = 0; i < PINS; i++)
        if (pins[i].n)
            guest_mem_unpin(&s2, pins[i].iov, pins[i].n, true);
    leaf_bytes = 0;
    stage2_for_each(&s2, gpa(0), GIB(4), add_leaf, NULL);
    commit();
    stage2_destroy(&s2);
    assert_int_equal(s2.mapped_bytes, 0);
    assert_int_equal(s2.table_frames, 0);
    for (unsigned i = 0; i < SHARED; i++) {
        assert_int_equal(frame_query(shared[i]).refs, 1);
        assert_int_equal(*(uint64_t *)pa_to_hva(shared[i]), shared_word(i));
        frame_put(shared[i]);
    }
    for (uint64_t at = 0; at < IMAGE_BYTES; at += PAGE_SIZE) {
        assert_int_equal(frame_query(pa_add(bundle, at)).refs, 1);
        assert_int_equal(*(uint64_t *)pa_to_hva(pa_add(bundle, at)), image_word(at));
    }
    frame_put_range(bundle, IMAGE_BYTES);
    /* One block may stay split, at hand: its descriptors' page. */
    assert_true(frame_free_count() + 1 >= free_before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_in in = {data, size};
    uint64_t free_before;

    fake_mem_start(MIB(24));
    free_before = frame_free_count();
    start();
    while (in.left)
        step(&in);
    end(free_before);
    return 0;
}

size_t fuzz_seed(unsigned n, uint8_t *to, size_t max)
{
    struct fuzz_out o = {to, 0, max};

    if (n >= 4)
        return 0;
    fuzz_put_u(&o, 14 | 64, 1); /* an image */
    fuzz_put_u(&o, n & 1 ? 0x8000 : 300, 2);
    fuzz_put_u(&o, 250, 1);
    fuzz_put_u(&o, n & 2 ? 4 : 0, 1);
    for (unsigned k = 0; k < 32; k++) {
        fuzz_put_u(&o, (k * 7 + n) % 15 | (n & 1) << 7 | (k & 3) << 4, 1);
        fuzz_put_u(&o, n < 2 ? 512 + k : RAM_PAGES + 64 * k, 2);
        fuzz_put_u(&o, k & 1 ? 4 : 200, 1);
    }
    return o.len;
}
