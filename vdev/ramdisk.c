// SPDX-License-Identifier: BSD-2-Clause
// A RAM disk with copy-on-write pages; see ramdisk.h.
#include "vdev/ramdisk.h"

#include <errno.h>
#include <string.h>

#include "mem/frame.h"
#include "mem/heap.h"

enum { SECTOR = 512, TABLE_ENTRIES = PAGE_SIZE / sizeof(void *) };

struct ramdisk {
    struct blk_backend blk;
    const char *image;
    uint64_t image_size;
    uint64_t pages;  /* of the disk */
    uint64_t frames; /* held: pages and tables; blk.frames */
    uint64_t table_count;
    void **table[]; /* NULL: all of these 512 pages are the image's */
};

/* A page entry: NULL is the image's page, zero_page one of zeros, else a frame of ours. */
static char zero_marker;
#define ZERO_PAGE ((void *)&zero_marker)

static bool is_own(const void *entry) { return entry && entry != ZERO_PAGE; }

static void *page_entry(const struct ramdisk *d, uint64_t page)
{
    void **table = d->table[page / TABLE_ENTRIES];

    return table ? table[page % TABLE_ENTRIES] : NULL;
}

/* As the guest's RAM, it leaves the reserve alone. */
static void *new_page(struct ramdisk *d)
{
    void *page = frame_guests_may_have(1, false) ? frame_alloc_page() : NULL;

    d->frames += page != NULL;
    return page;
}

/* The place of a page's entry, its table made when it is missing. NULL when out of memory. */
static void **page_slot(struct ramdisk *d, uint64_t page)
{
    void ***table = &d->table[page / TABLE_ENTRIES];

    if (!*table) {
        *table = new_page(d);
        if (!*table)
            return NULL;
    }
    return &(*table)[page % TABLE_ENTRIES];
}

/* Bytes of a page from the image; zeros where the image ends. */
static void read_image(const struct ramdisk *d, uint64_t at, char *to, size_t len)
{
    size_t have = at < d->image_size ? min_u64(len, d->image_size - at) : 0;

    if (have)
        memcpy(to, d->image + at, have);
    memset(to + have, 0, len - have);
}

static void read_page(const struct ramdisk *d, uint64_t at, char *to, size_t len)
{
    char *page = page_entry(d, at / PAGE_SIZE);

    if (is_own(page))
        memcpy(to, page + at % PAGE_SIZE, len);
    else if (page)
        memset(to, 0, len);
    else
        read_image(d, at, to, len);
}

/* Our own copy of a page, to be written. whole: all of it will be, so nothing need be copied. */
static char *own_page(struct ramdisk *d, uint64_t page, bool whole)
{
    void **slot = page_slot(d, page);
    char *copy;

    if (!slot)
        return NULL;
    if (is_own(*slot))
        return *slot;
    copy = new_page(d);
    if (!copy)
        return NULL;
    if (!whole && !*slot)
        read_image(d, page * PAGE_SIZE, copy, PAGE_SIZE);
    *slot = copy;
    return copy;
}

static void drop_page(struct ramdisk *d, void **slot, void *instead)
{
    if (is_own(*slot)) {
        frame_free_page(*slot);
        d->frames--;
    }
    *slot = instead;
}

static int write_page(struct ramdisk *d, uint64_t at, const char *from, size_t len)
{
    char *page = own_page(d, at / PAGE_SIZE, len == PAGE_SIZE);

    if (!page)
        return -ENOSPC;
    memcpy(page + at % PAGE_SIZE, from, len);
    return 0;
}

static int zero_page(struct ramdisk *d, uint64_t at, size_t len)
{
    void **slot;
    char *page;

    if (page_entry(d, at / PAGE_SIZE) == ZERO_PAGE)
        return 0;
    if (len == PAGE_SIZE) {
        slot = page_slot(d, at / PAGE_SIZE);
        if (!slot)
            return -ENOSPC;
        drop_page(d, slot, ZERO_PAGE);
        return 0;
    }
    page = own_page(d, at / PAGE_SIZE, false);
    if (!page)
        return -ENOSPC;
    memset(page + at % PAGE_SIZE, 0, len);
    return 0;
}

/* ---- requests ---- */

static int ramdisk_copy(struct ramdisk *d, const struct blk_request *r)
{
    uint64_t at = r->sector * SECTOR;
    int error = 0;

    for (unsigned i = 0; i < r->seg_count; i++) {
        char *hva = r->seg[i].hva;
        uint32_t left = r->seg[i].len;

        while (left && !error) {
            size_t n = min_u64(left, PAGE_SIZE - at % PAGE_SIZE);

            if (r->op == BLK_READ)
                read_page(d, at, hva, n);
            else
                error = write_page(d, at, hva, n);
            hva += n;
            at += n;
            left -= (uint32_t)n;
        }
    }
    return error;
}

/* Discarded data reads as zeros: a guest must not see what the image held there. A discard is a hint, so its
 * ragged ends are left alone; write zeroes does them too. */
