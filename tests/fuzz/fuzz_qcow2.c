// SPDX-License-Identifier: BSD-2-Clause
// qcow2 over damaged images: refused with a reason, or read and written with legal errors; nothing outside the file is asked for,
// caches stay within their bounds, and nothing is left behind.
// units: hyp/blk/qcow2*.c hyp/blk/meta_cache.c hyp/blk/blk_io.c tests/fake/fake_disk.c tests/fake/fake_base.c
#include <errno.h>
#include <zlib.h>

#include "blk/blk_io.h"
#include "blk/qcow2_compressed.h"
#include "blk/qcow2_create.h"
#include "fake_disk.h"
#include "fuzz.h"
#include "mem/frame.h"

const unsigned fuzz_runs = 12000;
const size_t fuzz_max = 5000;
enum { CLUSTER = 512, FILE_SIZE = 64 * CLUSTER, OPS = 48, PAGES = 20, LEN_MAX = 8 * CLUSTER };

void *frame_alloc_page(void)
{
    fake_heap_blocks++;
    return calloc(1, PAGE_SIZE);
}
void frame_free_page(void *p)
{
    fake_heap_blocks--;
    free(p);
}

static struct fake_disk file;
static struct qcow2 q;
static struct spinlock lock = SPINLOCK_INIT(LOCK_BACKEND);
static uint8_t buffer[LEN_MAX];

static int read_below(void *ctx, uint64_t at, void *to, size_t len)
{
    (void)ctx;
    memset(to, (int)(at >> 9), len);
    return 0;
}

static void check_error(int error)
{
    assert_true(error == 0 || error == -EIO || error == -ENOSPC || error == -ENOTSUP ||
                error == -EBUSY);
    assert_true(q.cache.count <= PAGES && q.pending_count <= QCOW2_PENDING);
}

static void unpack(const struct qcow2_run *run)
{
    const uint8_t *cluster;
    int error = qcow2_read_compressed(&q, run, &cluster);

    assert_true(range_ok(run->host, run->stored, FILE_SIZE));
    check_error(error);
    if (!error) /* all of it is there to be read */
        memcpy(buffer, cluster, min_u64(qcow2_cluster(&q), sizeof(buffer)));
}

static void map_all(uint64_t at, uint64_t len)
{
    for (unsigned steps = 0; len; steps++) {
        struct qcow2_run run;
        int error;

        assert_true(steps < 1000);
        spin_lock(&lock);
        error = qcow2_map(&q, at, len, &run);
        spin_unlock(&lock);
        if (!error && run.kind == QCOW2_ABSENT) {
            error = qcow2_load(&q, run.host);
            if (error == -EBUSY)
                error = qcow2_flush(&q);
            check_error(error);
            if (error)
                return;
            continue;
        }
        check_error(error);
        if (error)
            return;
        assert_true(run.len && run.len <= len);
        if (run.kind == QCOW2_DATA)
            assert_true(run.host >= qcow2_cluster(&q) && range_ok(run.host, run.len, FILE_SIZE));
        if (run.kind == QCOW2_COMPRESSED)
            unpack(&run);
        at += run.len;
        len -= run.len;
    }
}

static void write_all(uint64_t at, uint64_t len)
{
    while (len) {
        struct blk_segment seg = {buffer, (uint32_t)len};
        uint64_t done = 0;
        int error = qcow2_write(&q, at, &seg, 1, len, &done);

        check_error(error);
        if (error)
            return;
        assert_true(done && done <= len);
        at += done;
        len -= done;
    }
}

/* It becomes larger, or stays as it is; and what is counted is within the file. */
static void larger(uint64_t from, uint64_t by, bool more_room)
{
    uint64_t was = q.size, used;
    char why[128] = "";
    bool all;
    int error;

    if (!q.writable)
        return;
    if (more_room)
        file.blk.sectors = FILE_SIZE / 512;
    qcow2_set_room(&q);
    error = qcow2_resize(&q, from + by * 512, why, sizeof(why));
    check_error(error == -EINVAL ? 0 : error);
    assert_int_equal(q.size, error ? was : from + by * 512);
    assert_true(!error || strlen(why) > 5);
    error = qcow2_count_used(&q, UINT64_MAX, &used, &all);
    check_error(error);
    assert_true(error || (all && used <= q.clusters));
}

