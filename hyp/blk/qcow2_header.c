// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "blk/blk_io.h"
#include "blk/qcow2_compressed.h"
#include "mem/heap.h"

enum {
    HEADER_READ = 4096, /* what is read of the header: extensions and names beyond are not known */
    FEATURE_LEN = 48,
    FEATURE_NAME = 46
};
enum { DIRTY = 1, CORRUPT = 2 }; /* incompatible features */
#define KNOWN_INCOMPATIBLE (DIRTY | CORRUPT)

struct reader {
    struct qcow2 *q;
    uint8_t *h; /* HEADER_READ bytes */
    uint32_t header_len;
    char *why;
    size_t why_size;
};

static int refuse(struct reader *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
static int refuse(struct reader *r, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fmt_vsnprintf(r->why, r->why_size, fmt, ap);
    va_end(ap);
    return -EINVAL;
}

static uint64_t field(const struct reader *r, unsigned at, unsigned bytes)
{
    return meta_be(r->h + at, bytes);
}

bool qcow2_place_ok(const struct qcow2 *q, uint64_t offset, uint64_t len)
{
    return offset && is_aligned(offset, qcow2_cluster(q)) &&
           range_ok(offset, len, q->clusters << q->cluster_bits);
}

/* ---- extensions ---- */

/* The data of an extension; NULL: there is none, or it is not all in what was read. */
static const uint8_t *extension(const struct reader *r, uint32_t type, uint32_t *len)
{
    uint32_t at = r->header_len;

    while (at + 8 <= HEADER_READ) {
        uint32_t this = (uint32_t)field(r, at, 4);

        *len = (uint32_t)field(r, at + 4, 4);
        if (!this || *len > HEADER_READ - 8 - at)
            return NULL;
        if (this == type)
            return r->h + at + 8;
        at += 8 + (uint32_t)align_up(*len, 8);
    }
    return NULL;
}

/* What the image itself calls an incompatible feature that is not known here. */
static int refuse_feature(struct reader *r, unsigned bit)
{
    static const char *const known[] = {
        [2] = "external data file",
        [3] =
            "compression by zstd: 'qemu-img convert -c -o compression_type=zlib' makes one without",
        [4] = "extended L2 entries"};
    uint32_t len;
    const uint8_t *names = extension(r, QCOW2_EXT_FEATURE_NAMES, &len);

    if (bit < ARRAY_LEN(known) && known[bit])
        return refuse(r, "the image has a feature that is not supported: %s", known[bit]);
    for (uint32_t at = 0; names && at + FEATURE_LEN <= len; at += FEATURE_LEN)
        if (names[at] == 0 && names[at + 1] == bit)
            return refuse(r, "the image has a feature that is not known: %.*s", FEATURE_NAME,
                          (const char *)names + at + 2);
    return refuse(r, "the image has a feature that is not known: bit %u", bit);
}

static int take_features(struct reader *r)
{
    uint64_t bits = r->q->version >= 3 ? field(r, QCOW2_H_INCOMPATIBLE, 8) : 0;

    if (bits & ~(uint64_t)KNOWN_INCOMPATIBLE)
        return refuse_feature(r, (unsigned)__builtin_ctzll(bits & ~(uint64_t)KNOWN_INCOMPATIBLE));
    if (bits & CORRUPT)
        return refuse(r, "the image is marked corrupt: mend it with 'qemu-img check -r all'");
    if (bits & DIRTY && r->q->writable)
        return refuse(r, "the image was not closed: mend it with 'qemu-img check -r all'");
    return 0;
}

/* A printable name of len bytes. */
static bool take_name(char *to, size_t size, const uint8_t *name, uint32_t len)
{
    if (!len || len >= size)
        return false;
    for (uint32_t i = 0; i < len; i++)
        if (name[i] < ' ' || name[i] == 0x7f)
            return false;
    memcpy(to, name, len);
    to[len] = 0;
    return true;
}

static int take_backing(struct reader *r)
{
    struct qcow2 *q = r->q;
    uint64_t at = field(r, QCOW2_H_BACKING_AT, 8);
    uint32_t len = (uint32_t)field(r, QCOW2_H_BACKING_LEN, 4), format_len;
    const uint8_t *format;

    if (!at)
        return 0;
    q->has_backing = true;
    if (!range_ok(at, len, HEADER_READ) || at < r->header_len ||
        !take_name(q->backing, sizeof(q->backing), r->h + at, len))
        return refuse(r, "the name of its backing file is no partition's (1 to %d characters)",
                      QCOW2_NAME - 1);
    format = extension(r, QCOW2_EXT_BACKING_FORMAT, &format_len);
    if (!format || !take_name(q->backing_format, sizeof(q->backing_format), format, format_len))
        return refuse(r, "the image does not say its backing file's format: 'qemu-img rebase -u "
                         "-F raw|qcow2' does");
    return 0;
}

/* ---- tables ---- */

static int take_tables(struct reader *r)
{
    struct qcow2 *q = r->q;
    uint64_t per_l1 = qcow2_cluster(q) * qcow2_l2_entries(q);

    q->l1_size = (uint32_t)field(r, QCOW2_H_L1_SIZE, 4);
    q->l1_at = field(r, QCOW2_H_L1_AT, 8);
    q->refcount_table_at = field(r, QCOW2_H_REFCOUNT_TABLE, 8);
    q->refcount_table_len = field(r, QCOW2_H_REFCOUNT_CLUSTERS, 4) << q->cluster_bits;
    if (q->size / per_l1 + (q->size % per_l1 != 0) > q->l1_size)
        return refuse(r, "its level 1 table is too short");
    if ((uint64_t)q->l1_size * 8 > QCOW2_L1_MAX || q->refcount_table_len > QCOW2_REFCOUNT_TABLE_MAX)
        return refuse(r, "its tables are too large");
    if ((q->l1_size && !qcow2_place_ok(q, q->l1_at, (uint64_t)q->l1_size * 8)) ||
        !q->refcount_table_len || !qcow2_place_ok(q, q->refcount_table_at, q->refcount_table_len))
        return refuse(r, "its tables do not lie in the partition: is the image larger than that?");
    return 0;
}

static int take_sizes(struct reader *r)
{
    struct qcow2 *q = r->q;

    q->version = (unsigned)field(r, QCOW2_H_VERSION, 4);
    if (field(r, 0, 4) != QCOW2_MAGIC)
        return refuse(r, "there is no qcow2 image in it");
    if (q->version != 2 && q->version != 3)
        return refuse(r, "a qcow2 image of version %u: 2 and 3 are known", q->version);
    if (q->version == 2 && q->writable)
        return refuse(
            r,
            "an image of version 2 is read only here: 'qemu-img amend -o compat=1.1' makes it 3");
    q->refcount_order = q->version == 2 ? 4 : (unsigned)field(r, QCOW2_H_REFCOUNT_ORDER, 4);
    r->header_len = q->version == 2 ? QCOW2_H_V2_LEN : (uint32_t)field(r, QCOW2_H_LENGTH, 4);
    if (q->version == 3 && (r->header_len < QCOW2_H_V3_LEN || r->header_len > HEADER_READ / 2))
        return refuse(r, "its header has a length that cannot be");
    q->cluster_bits = (unsigned)field(r, QCOW2_H_CLUSTER_BITS, 4);
    if (q->cluster_bits < QCOW2_CLUSTER_MIN || q->cluster_bits > QCOW2_CLUSTER_MAX ||
        q->refcount_order > 6)
        return refuse(r, "it has clusters of 2^%u bytes, counted in 2^%u bits: not supported",
                      q->cluster_bits, q->refcount_order);
    if (qcow2_cluster(q) < q->file->block_size)
        return refuse(r, "its clusters are smaller than the disk's blocks");
    q->clusters = q->file->sectors / (qcow2_cluster(q) / BLK_SECTOR);
    q->size = field(r, QCOW2_H_SIZE, 8);
    if (q->size > 1ul << 56)
        return refuse(r, "its size cannot be");
    if (field(r, QCOW2_H_CRYPT, 4))
        return refuse(r, "the image is encrypted: not supported");
    if (q->writable && field(r, QCOW2_H_SNAPSHOTS, 4))
        return refuse(r,
                      "an image with internal snapshots is read only here: 'qemu-img snapshot -d'");
    return 0;
}

static int take_header(struct reader *r)
{
    int error = take_sizes(r);

    if (!error)
        error = take_features(r);
    if (!error)
        error = take_tables(r);
    return error ? error : take_backing(r);
}

/* Who writes an image and keeps up no extra data clears the bits that promise them. */
static int clear_autoclear(struct reader *r)
{
    uint32_t sector = max_u64(r->q->file->block_size, BLK_SECTOR);
    int error;

    if (!r->q->writable || !field(r, QCOW2_H_AUTOCLEAR, 8))
        return 0;
    meta_put_be(r->h + QCOW2_H_AUTOCLEAR, 0, 8);
    error = blk_write(r->q->file, 0, r->h, sector);
    return error ? error : blk_flush(r->q->file);
}

static int read_header(struct reader *r)
{
    size_t len = min_u64(HEADER_READ, r->q->file->sectors * BLK_SECTOR);
    int error;

    refuse(r, "out of memory");
    r->h = heap_alloc(HEADER_READ);
    if (!r->h)
        return -ENOMEM;
    refuse(r, "it cannot be read");
    error = len ? blk_read(r->q->file, 0, r->h, len) : -EIO;
    if (!error)
        error = take_header(r);
    if (!error)
        error = clear_autoclear(r);
    heap_free(r->h);
    return error;
}

int qcow2_open(struct qcow2 *q, struct blk_backend *file, bool writable, unsigned cache_pages,
               struct spinlock *lock, char *why, size_t why_size)
{
    struct reader r = {.q = q, .why = why, .why_size = why_size};
    int error;

    memset(q, 0, sizeof(*q));
    q->file = file;
    q->writable = writable;
    error = read_header(&r);
    if (error)
        return error;
    if (writable) {
        q->copy = heap_alloc(2 * qcow2_cluster(q));
        if (!q->copy) {
            refuse(&r, "out of memory");
            return -ENOMEM;
        }
    }
    meta_init(&q->cache, file, lock, (uint32_t)min_u64(qcow2_cluster(q), PAGE_SIZE), cache_pages);
    return 0;
}

static int write_first(struct qcow2 *q, const uint8_t *sector, size_t len)
{
    int error = blk_write(q->file, 0, sector, len);

    return error ? error : blk_flush(q->file);
}

int qcow2_write_header(struct qcow2 *q, const struct qcow2_field *field, unsigned n)
{
    size_t len = max_u64(q->file->block_size, BLK_SECTOR);
    uint8_t *h = heap_alloc(2 * len);
    int error = h ? blk_read(q->file, 0, h, len) : -ENOMEM;

    if (!error) {
        memcpy(h + len, h, len);
        for (unsigned i = 0; i < n; i++)
            meta_put_be(h + field[i].at, field[i].value, field[i].bytes);
        error = write_first(q, h, len);
        if (error && write_first(q, h + len, len)) /* as it was */
            q->writable = false;
    }
    heap_free(h);
    return error;
}

uint64_t qcow2_memory(const struct qcow2 *q)
{
    return meta_memory(&q->cache) + (q->copy ? heap_takes(2 * qcow2_cluster(q)) : 0) +
           qcow2_inflate_memory(q);
}

void qcow2_close(struct qcow2 *q)
{
    meta_free(&q->cache);
    heap_free(q->copy);
    q->copy = NULL;
    qcow2_inflate_free(q->inflate);
    q->inflate = NULL;
}
