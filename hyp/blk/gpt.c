// SPDX-License-Identifier: BSD-2-Clause
// Reading a partition table; see gpt.h.
#include "blk/gpt.h"

#include <errno.h>
#include <string.h>

#include "blk/blk_io.h"
#include "blk/gpt_format.h"
#include "mem/heap.h"
#include "vm/hash.h"

enum { BLOCK_MAX = 4096, TABLE_MAX = 256 * 1024 };

uint64_t gpt_get(const uint8_t *p, unsigned bytes)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < bytes; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

/* ---- one copy ---- */

/* The checksum of a header is made with its own field 0. */
int gpt_header_crc(uint8_t *header, uint32_t size, uint32_t *crc)
{
    uint8_t was[4];
    int error;

    memcpy(was, header + GPT_H_CRC, sizeof(was));
    memset(header + GPT_H_CRC, 0, sizeof(was));
    error = hash_crc32(header, size, crc);
    memcpy(header + GPT_H_CRC, was, sizeof(was));
    return error;
}

/* What a header says, when it is whole and lies at block place; entries are not read yet. */
static int take_header(struct gpt *g, uint8_t *h, uint64_t place, const char **why)
{
    uint32_t crc;
    uint64_t size;
    int error;

    *why = "there is no GPT on it";
    if (memcmp(h, GPT_SIGNATURE, 8))
        return -ENOENT;
    *why = "the header of its GPT is damaged";
    g->header_size = (uint32_t)gpt_get(h + GPT_H_SIZE, 4);
    if (g->header_size < GPT_H_LEN || g->header_size > g->block)
        return -EINVAL;
    error = gpt_header_crc(h, g->header_size, &crc);
    if (error)
        return error;
    g->first_usable = gpt_get(h + GPT_H_FIRST, 8);
    g->last_usable = gpt_get(h + GPT_H_LAST, 8);
    g->count = (uint32_t)gpt_get(h + GPT_H_COUNT, 4);
    g->entry_size = (uint32_t)gpt_get(h + GPT_H_ENTRY_SIZE, 4);
    memcpy(g->guid, h + GPT_H_GUID, GPT_GUID);
    size = (uint64_t)g->count * g->entry_size;
    if (crc != gpt_get(h + GPT_H_CRC, 4) || gpt_get(h + GPT_H_MY, 8) != place)
        return -EINVAL;
    *why = "its GPT has sizes that cannot be";
    if (g->entry_size < GPT_E_LEN || g->entry_size & (g->entry_size - 1) || !g->count ||
        size > TABLE_MAX || g->first_usable < 2 || g->first_usable > g->last_usable ||
        g->last_usable >= g->blocks - 1)
        return -EINVAL;
    return 0;
}

static uint64_t table_blocks(const struct gpt *g)
{
    return ((uint64_t)g->count * g->entry_size + g->block - 1) / g->block;
}

size_t gpt_table_bytes(const struct gpt *g) { return table_blocks(g) * g->block; }

/* Entries lie outside what partitions may use. */
static bool entries_place_ok(const struct gpt *g, uint64_t at)
{
    uint64_t n = table_blocks(g);

    return at >= 2 && range_ok(at, n, g->blocks) &&
           (at + n <= g->first_usable || at > g->last_usable);
}

static int read_entries(struct gpt *g, struct blk_backend *disk, uint64_t at, uint32_t want,
                        const char **why)
{
    uint32_t crc;
    int error;

    *why = "its GPT has sizes that cannot be";
    if (!entries_place_ok(g, at))
        return -EINVAL;
    *why = "out of memory";
    g->entries = heap_alloc(gpt_table_bytes(g));
    if (!g->entries)
        return -ENOMEM;
    *why = "its GPT cannot be read";
    error = blk_read(disk, at * g->block, g->entries, gpt_table_bytes(g));
    if (!error)
        error = hash_crc32(g->entries, (size_t)g->count * g->entry_size, &crc);
    if (error)
        return error;
    *why = "the entries of its GPT are damaged";
    return crc == want ? 0 : -EINVAL;
}

/* ---- what the entries say ---- */

static const uint8_t *entry(const struct gpt *g, unsigned n)
{
    return g->entries + (size_t)n * g->entry_size;
}

static bool in_use(const uint8_t *e)
{
    static const uint8_t unused[GPT_GUID];

    return memcmp(e + GPT_E_TYPE, unused, GPT_GUID);
}

static bool overlaps_earlier(const struct gpt *g, unsigned n, uint64_t first, uint64_t last)
{
    for (unsigned i = 0; i < n; i++) {
        const uint8_t *e = entry(g, i);

        if (in_use(e) && first <= gpt_get(e + GPT_E_LAST, 8) && gpt_get(e + GPT_E_FIRST, 8) <= last)
            return true;
    }
    return false;
}

static bool entries_ok(const struct gpt *g)
{
    for (unsigned n = 0; n < g->count; n++) {
        const uint8_t *e = entry(g, n);
        uint64_t first = gpt_get(e + GPT_E_FIRST, 8), last = gpt_get(e + GPT_E_LAST, 8);

        if (in_use(e) && (first < g->first_usable || last > g->last_usable || first > last ||
                          overlaps_earlier(g, n, first, last)))
            return false;
    }
    return true;
}