static void operate(struct fuzz_in *in)
{
    uint8_t op = fuzz_u8(in), where = fuzz_u8(in), sectors = fuzz_u8(in) % 8 + 1;
    uint64_t disk = q.size / 512, at, len;

    if (!disk)
        return;
    at = (op & 0x80 ? disk - 1 - where % disk : where % disk) * 512;
    len = min_u64(sectors * 512ul, disk * 512 - at);
    switch (op % 6) {
    case 0:
        map_all(at, len);
        break;
    case 1:
        check_error(qcow2_zero(&q, at, len, op & 0x40));
        break;
    case 2:
        check_error(qcow2_discard(&q, at, len));
        break;
    case 3:
        check_error(qcow2_flush(&q));
        break;
    case 4:
        larger(disk * 512, (where + 1ul) << (sectors * 3), op & 0x40);
        break;
    default:
        write_all(at, len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_in in = {data, size < 3 * OPS ? size : 3 * OPS};
    char why[160] = "";
    bool writable;
    int error;

    if (size < 3)
        return 0;
    writable = !(data[0] & 0x20);
    fake_disk_init(&file, FILE_SIZE);
    if (size > 3 * OPS)
        memcpy(file.data, data + 3 * OPS, size - 3 * OPS);
    if (data[0] & 0x40)
        file.blk.sectors = FILE_SIZE / 512 / 2;
    error = qcow2_open(&q, &file.blk, writable, PAGES, &lock, why, sizeof(why));
    assert_true(error == 0 || error == -EINVAL);
    if (error) {
        assert_true(strlen(why) > 5 && !strchr(why, '\n'));
    } else {
        q.read_below = q.has_backing ? read_below : NULL;
        q.ctx = &q;
        while (in.left)
            operate(&in);
        qcow2_close(&q);
    }
    fake_disk_free(&file);
    assert_int_equal(fake_heap_blocks, 0);
    return 0;
}

static void put_compressed(uint8_t *to, size_t room)
{
    uint8_t text[CLUSTER];
    z_stream s = {
        .next_in = text, .avail_in = CLUSTER, .next_out = to, .avail_out = (unsigned)room};

    for (unsigned i = 0; i < CLUSTER; i++)
        text[i] = (uint8_t)(i * i >> 9);
    assert_int_equal(deflateInit2(&s, 6, Z_DEFLATED, -12, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&s, Z_FINISH), Z_STREAM_END);
    deflateEnd(&s);
}

/* An image of small clusters: header, refcount table and block, level 1, level 2, two clusters of data; in the second is a
 * compressed one, too. */
static void put_image(struct fuzz_out *o, bool backing, unsigned order)
{
    uint8_t f[7 * CLUSTER] = {0};

    meta_put_be(f, QCOW2_MAGIC, 4);
    meta_put_be(f + QCOW2_H_VERSION, 3, 4);
    meta_put_be(f + QCOW2_H_CLUSTER_BITS, 9, 4);
    meta_put_be(f + QCOW2_H_SIZE, 200 * 512, 8);
    meta_put_be(f + QCOW2_H_L1_SIZE, 4, 4);
    meta_put_be(f + QCOW2_H_L1_AT, 3 * CLUSTER, 8);
    meta_put_be(f + QCOW2_H_REFCOUNT_TABLE, CLUSTER, 8);
    meta_put_be(f + QCOW2_H_REFCOUNT_CLUSTERS, 1, 4);
    meta_put_be(f + QCOW2_H_REFCOUNT_ORDER, order, 4);
    meta_put_be(f + QCOW2_H_LENGTH, QCOW2_H_V3_LEN, 4);
    if (backing) {
        meta_put_be(f + 104, QCOW2_EXT_BACKING_FORMAT, 4);
        meta_put_be(f + 108, 3, 4);
        memcpy(f + 112, "raw", 3);
        meta_put_be(f + QCOW2_H_BACKING_AT, 128, 8);
        meta_put_be(f + QCOW2_H_BACKING_LEN, 4, 4);
        memcpy(f + 128, "base", 4);
    }
    meta_put_be(f + CLUSTER, 2 * CLUSTER, 8);
    for (unsigned c = 0; c < 7; c++) {
        if (order >= 3)
            meta_put_be(f + 2 * CLUSTER + (c << order) / 8, 1, 1u << (order - 3));
        else
            f[2 * CLUSTER + (c << order) / 8] |= (uint8_t)(1 << (c << order) % 8);
    }
    meta_put_be(f + 3 * CLUSTER, 4 * CLUSTER | QCOW2_COPIED, 8);
    meta_put_be(f + 4 * CLUSTER, 5 * CLUSTER | QCOW2_COPIED, 8);
    meta_put_be(f + 4 * CLUSTER + 16, 6 * CLUSTER | QCOW2_COPIED | QCOW2_ZERO_FLAG, 8);
    meta_put_be(f + 4 * CLUSTER + 24, QCOW2_ZERO_FLAG, 8);
    meta_put_be(f + 4 * CLUSTER + 8, QCOW2_COMPRESSED_FLAG | (6 * CLUSTER + 20), 8);
    put_compressed(f + 6 * CLUSTER + 20, CLUSTER - 20);
    fuzz_put(o, f, sizeof(f));
}

size_t fuzz_seed(unsigned n, uint8_t *to, size_t max)
{
    struct fuzz_out o = {to, 0, max};

    if (n >= 6)
        return 0;
    for (unsigned i = 0; i < OPS; i++) {
        fuzz_put_u(&o, i * 7 + n == 32 ? 0 : i * 7 + n, 1);
        fuzz_put_u(&o, i * 29, 1);
        fuzz_put_u(&o, i, 1);
    }
    put_image(&o, n & 1, (unsigned[]){4, 4, 0, 3, 6, 2}[n]);
    return o.len;
}
