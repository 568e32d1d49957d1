// SPDX-License-Identifier: BSD-2-Clause
#include "blk/gpt_edit.h"

#include <errno.h>
#include <string.h>

#include "blk/blk_io.h"
#include "blk/gpt_format.h"
#include "mem/heap.h"
#include "vm/hash.h"

/* Linux file system data, 0FC63DAF-8483-4772-8E79-3D69D8477DE4: what most tools call a partition that they know nothing of. */
static const uint8_t type_data[GPT_GUID] = {0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47,
                                            0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4};

static void put(uint8_t *p, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t per_block(const struct gpt *g) { return g->block / BLK_SECTOR; }

static uint8_t *entry(const struct gpt *g, unsigned n)
{
    return g->entries + (size_t)n * g->entry_size;
}

/* ---- room ---- */

/* The first sector at or behind `from` that a partition has, or the end of what partitions may use. */
static uint64_t next_used(const struct gpt *g, uint64_t from)
{
    uint64_t end = (g->last_usable + 1) * per_block(g);
    struct gpt_partition p;

    for (unsigned n = 0; n < g->count; n++)
        if (gpt_partition(g, n, &p) && p.first >= from)
            end = min_u64(end, p.first);
    return end;
}

/* The end of the partition that has the sector, or 0. */
static uint64_t end_of_holder(const struct gpt *g, uint64_t sector)
{
    struct gpt_partition p;

    for (unsigned n = 0; n < g->count; n++)
        if (gpt_partition(g, n, &p) && sector >= p.first && sector - p.first < p.sectors)
            return p.first + p.sectors;
    return 0;
}

int gpt_find_room(const struct gpt *g, uint64_t bytes, uint64_t *first)
{
    uint64_t align = GPT_ALIGN / BLK_SECTOR, end = (g->last_usable + 1) * per_block(g);
    uint64_t at = align_up(g->first_usable * per_block(g), align);

    while (at < end) {
        uint64_t holder_end = end_of_holder(g, at), free_end = next_used(g, at);

        if (holder_end) {
            at = align_up(holder_end, align);
        } else if (free_end - at >= bytes / BLK_SECTOR) {
            *first = at;
            return 0;
        } else {
            at = align_up(free_end + 1, align);
        }
    }
    return -ENOSPC;
}

uint64_t gpt_room_of(const struct gpt *g, unsigned n)
{
    struct gpt_partition p;

    return gpt_partition(g, n, &p) ? next_used(g, p.first + p.sectors) - p.first : 0;
}

/* ---- entries ---- */

int gpt_add(struct gpt *g, const char *name, uint64_t first, uint64_t sectors,
            const uint8_t guid[GPT_GUID])
{
    struct gpt_partition p;
    unsigned n = 0;
    uint8_t *e;

    while (n < g->count && gpt_partition(g, n, &p))
        n++;
    if (n == g->count)
        return -ENOSPC;
    e = entry(g, n);
    memset(e, 0, g->entry_size);
    memcpy(e + GPT_E_TYPE, type_data, GPT_GUID);
    memcpy(e + GPT_E_GUID, guid, GPT_GUID);
    put(e + GPT_E_FIRST, first / per_block(g), 8);
    for (unsigned i = 0; i < GPT_NAME_UNITS && name[i]; i++)
        e[GPT_E_NAME + 2 * i] = (uint8_t)name[i];
    gpt_set_sectors(g, n, sectors);
    return 0;
}

void gpt_remove(struct gpt *g, unsigned n) { memset(entry(g, n), 0, g->entry_size); }

void gpt_set_sectors(struct gpt *g, unsigned n, uint64_t sectors)
{
    uint8_t *e = entry(g, n);

    put(e + GPT_E_LAST, gpt_get(e + GPT_E_FIRST, 8) + sectors / per_block(g) - 1, 8);
}

/* ---- writing ---- */

struct writing {
    const struct gpt *g;
    struct blk_backend *head, *tail;
    uint64_t tail_at; /* block */
    uint32_t entries_crc;
    uint8_t *block; /* one, heap */
};

static int write_blocks(const struct writing *w, uint64_t at, const void *from, size_t len)
{
    struct blk_backend *b = at >= w->tail_at ? w->tail : w->head;

    if (b == w->tail)
        at -= w->tail_at;
    return blk_write(b, at * w->g->block, from, len);
}

static int fill_header(const struct writing *w, unsigned copy)
{
    const struct gpt *g = w->g;
    uint8_t *h = w->block;
    uint32_t crc;
    int error;

    memset(h, 0, g->block);
    memcpy(h, GPT_SIGNATURE, 8);
    put(h + GPT_H_REVISION, 0x00010000, 4);
    put(h + GPT_H_SIZE, g->header_size, 4);
    put(h + GPT_H_MY, g->place[copy], 8);
    put(h + GPT_H_ALTERNATE, g->place[!copy], 8);
    put(h + GPT_H_FIRST, g->first_usable, 8);
    put(h + GPT_H_LAST, g->last_usable, 8);
    memcpy(h + GPT_H_GUID, g->guid, GPT_GUID);
    put(h + GPT_H_ENTRIES, g->entries_at[copy], 8);
    put(h + GPT_H_COUNT, g->count, 4);
    put(h + GPT_H_ENTRY_SIZE, g->entry_size, 4);
    put(h + GPT_H_ENTRIES_CRC, w->entries_crc, 4);
    error = gpt_header_crc(h, g->header_size, &crc);
    put(h + GPT_H_CRC, crc, 4);
    return error;
}

/* Entries and header may reach the medium in any order: until both have, the checksums are wrong and the other copy counts. */
static int write_copy(const struct writing *w, unsigned copy)
{
    int error = fill_header(w, copy);

    if (!error)
        error = write_blocks(w, w->g->entries_at[copy], w->g->entries, gpt_table_bytes(w->g));
    if (!error)
        error = write_blocks(w, w->g->place[copy], w->block, w->g->block);
    return error ? error : blk_flush(copy ? w->tail : w->head);
}

/* Both copies lie where they may be written: the primary before, the backup behind all partitions, header and entries apart. */
static bool places_ok(const struct gpt *g)
{
    uint64_t n = gpt_table_bytes(g) / g->block;

    return g->place[0] == 1 && g->entries_at[0] >= 2 &&
           range_ok(g->entries_at[0], n, g->first_usable) && g->place[1] > g->last_usable &&
           g->place[1] < g->blocks && g->entries_at[1] > g->last_usable &&
           range_ok(g->entries_at[1], n, g->blocks) &&
           (g->place[1] < g->entries_at[1] || g->place[1] >= g->entries_at[1] + n);
}

int gpt_write(const struct gpt *g, struct blk_backend *head, struct blk_backend *tail)
{
    struct writing w = {.g = g, .head = head, .tail = tail, .tail_at = g->last_usable + 1};
    int error;

    if (!places_ok(g))
        return -EINVAL;
    error = hash_crc32(g->entries, (size_t)g->count * g->entry_size, &w.entries_crc);
    if (error)
        return error;
    w.block = heap_alloc(g->block);
    if (!w.block)
        return -ENOMEM;
    error = write_copy(&w, !g->used);
    if (!error)
        error = write_copy(&w, g->used);
    heap_free(w.block);
    return error;
}