static int ramdisk_zero(struct ramdisk *d, const struct blk_request *r)
{
    uint64_t at = r->sector * SECTOR, end = at + r->sectors * SECTOR;
    int error = 0;

    while (at < end && !error) {
        size_t n = min_u64(end - at, PAGE_SIZE - at % PAGE_SIZE);

        if (n == PAGE_SIZE || r->op == BLK_WRITE_ZEROES)
            error = zero_page(d, at, n);
        at += n;
    }
    return error;
}

static uint64_t segments_bytes(const struct blk_request *r)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < r->seg_count; i++)
        bytes += r->seg[i].len;
    return bytes;
}

static int ramdisk_do(struct ramdisk *d, const struct blk_request *r)
{
    if (r->op == BLK_FLUSH)
        return 0;
    if (!range_ok(r->sector, r->sectors, d->blk.sectors))
        return -EIO;
    if (r->op != BLK_READ && d->blk.read_only)
        return -EACCES;
    switch (r->op) {
    case BLK_READ:
    case BLK_WRITE:
        return segments_bytes(r) == r->sectors * SECTOR ? ramdisk_copy(d, r) : -EIO;
    case BLK_DISCARD:
    case BLK_WRITE_ZEROES:
        return ramdisk_zero(d, r);
    default:
        return -ENOTSUP;
    }
}

static int ramdisk_submit(void *ctx, struct blk_request *r)
{
    r->result = ramdisk_do(ctx, r);
    r->done(r);
    return 0;
}

/* ---- life ---- */

static void drop_all(struct ramdisk *d)
{
    for (uint64_t t = 0; t < d->table_count; t++) {
        if (!d->table[t])
            continue;
        for (unsigned i = 0; i < TABLE_ENTRIES; i++)
            drop_page(d, &d->table[t][i], NULL);
        frame_free_page(d->table[t]);
        d->table[t] = NULL;
        d->frames--;
    }
}

static void ramdisk_close(void *ctx)
{
    drop_all(ctx);
    heap_free(ctx);
}

/* Saved are the pages that differ from the image, which is part of the VM's configuration. */
enum { SAVED_END = 0, SAVED_ZERO = 1, SAVED_DATA = 2 };

static void ramdisk_save(void *ctx, struct state_writer *w)
{
    struct ramdisk *d = ctx;

    for (uint64_t page = 0; page < d->pages; page++) {
        void *entry = page_entry(d, page);

        if (!entry)
            continue;
        state_put_u8(w, is_own(entry) ? SAVED_DATA : SAVED_ZERO);
        state_put_u64(w, page);
        if (is_own(entry))
            state_put(w, entry, PAGE_SIZE);
    }
    state_put_u8(w, SAVED_END);
}

static int load_page(struct ramdisk *d, struct state_reader *r, uint8_t kind)
{
    uint64_t page = state_get_u64(r);
    char *own;

    if (r->error)
        return r->error;
    if (page >= d->pages || (kind != SAVED_ZERO && kind != SAVED_DATA))
        return -EINVAL;
    if (kind == SAVED_ZERO)
        return zero_page(d, page * PAGE_SIZE, PAGE_SIZE);
    own = own_page(d, page, true);
    if (!own)
        return -ENOMEM;
    state_get(r, own, PAGE_SIZE);
    return r->error;
}

static int ramdisk_load(void *ctx, struct state_reader *r)
{
    struct ramdisk *d = ctx;
    uint8_t kind;

    drop_all(d);
    while (!r->error && (kind = state_get_u8(r)) != SAVED_END)
        state_fail(r, load_page(d, r, kind));
    if (r->error)
        drop_all(d);
    return r->error;
}

static uint64_t ramdisk_memory(void *ctx)
{
    const struct ramdisk *d = ctx;

    return heap_takes(sizeof(*d) + d->table_count * sizeof(d->table[0]));
}

/* The disk is the image again. */
static void ramdisk_revert(void *ctx) { drop_all(ctx); }

struct blk_backend *ramdisk_create(const void *image, uint64_t image_size, uint64_t size,
                                   bool read_only, const char *serial)
{
    uint64_t pages = size / PAGE_SIZE + (size % PAGE_SIZE != 0);
    uint64_t tables = pages / TABLE_ENTRIES + (pages % TABLE_ENTRIES != 0);
    struct ramdisk *d = pages ? heap_alloc(sizeof(*d) + tables * sizeof(d->table[0])) : NULL;

    if (!d)
        return NULL;
    d->image = image;
    d->image_size = image_size;
    d->pages = pages;
    d->table_count = tables;
    d->blk = (struct blk_backend){
        .submit = ramdisk_submit,
        .close = ramdisk_close,
        .ctx = d,
        .sectors = pages * (PAGE_SIZE / SECTOR),
        .block_size = SECTOR,
        .read_only = read_only,
        .can_discard = true,
        .can_write_zeroes = true,
        .can_flush = true,
        .depth = 1,
        .save = ramdisk_save,
        .load = ramdisk_load,
        .revert = ramdisk_revert,
        .memory = ramdisk_memory,
        .frames = &d->frames,
    };
    memcpy(d->blk.serial, serial, strnlen(serial, sizeof(d->blk.serial) - 1));
    return &d->blk;
}