/* One UTF-16 unit or pair at unit *at of a name as UTF-8; how many bytes. */
static unsigned put_char(const uint8_t *name, unsigned *at, char *to)
{
    uint32_t c = (uint32_t)gpt_get(name + 2 * *at, 2), low;

    ++*at;
    if (c >= 0xd800 && c < 0xe000) {
        low = *at < GPT_NAME_UNITS ? (uint32_t)gpt_get(name + 2 * *at, 2) : 0;
        if (c >= 0xdc00 || low < 0xdc00 || low >= 0xe000) {
            c = 0xfffd; /* half a pair */
        } else {
            c = 0x10000 + ((c & 0x3ff) << 10 | (low & 0x3ff));
            ++*at;
        }
    }
    if (c < ' ' || c == 0x7f)
        c = '?'; /* names are shown on terminals */
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    unsigned more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const uint8_t lead[] = {0, 0xc0, 0xe0, 0xf0};

    to[0] = (char)(lead[more] | c >> (6 * more));
    for (unsigned i = 1; i <= more; i++)
        to[i] = (char)(0x80 | (c >> (6 * (more - i)) & 0x3f));
    return more + 1;
}

static void put_name(const uint8_t *name, char to[GPT_NAME_MAX])
{
    unsigned len = 0;

    for (unsigned at = 0; at < GPT_NAME_UNITS && gpt_get(name + 2 * at, 2);)
        len += put_char(name, &at, to + len);
    to[len] = 0;
}

bool gpt_partition(const struct gpt *g, unsigned n, struct gpt_partition *p)
{
    const uint8_t *e = entry(g, n);
    uint64_t per_block = g->block / BLK_SECTOR, first, last;

    if (!in_use(e))
        return false;
    first = gpt_get(e + GPT_E_FIRST, 8);
    last = gpt_get(e + GPT_E_LAST, 8);
    p->first = first * per_block;
    p->sectors = (last - first + 1) * per_block;
    memcpy(p->type, e + GPT_E_TYPE, GPT_GUID);
    memcpy(p->guid, e + GPT_E_GUID, GPT_GUID);
    put_name(e + GPT_E_NAME, p->name);
    return true;
}

/* ---- both copies ---- */

/* The copy whose header is at block place, into *g (zeroed but for the disk's facts). */
static int read_copy(struct gpt *g, struct blk_backend *disk, unsigned copy, uint64_t place,
                     const char **why)
{
    uint8_t *h;
    int error;

    *why = "out of memory";
    h = heap_alloc(g->block);
    if (!h)
        return -ENOMEM;
    *why = "its GPT cannot be read";
    error = place < g->blocks ? blk_read(disk, place * g->block, h, g->block) : -EINVAL;
    if (!error)
        error = take_header(g, h, place, why);
    if (!error) {
        g->used = copy;
        g->place[copy] = place;
        g->place[!copy] = gpt_get(h + GPT_H_ALTERNATE, 8);
        g->entries_at[copy] = gpt_get(h + GPT_H_ENTRIES, 8);
        error = read_entries(g, disk, g->entries_at[copy],
                             (uint32_t)gpt_get(h + GPT_H_ENTRIES_CRC, 4), why);
    }
    heap_free(h);
    if (!error && !entries_ok(g)) {
        *why = "its GPT has partitions that overlap, or are not on it";
        error = -EINVAL;
    }
    if (error)
        gpt_free(g);
    return error;
}

/* Looks at the copy that is not used: where its entries are, and whether it says the same. */
static void look_at_other(struct gpt *g, struct blk_backend *disk)
{
    struct gpt other = {.block = g->block, .blocks = g->blocks};
    const char *why;
    unsigned copy = !g->used;
    uint64_t n = table_blocks(g);

    /* Where it must be when it is not readable: behind the primary header, or before the backup one. */
    g->entries_at[copy] = copy ? g->place[1] - n : 2;
    if (read_copy(&other, disk, copy, g->place[copy], &why))
        return;
    g->entries_at[copy] = other.entries_at[copy];
    g->other_good = other.place[g->used] == g->place[g->used] && other.count == g->count &&
                    other.entry_size == g->entry_size && other.first_usable == g->first_usable &&
                    other.last_usable == g->last_usable && !memcmp(other.guid, g->guid, GPT_GUID) &&
                    !memcmp(other.entries, g->entries, (size_t)g->count * g->entry_size);
    gpt_free(&other);
}

int gpt_read(struct gpt *g, struct blk_backend *disk, const char **why)
{
    struct gpt fresh = {.block = disk->block_size < BLK_SECTOR ? BLK_SECTOR : disk->block_size};
    const char *backup_why;
    int error;

    fresh.blocks = disk->sectors / (fresh.block / BLK_SECTOR);
    *g = fresh;
    *why = "it is too small for a GPT";
    if (fresh.block > BLOCK_MAX || fresh.blocks < 6)
        return -ENOENT;
    error = read_copy(g, disk, 0, 1, why);
    if (error == -ENOENT || error == -EINVAL) {
        int primary = error;

        *g = fresh;
        error = read_copy(g, disk, 1, fresh.blocks - 1, &backup_why);
        if (error == -ENOENT || error == -EINVAL)
            return primary; /* and its reason */
    }
    if (!error)
        look_at_other(g, disk);
    return error;
}

void gpt_free(struct gpt *g)
{
    heap_free(g->entries);
    g->entries = NULL;
}
