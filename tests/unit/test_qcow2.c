// SPDX-License-Identifier: BSD-2-Clause
// qcow2 images beside QEMU's own tools: what qemu-img makes is read and written here, what is written here is checked and
// read by qemu-img; and whenever the power goes, nothing is lost that was flushed.
// units: hyp/blk/qcow2*.c hyp/blk/meta_cache.c hyp/blk/blk_io.c tests/fake/fake_disk.c tests/fake/fake_base.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arch.h"
#include "blk/blk_io.h"
#include "blk/qcow2_compressed.h"
#include "blk/qcow2_create.h"
#include "fake_disk.h"
#include "mem/frame.h"

enum { FILE_SIZE = 24 << 20, CUT_SIZE = 9 << 20, DISK = 6 << 20, PIECE = 200 * 1024 };

void *frame_alloc_page(void)
{
    void *p = fake_heap_left ? calloc(1, PAGE_SIZE) : NULL;

    fake_heap_left -= fake_heap_left > 0;
    fake_heap_blocks += p != NULL;
    return p;
}
void frame_free_page(void *p)
{
    fake_heap_blocks -= p != NULL;
    free(p);
}

static struct fake_disk file;
static struct qcow2 q;
static struct spinlock lock = SPINLOCK_INIT(LOCK_BACKEND);
static char dir[64], why[160];
static uint8_t *model, *below; /* what the guest's disk holds; what is behind the image */
static uint8_t data[PIECE + 512];
static uint32_t seed;
static unsigned stamp, sched_points;

void sched_point(void)
{
    sched_points++;
    fake_time++;
}

static uint32_t roll(uint32_t n)
{
    seed = seed * 1664525 + 1013904223;
    return (uint32_t)(((uint64_t)(seed >> 8) * n) >> 24);
}

static void new_file(size_t size)
{
    fake_disk_free(&file);
    fake_disk_init(&file, size);
    memset(file.data, 0xaa, size); /* what was in the partition before */
}

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/trapline-qcow2-XXXXXX");
    assert_non_null(mkdtemp(dir));
    new_file(FILE_SIZE);
    model = calloc(1, DISK);
    below = calloc(1, DISK);
    fake_heap_blocks = 0;
    seed = 4711;
    stamp = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_disk_free(&file);
    free(model);
    free(below);
    fake_disk_run("rm -rf %s", dir);
    assert_int_equal(fake_heap_blocks, 0);
    return 0;
}

/* ---- the guest's side ---- */

static int read_compressed(const struct qcow2_run *run, uint64_t at, uint8_t *to)
{
    const uint8_t *cluster;
    int error = qcow2_read_compressed(&q, run, &cluster);

    if (!error)
        memcpy(to, cluster + at % qcow2_cluster(&q), run->len);
    return error;
}

static int guest_read(uint64_t at, uint8_t *to, uint64_t len)
{
    while (len) {
        struct qcow2_run run;
        int error;

        spin_lock(&lock);
        error = qcow2_map(&q, at, len, &run);
        spin_unlock(&lock);
        if (error)
            return error;
        if (run.kind == QCOW2_ABSENT) {
            error = qcow2_load(&q, run.host);
            if (error)
                return error;
            continue;
        }
        assert_true(run.len && run.len <= len);
        if (run.kind == QCOW2_DATA)
            error = blk_read(&file.blk, run.host, to, run.len);
        else if (run.kind == QCOW2_COMPRESSED)
            error = read_compressed(&run, at, to);
        else if (run.kind == QCOW2_HOLE && q.has_backing)
            memcpy(to, below + at, run.len);
        else
            memset(to, 0, run.len);
        if (error)
            return error;
        at += run.len;
        to += run.len;
        len -= run.len;
    }
    return 0;
}

static int read_below(void *ctx, uint64_t at, void *to, size_t len)
{
    size_t have = at < DISK ? min_u64(len, DISK - at) : 0;

    assert_ptr_equal(ctx, &q);
    memset(to, 0, len);
    memcpy(to, below + at, have);
    return 0;
}

/* Every sector of a write is another one's: found again after a power cut. */
static void fill(uint8_t *to, uint64_t len)
{
    stamp++;
    for (uint64_t i = 0; i < len; i += 8) {
        uint32_t v[2] = {stamp, (uint32_t)i};

        memcpy(to + i, v, 8);
    }
}

static int guest_write(uint64_t at, uint64_t len)
{
    fill(data, len);
    for (uint64_t pos = 0, done; pos < len; pos += done) {
        uint64_t left = len - pos, cut = left > 1024 ? 1024 : 512;
        struct blk_segment seg[3] = {{data + pos, 512},
                                     {data + pos + 512, (uint32_t)(cut - 512)},
                                     {data + pos + cut, (uint32_t)(left - cut)}};
        unsigned count = left > 1024 ? 3 : left > 512 ? 2 : 1;
        int error;

        if (left == 1024)
            seg[1].len = 512;
        error = qcow2_write(&q, at + pos, seg, count, left, &done);
        if (error)
            return error;
        assert_true(done && done <= left && done % 512 == 0);
        memcpy(model + at + pos, data + pos, done);
    }
    return 0;
}

static void check_contents(void)
{
    uint8_t *got = malloc(DISK);

    assert_int_equal(guest_read(0, got, DISK), 0);
    for (unsigned i = 0; i < DISK; i += 512)
        if (memcmp(got + i, model + i, 512))
            fail_msg("sector %u is %02x%02x.., not %02x%02x..", i / 512, got[i], got[i + 1],
                     model[i], model[i + 1]);
    free(got);
}

static void open_image(bool writable, unsigned pages)
{
    why[0] = 0;
    if (qcow2_open(&q, &file.blk, writable, pages, &lock, why, sizeof(why)))
        fail_msg("not opened: %s", why);
    q.read_below = q.has_backing ? read_below : NULL;
    q.ctx = &q;
}

/* Something that a guest does. */
static void do_something(void)
{
    uint64_t at = roll(DISK / 512) * 512ul, len = (1 + roll(roll(4) ? 16 : PIECE / 512)) * 512ul;

    len = min_u64(len, DISK - at);
    switch (roll(8)) {
    case 0:
        assert_int_equal(qcow2_zero(&q, at, len, roll(2)), 0);
        memset(model + at, 0, len);
        break;
    case 1:
        at = align_down(at, qcow2_cluster(&q));
        len = min_u64(align_up(len, qcow2_cluster(&q)), DISK - at);
        assert_int_equal(qcow2_discard(&q, at, len), 0);
        memset(model + at, 0, len);
        break;
    case 2:
        assert_int_equal(qcow2_flush(&q), 0);
        break;
    default:
        assert_int_equal(guest_write(at, len), 0);
    }
}

/* ---- QEMU's side ---- */

static void image_path(char *to, size_t size) { snprintf(to, size, "%s/image", dir); }

/* The file, for QEMU: it is clean, or has leaks. */
static void check_is_whole(void)
{
    char path[80];
    int status;

    image_path(path, sizeof(path));
    fake_disk_save(&file, path);
    status = fake_disk_run("qemu-img check -q -f qcow2 %s >%s/log 2>&1", path, dir);
    assert_true(status == 0 || status == 3);
}

/* Whether the guest's disk is as the model says, for QEMU; and the image is clean. */
static void check_with_qemu(void)
{
    char path[80];
    FILE *f;
    uint8_t *got = malloc(DISK);

    image_path(path, sizeof(path));
    fake_disk_save(&file, path);
    assert_int_equal(fake_disk_run("qemu-img check -q -f qcow2 %s >%s/log 2>&1", path, dir), 0);
    assert_int_equal(
        fake_disk_run("qemu-img convert -f qcow2 -O raw %s %s/raw >%s/log", path, dir, dir), 0);
    snprintf(path, sizeof(path), "%s/raw", dir);
    f = fopen(path, "rb");
    assert_int_equal(fread(got, 1, DISK, f), DISK);
    fclose(f);
    assert_memory_equal(got, model, DISK);
    free(got);
}

/* An image made by qemu-img, with something in it. */
static void make_with_qemu(const char *options)
{
    char path[80];

    image_path(path, sizeof(path));
    assert_int_equal(fake_disk_run("qemu-img create -q -f qcow2 -o %s %s %d", options, path, DISK),
                     0);
    assert_int_equal(
        fake_disk_run("qemu-io -f qcow2 -c 'write -q -P 0x55 0 150k' -c 'write -q -P 0x66 3M 7k' "
                      "-c 'write -q -z 4M 128k' -c 'write -q -z -u 0 64k' %s >%s/log",
                      path, dir),
        0);
    memset(model, 0x55, 150 * 1024);
    memset(model, 0, 64 * 1024);
    memset(model + (3 << 20), 0x66, 7 * 1024);
    fake_disk_load(&file, path);
}

/* An image as the cloud's are: all that can be is compressed, and little by 17 bytes or by nothing. */
static void compressed_with_qemu(const char *options)
{
    char path[80];
    FILE *f;

    for (unsigned i = 0; i < DISK; i += 512) {
        uint32_t noise = i >> 18 & 1; /* by turns, 256 KiB each */

        for (unsigned k = 0; k < 512; k++)
            model[i + k] = (uint8_t)(i % 768 == 0 || noise ? roll(256) : i >> 9);
    }
    memset(model + (2 << 20), 0, 300 << 10);
    snprintf(path, sizeof(path), "%s/raw", dir);
    f = fopen(path, "wb");
    assert_int_equal(fwrite(model, 1, DISK, f), DISK);
    fclose(f);
    image_path(path, sizeof(path));
    assert_int_equal(
        fake_disk_run("qemu-img convert -c -f raw -O qcow2 -o %s %s/raw %s", options, dir, path),
        0);
    fake_disk_load(&file, path);
}

static void backing_with_qemu(void)
{
    char path[80];
    FILE *f;

    for (unsigned i = 0; i < DISK; i += 4) {
        uint32_t v = 0xb0000000 | i;

        memcpy(below + i, &v, 4);
    }
    snprintf(path, sizeof(path), "%s/template", dir);
    f = fopen(path, "wb");
    assert_int_equal(fwrite(below, 1, DISK, f), DISK);
    fclose(f);
}

/* The same, of a disk that is so large now; what is new is zeros. */
static void check_with_qemu_of(uint64_t size)
{
    char path[80];

    image_path(path, sizeof(path));
    check_with_qemu();
    assert_int_equal(fake_disk_run("test $(stat -c %%s %s/raw) = %lu", dir, (unsigned long)size),
                     0);
    assert_int_equal(fake_disk_run("truncate -s %d %s/raw && truncate -s %lu %s/raw && qemu-img "
                                   "compare -q -f qcow2 -F raw %s %s/raw",
                                   DISK, dir, (unsigned long)size, dir, path, dir),
                     0);
}

/* ---- tests ---- */

static const char *const kinds[] = {
    "cluster_size=64k",
    "cluster_size=4k",
    "cluster_size=512",
    "cluster_size=2M",
    "cluster_size=16k,refcount_bits=1",
    "cluster_size=16k,refcount_bits=4",
    "cluster_size=16k,refcount_bits=8",
    "cluster_size=16k,refcount_bits=32",
    "cluster_size=16k,refcount_bits=64,lazy_refcounts=on",
    "cluster_size=512,refcount_bits=64", /* its refcount table reaches 2 MiB at first */
    "cluster_size=512,refcount_bits=2",
};

static void reads_and_writes_what_qemu_made(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
        memset(file.data, 0xaa, FILE_SIZE);
        memset(model, 0, DISK);
        make_with_qemu(kinds[i]);
        if (strstr(kinds[i], "lazy")) /* and not closed well by the last one; refcounts are right */
            file.data[QCOW2_H_INCOMPATIBLE + 7] = 0;
        open_image(true, i & 1 ? 24 : 64);
        check_contents();
        for (unsigned n = 0; n < 150; n++)
            do_something();
        check_contents();
        assert_int_equal(qcow2_flush(&q), 0);
        assert_true(q.cache.count <= q.cache.most);
        assert_false(qcow2_needs_flush(&q));
        if (strstr(kinds[i], "512,refcount_bits=64")) /* 8 bytes for each 64 clusters of the file */
            assert_int_equal(q.refcount_table_len, FILE_SIZE / 512 / 64 * 8);
        check_contents();
        qcow2_close(&q);
        check_with_qemu();
        open_image(false, 24);
        check_contents();
        qcow2_close(&q);
    }
}

static unsigned count_kind(enum qcow2_kind kind)
{
    unsigned n = 0;

    for (uint64_t at = 0; at < DISK; at += qcow2_cluster(&q)) {
        struct qcow2_run run;

        do {
            spin_lock(&lock);
            assert_int_equal(qcow2_map(&q, at, 512, &run), 0);
            spin_unlock(&lock);
        } while (run.kind == QCOW2_ABSENT && !qcow2_load(&q, run.host));
        n += run.kind == kind;
    }
    return n;
}

/* Read, and written over, discarded and zeroed in whole and in part; they share clusters with one another. */
static void compressed(void **state)
{
    static const char *const sizes[] = {"cluster_size=64k", "cluster_size=4k", "cluster_size=512",
                                        "cluster_size=2M", "cluster_size=64k,compat=0.10"};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
        bool writable = !strstr(sizes[i], "compat");

        compressed_with_qemu(sizes[i]);
        open_image(writable, 64);
        assert_true(count_kind(QCOW2_COMPRESSED) > 0);
        check_contents();
        for (unsigned n = 0; writable && n < 150; n++)
            do_something();
        assert_int_equal(writable ? qcow2_flush(&q) : 0, 0);
        check_contents();
        qcow2_close(&q);
        if (writable)
            check_with_qemu();
    }
}

/* Whatever is stored, or said of it: an error, or what is read is a cluster. */
static void compressed_damaged(void **state)
{
    uint8_t *got = malloc(DISK), *was = malloc(FILE_SIZE);
    unsigned failed = 0;

    (void)state;
    compressed_with_qemu("cluster_size=16k");
    memcpy(was, file.data, FILE_SIZE);
    for (unsigned n = 0; n < 30; n++) {
        memcpy(file.data, was, FILE_SIZE);
        for (unsigned k = 0; k < 8; k++) /* header, tables and counts are the first 5 clusters */
            file.data[(n & 1 ? 4 << 14 : 5 << 14) + roll(n & 1 ? 800 : 1 << 20)] =
                (uint8_t)roll(256);
        open_image(false, 24);
        for (uint64_t at = 0; at < DISK; at += 16384)
            failed += guest_read(at, got, 16384) != 0;
        qcow2_close(&q);
    }
    assert_true(failed > 30);
    memcpy(file.data, was, FILE_SIZE);
    open_image(false, 24);
    for (int left = 0; left < 7; left++) { /* two pages of tables, three pieces for zlib */
        fake_heap_left = left;
        assert_int_equal(guest_read(0, got, 16384), -ENOMEM);
        qcow2_close(&q);
        fake_heap_left = -1;
        open_image(false, 24);
    }
    fake_heap_left = 7;
    assert_int_equal(guest_read(0, got, 16384), 0);
    fake_heap_left = -1;
    qcow2_close(&q);
    free(got);
    free(was);
}

/* By zstd: refused, with what to do. */
static void compressed_otherwise(void **state)
{
    (void)state;
    compressed_with_qemu("compression_type=zstd");
    assert_int_equal(qcow2_open(&q, &file.blk, false, 24, &lock, why, sizeof(why)), -EINVAL);
    assert_non_null(strstr(why, "zstd"));
}

/* Little that is stored may be a large cluster: others run while it is unpacked. */
static void compressed_lets_others_run(void **state)
{
    struct qcow2_run run;
    const uint8_t *cluster;

    (void)state;
    compressed_with_qemu("cluster_size=2M");
    open_image(false, 24);
    do {
        spin_lock(&lock);
        assert_int_equal(qcow2_map(&q, 0, 2 << 20, &run), 0);
        spin_unlock(&lock);
    } while (run.kind == QCOW2_ABSENT && !qcow2_load(&q, run.host));
    assert_int_equal(run.kind, QCOW2_COMPRESSED);
    sched_points = 0;
    assert_int_equal(qcow2_read_compressed(&q, &run, &cluster), 0);
    assert_true(sched_points >= (2 << 20) / (64 << 10));
    assert_memory_equal(cluster, model, 2 << 20);
    qcow2_close(&q);
}

/* The level 1 table lies where the refcount table does not reach: a longer one is not put over it. */
static void grows_over_no_table(void **state)
{
    uint64_t reach, at;
    uint8_t *l1;
    int error = 0;

    (void)state;
    make_with_qemu("cluster_size=512,refcount_bits=64");
    open_image(true, 64);
    reach = q.refcount_table_len / 8 * 64 * 512;
    l1 = malloc(q.l1_size * 8ul);
    memcpy(l1, file.data + q.l1_at, q.l1_size * 8ul);
    memcpy(file.data + reach, l1, q.l1_size * 8ul);
    qcow2_close(&q);
    meta_put_be(file.data + QCOW2_H_L1_AT, reach, 8);
    open_image(true, 64);
    for (at = 0; at < DISK && !error; at += 65536)
        error = guest_write(at, 65536);
    assert_int_equal(error, -EIO);
    assert_int_equal(q.refcount_table_len, 512);
    assert_int_equal(qcow2_flush(&q), 0);
    assert_int_equal(meta_be(file.data + reach, 8) & QCOW2_OFFSET, meta_be(l1, 8) & QCOW2_OFFSET);
    qcow2_close(&q);
    free(l1);
}

/* One after the other, by their places in the file. */
static uint64_t count_slowly(void)
{
    const uint8_t *f = file.data;
    unsigned bits = 1u << meta_be(f + QCOW2_H_REFCOUNT_ORDER, 4);
    uint64_t cs = qcow2_cluster(&q), per_block = cs * 8 / bits, n = 0;

    for (uint64_t c = 0; c < file.size / cs; c++) {
        uint64_t entry = c / per_block * 8, i = c % per_block, block = 0;

        if (entry < meta_be(f + QCOW2_H_REFCOUNT_CLUSTERS, 4) * cs)
            block = meta_be(f + meta_be(f + QCOW2_H_REFCOUNT_TABLE, 8) + entry, 8);
        if (block && bits >= 8)
            n += meta_be(f + block + i * bits / 8, bits / 8) != 0;
        else if (block)
            n += (f[block + i * bits / 8] >> i * bits % 8 & ((1u << bits) - 1)) != 0;
    }
    return n;
}

/* Counts of all widths; and as many as can be counted in a time. */
static void counts_used(void **state)
{
    uint64_t used, least = 0;
    bool all;

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
        memset(file.data, 0xaa, FILE_SIZE);
        make_with_qemu(kinds[i]);
        if (strstr(kinds[i], "lazy"))
            file.data[QCOW2_H_INCOMPATIBLE + 7] = 0;
        open_image(true, 64);
        for (unsigned n = 0; n < 60; n++)
            do_something();
        assert_int_equal(qcow2_flush(&q), 0);
        assert_int_equal(qcow2_count_used(&q, UINT64_MAX, &used, &all), 0);
        assert_true(all);
        assert_int_equal(used, count_slowly());
        assert_int_equal(qcow2_count_used(&q, fake_time, &least, &all), 0);
        assert_true(!all && !least);
        if (!strcmp(kinds[i], "cluster_size=512")) {
            assert_int_equal(qcow2_count_used(&q, fake_time + 9, &least, &all), 0);
            assert_true(!all && least && least < used);
        }
        fake_heap_left = 0;
        assert_int_equal(qcow2_count_used(&q, UINT64_MAX, &used, &all), -ENOMEM);
        fake_heap_left = -1;
        qcow2_close(&q);
    }
}

static void version_2_is_read(void **state)
{
    (void)state;
    make_with_qemu("compat=0.10");
    assert_int_equal(qcow2_open(&q, &file.blk, true, 24, &lock, why, sizeof(why)), -EINVAL);
    assert_non_null(strstr(why, "compat=1.1"));
    open_image(false, 24);
    check_contents();
    assert_int_equal(guest_write(0, 512), -EIO);
    qcow2_close(&q);
}

static void copies_from_behind(void **state)
{
    char options[200];

    (void)state;
    backing_with_qemu();
    memcpy(model, below, DISK);
    snprintf(options, sizeof(options), "backing_file=%s/template,backing_fmt=raw", dir);
    make_with_qemu(options);
    memset(model + (4 << 20), 0, 128 * 1024);
    open_image(true, 24);
    assert_true(q.has_backing);
    assert_string_equal(q.backing_format, "raw");
    check_contents();
    for (unsigned n = 0; n < 300; n++)
        do_something();
    assert_int_equal(qcow2_flush(&q), 0);
    check_contents();
    qcow2_close(&q);
    check_with_qemu();
}

static void new_images(void **state)
{
    struct qcow2_new n = {DISK, "", ""};

    (void)state;
    assert_int_equal(qcow2_create(&file.blk, &n), 0);
    check_with_qemu();
    open_image(true, 24);
    for (unsigned i = 0; i < 200; i++)
        do_something();
    assert_int_equal(qcow2_flush(&q), 0);
    check_contents();
    qcow2_close(&q);
    check_with_qemu();
    n.size = 1ul << 52;
    assert_int_equal(qcow2_create(&file.blk, &n), -ENOSPC);
    n.size = 513;
    assert_int_equal(qcow2_create(&file.blk, &n), -EINVAL);
}

static void new_overlays(void **state)
{
    struct qcow2_new n = {DISK, NULL, "raw"};

    (void)state;
    backing_with_qemu();
    memcpy(model, below, DISK);
    n.backing = "template"; /* found beside the image */
    assert_int_equal(qcow2_create(&file.blk, &n), 0);
    check_with_qemu();
    open_image(true, 24);
    assert_string_equal(q.backing, "template");
    for (unsigned i = 0; i < 200; i++)
        do_something();
    assert_int_equal(qcow2_flush(&q), 0);
    qcow2_close(&q);
    check_with_qemu();
}

static void full(void **state)
{
    struct qcow2_new n = {DISK, "", ""};
    int error = 0;
    uint64_t at;

    (void)state;
    file.blk.sectors = (3 << 20) / 512;
    assert_int_equal(qcow2_create(&file.blk, &n), 0);
    open_image(true, 24);
    for (at = 0; !error; at += 65536)
        error = guest_write(at, 65536);
    assert_int_equal(error, -ENOSPC);
    assert_true(at > 2 << 20);
    check_contents();
    /* It is not searched again for each write that finds no room. */
    unsigned loads = (unsigned)q.cache.loads;

    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(guest_write(at, 65536), -ENOSPC);
    assert_int_equal(q.free_from, q.clusters);
    assert_in_range(q.cache.loads, loads, loads + 1); /* level 2's table */
    /* What is given up makes room, once it is sure: the write that wants it sees to that. */
    assert_int_equal(qcow2_discard(&q, 0, 65536), 0);
    memset(model, 0, 65536);
    assert_int_equal(file.discards, 0);
    assert_int_equal(guest_write(at, 65536), 0);
    assert_int_equal(file.discards, 1);
    assert_int_equal(qcow2_flush(&q), 0);
    check_contents();
    qcow2_close(&q);
    check_with_qemu();
}

/* The file fails at any moment, and for good: what was answered with success before is there or not, but whole. */
static void errors(void **state)
{
    struct qcow2_new n = {DISK, "", ""};

    (void)state;
    for (unsigned after = 1; after < 60; after += 1 + after / 8) {
        int error = 0;

        memset(model, 0, DISK);
        file.failing = false;
        assert_int_equal(qcow2_create(&file.blk, &n), 0);
        open_image(true, 24);
        seed = after;
        file.fail_after = after;
        for (unsigned i = 0; i < 200 && !error; i++)
            error = roll(4) ? guest_write(roll(DISK / 512) * 512ul, 512) : qcow2_flush(&q);
        assert_int_equal(error, -EIO);
        assert_int_equal(qcow2_flush(&q), -EIO);
        qcow2_close(&q);
        file.failing = false;
        check_is_whole();
    }
}

static void refusals(void **state)
{
    static const struct {
        unsigned at, len;
        uint64_t value;
        const char *says;
    } bad[] = {
        {0, 4, 0, "no qcow2"},
        {QCOW2_H_VERSION, 4, 4, "version 4"},
        {QCOW2_H_CLUSTER_BITS, 4, 8, "2^8"},
        {QCOW2_H_CLUSTER_BITS, 4, 22, "2^22"},
        {QCOW2_H_CRYPT, 4, 1, "encrypted"},
        {QCOW2_H_SIZE, 8, 1ul << 40, "level 1"},
        {QCOW2_H_L1_AT, 8, 512, "partition"},
        {QCOW2_H_L1_AT, 8, 1ul << 40, "partition"},
        {QCOW2_H_L1_SIZE, 4, 1 << 30, "too large"},
        {QCOW2_H_REFCOUNT_TABLE, 8, 0, "partition"},
        {QCOW2_H_REFCOUNT_CLUSTERS, 4, 0xffffffff, "too large"},
        {QCOW2_H_SNAPSHOTS, 4, 1, "snapshots"},
        {QCOW2_H_INCOMPATIBLE, 8, 1, "check -r all"},
        {QCOW2_H_INCOMPATIBLE, 8, 2, "corrupt"},
        {QCOW2_H_INCOMPATIBLE, 8, 4, "external data file"},
        {QCOW2_H_INCOMPATIBLE, 8, 16, "extended L2"},
        {QCOW2_H_INCOMPATIBLE, 8, 1ul << 40, "bit 40"},
        {QCOW2_H_REFCOUNT_ORDER, 4, 7, "2^7"},
        {QCOW2_H_LENGTH, 4, 96, "length"},
        {QCOW2_H_BACKING_AT, 8, 5000, "backing"},
        {QCOW2_H_BACKING_AT, 8, 104, "backing"},
    };
    uint8_t was[8];

    (void)state;
    make_with_qemu("cluster_size=64k");
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        memcpy(was, file.data + bad[i].at, 8);
        meta_put_be(file.data + bad[i].at, bad[i].value, bad[i].len);
        assert_int_equal(qcow2_open(&q, &file.blk, true, 24, &lock, why, sizeof(why)), -EINVAL);
        if (!strstr(why, bad[i].says))
            fail_msg("%u: '%s' does not say '%s'", i, why, bad[i].says);
        memcpy(file.data + bad[i].at, was, 8);
    }
    /* A feature that the image itself has a name for. */
    uint8_t *e = file.data + 104;

    while (meta_be(e, 4) != QCOW2_EXT_FEATURE_NAMES)
        e += 8 + align_up(meta_be(e + 4, 4), 8);
    memcpy(e + 8, "\0\x21quantum clusters\0", 19);
    meta_put_be(file.data + QCOW2_H_INCOMPATIBLE, 1ul << 33, 8);
    assert_int_equal(qcow2_open(&q, &file.blk, false, 24, &lock, why, sizeof(why)), -EINVAL);
    assert_non_null(strstr(why, "quantum clusters"));
    meta_put_be(file.data + QCOW2_H_INCOMPATIBLE, 0, 8);
    file.failing = true;
    assert_int_equal(qcow2_open(&q, &file.blk, true, 24, &lock, why, sizeof(why)), -EIO);
}

/* ---- power cuts ---- */

struct did {
    uint64_t at, len;
    unsigned stamp; /* 0: zeros */
    unsigned logged; /* how many operations the file had seen when it began */
};
enum { DEEDS = 160 };
static struct did did[DEEDS];
static unsigned deeds;
static struct {
    unsigned logged, deeds;
} flushed[DEEDS];
static unsigned flushes;

static void note(uint64_t at, uint64_t len, unsigned with)
{
    did[deeds++] = (struct did){at, len, with, file.logged};
}

static void note_flush(void)
{
    assert_int_equal(qcow2_flush(&q), 0);
    flushed[flushes].logged = file.logged;
    flushed[flushes++].deeds = deeds;
}

static void do_and_note(void)
{
    uint64_t cs = qcow2_cluster(&q), at = roll(DISK / 512) * 512ul;
    uint64_t len = min_u64((1 + roll(roll(3) ? 16 : 300)) * 512ul, DISK - at);

    switch (roll(7)) {
    case 0:
        note(at, len, 0);
        assert_int_equal(qcow2_zero(&q, at, len, roll(2)), 0);
        break;
    case 1:
    case 2:
        at = align_down(at, cs);
        len = min_u64(align_up(len, cs), DISK - at);
        note(at, len, 0);
        assert_int_equal(qcow2_discard(&q, at, len), 0);
        break;
    case 3:
        note_flush();
        break;
    default:
        note(at, len, stamp + 1);
        assert_int_equal(guest_write(at, len), 0);
    }
}

enum { RESIZES = 40 };
static struct {
    unsigned before, after; /* how many operations the file had seen */
    uint64_t size;
} resized[RESIZES];
static unsigned resizes;

/* A third larger, the file a little; the level 1 table is one of several clusters in the end, where they are small. */
static void resize_and_note(void)
{
    uint64_t size = align_up(q.size + q.size / 3 + roll(5000), 512);

    file.blk.sectors = min_u64(file.blk.sectors + 64, file.size / 512);
    qcow2_set_room(&q);
    resized[resizes].before = file.logged;
    resized[resizes].size = size;
    assert_int_equal(qcow2_resize(&q, size, why, sizeof(why)), 0);
    resized[resizes++].after = file.logged;
    assert_int_equal(q.size, size);
}

/* After a cut the disk has the size that it was given last, or the one that it was being given. */
static void check_size(unsigned n)
{
    uint64_t least = DISK, most = DISK;

    for (unsigned i = 0; i < resizes; i++) {
        least = resized[i].after <= n ? resized[i].size : least;
        most = resized[i].before < n ? resized[i].size : most;
    }
    if (q.size != least && q.size != most)
        fail_msg("cut %u: %lu bytes, not %lu or %lu", n, (unsigned long)q.size,
                 (unsigned long)least, (unsigned long)most);
}

static bool is_from(const uint8_t *sector, uint64_t at, const struct did *d)
{
    uint32_t v[2] = {d->stamp, (uint32_t)(at - d->at)};
    static const uint8_t zeros[8];

    if (at < d->at || at >= d->at + d->len)
        return false;
    return !memcmp(sector, d->stamp ? (const void *)v : zeros, 8);
}

/* Each sector holds what the last flushed deed put there, or a later one. */
static void check_survivors(unsigned n, const uint8_t *got, const uint8_t *at_start)
{
    unsigned sure = 0;

    for (unsigned i = 0; i < flushes && flushed[i].logged <= n; i++)
        sure = flushed[i].deeds;
    for (uint64_t at = 0; at < DISK; at += 512) {
        bool good = false, covered = false;

        for (unsigned i = deeds; i-- && !good && !covered;) {
            if (did[i].logged > n || at < did[i].at || at >= did[i].at + did[i].len)
                continue;
            good = is_from(got + at, at, &did[i]);
            covered = i < sure;
        }
        if (!good && !covered)
            good = !memcmp(got + at, at_start + at, 512);
        if (!good)
            fail_msg("cut %u: sector %lu lost", n, (unsigned long)(at / 512));
    }
}

/* refs: how often a cluster is referred to; those of compressed ones may be so several times, and are 128 more. */
static void count_entry(uint64_t entry, unsigned bits, uint8_t *refs)
{
    uint64_t host = entry & QCOW2_OFFSET, end;
    unsigned shift = 62 - (bits - 8);

    if (!(entry & QCOW2_COMPRESSED_FLAG)) {
        refs[host >> bits] += host != 0;
        return;
    }
    host = entry & ((1ul << shift) - 1);
    end = align_down(host, 512) + ((entry >> shift & ((1ul << (bits - 8)) - 1)) + 1) * 512;
    for (uint64_t c = host >> bits; c << bits < end; c++)
        refs[c] = (uint8_t)((refs[c] | 128) + 1);
}

/* No cluster is referred to that is not counted, or twice: by a walk of its own. */
static void check_counts(const uint8_t *f, unsigned n)
{
    unsigned bits = (unsigned)meta_be(f + QCOW2_H_CLUSTER_BITS, 4);
    uint64_t cs = 1ul << bits, l1 = meta_be(f + QCOW2_H_L1_AT, 8),
             table = meta_be(f + QCOW2_H_REFCOUNT_TABLE, 8),
             reach = meta_be(f + QCOW2_H_REFCOUNT_CLUSTERS, 4) * cs;
    unsigned bytes = 1u << (meta_be(f + QCOW2_H_REFCOUNT_ORDER, 4) - 3);
    uint64_t per_block = cs / bytes;
    uint8_t *refs = calloc(1, file.size / cs + 1);

    for (uint64_t i = 0; i < meta_be(f + QCOW2_H_L1_SIZE, 4); i++) {
        uint64_t l2 = meta_be(f + l1 + 8 * i, 8) & QCOW2_OFFSET;

        if (!l2)
            continue;
        refs[l2 >> bits]++;
        for (uint64_t k = 0; k < cs; k += 8)
            count_entry(meta_be(f + l2 + k, 8), bits, refs);
    }
    for (uint64_t c = 0; c < file.size / cs; c++) {
        uint64_t entry = c / per_block;
        uint64_t block = entry * 8 < reach ? meta_be(f + table + entry * 8, 8) : 0;
        uint64_t count = block ? meta_be(f + block + c % per_block * bytes, bytes) : 0;

        if ((refs[c] > 1 && refs[c] < 128) || (refs[c] & 127) > count)
            fail_msg("cut %u: cluster %lu: %u references, count %lu", n, (unsigned long)c, refs[c],
                     (unsigned long)count);
    }
    free(refs);
}

/* What QEMU says of the medium after a cut: clean, or leaks that it mends; and it reads the same as we do. */
static void ask_qemu(const uint8_t *medium, const uint8_t *got)
{
    struct fake_disk cut = {.data = (uint8_t *)(uintptr_t)medium, .size = file.size};
    char path[80];
    FILE *f;
    uint8_t *raw = malloc(DISK);
    int status;

    image_path(path, sizeof(path));
    fake_disk_save(&cut, path);
    status = fake_disk_run("qemu-img check -q -f qcow2 %s >%s/log 2>&1", path, dir);
    assert_true(status == 0 || status == 3);
    if (status == 3)
        assert_int_equal(
            fake_disk_run("qemu-img check -q -f qcow2 -r leaks %s >%s/log 2>&1", path, dir), 0);
    assert_int_equal(fake_disk_run("qemu-img convert -f qcow2 -O raw %s %s/raw", path, dir), 0);
    snprintf(path, sizeof(path), "%s/raw", dir);
    f = fopen(path, "rb");
    assert_int_equal(fread(raw, 1, DISK, f), DISK);
    fclose(f);
    assert_memory_equal(raw, got, DISK);
    free(raw);
}

/* Cuts the power after every operation, or every step-th, on the file, what was not flushed yet written in part. */
static void cut_everywhere(const uint8_t *from, const uint8_t *at_start, unsigned step)
{
    uint8_t *medium = malloc(file.size), *got = malloc(DISK), *live = file.data;

    for (unsigned n = 0; n <= file.logged; n += step) {
        for (unsigned variant = 0; variant < 3; variant++) {
            uint64_t choices = variant == 0 ? UINT64_MAX
                                            : (uint64_t)roll(1 << 24) << 40 |
                                                  (uint64_t)roll(1 << 24) << 20 | roll(1 << 24);

            fake_disk_cut(&file, from, n, choices, medium);
            check_counts(medium, n);
            file.data = medium;
            open_image(false, 24);
            check_size(n);
            assert_int_equal(guest_read(0, got, DISK), 0);
            qcow2_close(&q);
            file.data = live;
            check_survivors(n, got, at_start);
            if (variant == 1 && n / step % 23 == 0)
                ask_qemu(medium, got);
        }
    }
    free(medium);
    free(got);
}

static bool resizing;

/* Each of some is cut where it takes long: all is unpacked, or clusters are many. */
static void power_cuts_of(bool overlay, const char *options, unsigned pages, unsigned step)
{
    uint8_t *from = malloc(CUT_SIZE), *at_start = calloc(1, DISK);
    struct qcow2_new n = {DISK, overlay ? "template" : "", overlay ? "raw" : ""};

    new_file(CUT_SIZE); /* it is copied for each cut */
    file.blk.sectors -= resizing ? (1 << 20) / 512 : 0;
    deeds = flushes = resizes = 0;
    if (options && strstr(options, "zlib"))
        compressed_with_qemu(options);
    else if (options)
        make_with_qemu(options);
    else
        assert_int_equal(qcow2_create(&file.blk, &n), 0);
    open_image(true, pages);
    if (options && strstr(options, "refcount_bits=64")) /* so that the table's end is near */
        for (uint64_t at = 0; q.free_from < 1900 * 2; at += 65536)
            assert_int_equal(guest_write(at, 65536), 0);
    assert_int_equal(qcow2_flush(&q), 0);
    assert_int_equal(guest_read(0, at_start, DISK), 0);
    memcpy(from, file.data, file.size);
    fake_disk_start_log(&file);
    while (deeds < 80 && flushes < DEEDS) {
        if (resizing && deeds % 5 == 4 && resizes < RESIZES)
            resize_and_note();
        do_and_note();
    }
    note_flush();
    qcow2_close(&q);
    file.keep_log = false;
    cut_everywhere(from, at_start, step);
    free(from);
    free(at_start);
}

static void power_cuts(void **state)
{
    (void)state;
    power_cuts_of(false, NULL, 24, 1);
}

static void power_cuts_small_clusters(void **state)
{
    (void)state;
    power_cuts_of(false, "cluster_size=4k", 20, 1);
}

static void power_cuts_overlay(void **state)
{
    (void)state;
    backing_with_qemu();
    power_cuts_of(true, NULL, 24, 1);
}

static void power_cuts_compressed(void **state)
{
    (void)state;
    power_cuts_of(false, "cluster_size=16k,compression_type=zlib", 24, 17);
}

static void power_cuts_resized(void **state)
{
    static const char *const options[] = {"cluster_size=4k", "cluster_size=2k", NULL};

    (void)state;
    resizing = true;
    for (unsigned i = 0; i < ARRAY_LEN(options); i++) {
        power_cuts_of(false, options[i], 24, options[i] ? 11 : 1);
        assert_true(resizes > 12 && resized[resizes - 1].size > 20ul * DISK);
        check_is_whole();
        assert_int_equal(fake_disk_run("qemu-img info -f qcow2 %s/image | grep -q '(%lu bytes)'",
                                       dir, (unsigned long)resized[resizes - 1].size),
                         0);
    }
    resizing = false;
}

/* Larger, where the file has no run of clusters for the table; and where it gets one. */
static void resize_without_room(void **state)
{
    uint64_t huge = 64ul << 30, at;
    unsigned at_first;
    int error = 0;

    (void)state;
    file.blk.sectors = (DISK + (256 << 10)) / 512;
    make_with_qemu("cluster_size=4k");
    open_image(true, 24);
    for (at = 0; at < DISK && !error; at += 4096)
        error = guest_write(at, 4096);
    assert_int_equal(error, 0);
    at_first = (unsigned)q.l1_at;
    assert_int_equal(qcow2_resize(&q, huge * 2, why, sizeof(why)), -ENOSPC);
    assert_non_null(strstr(why, "no room"));
    assert_int_equal(q.size, DISK);
    assert_int_equal(q.l1_at, at_first);
    check_contents();
    /* Every second cluster is free: there is no place for a table of 64 until the file has more. */
    for (at = 0; at < DISK; at += 8192) {
        assert_int_equal(qcow2_discard(&q, at, 4096), 0);
        memset(model + at, 0, 4096);
    }
    assert_int_equal(qcow2_resize(&q, huge, why, sizeof(why)), -ENOSPC);
    file.blk.sectors += (300 << 10) / 512;
    qcow2_set_room(&q);
    assert_int_equal(qcow2_resize(&q, huge, why, sizeof(why)), 0);
    assert_int_equal(qcow2_flush(&q), 0);
    assert_in_range(q.free_from, 0, (2 << 20) / 4096); /* the small holes are not forgotten */
    check_contents();
    qcow2_close(&q);
    check_with_qemu_of(huge);
    assert_int_equal(q.l1_size, huge >> 21);
}

/* One write or flush of a resize fails, or all from there on: it is as large as it was, or it is not, and in any case whole. After one
 * that failed the image can be used; when nobody can say which header it has, it is not written to. */
static void resize_errors(void **state)
{
    unsigned refused = 0, again = 0;

    (void)state;
    for (unsigned after = 1;; after++) {
        bool once = after & 1;
        int error;

        memset(model, 0, DISK);
        make_with_qemu("cluster_size=4k");
        open_image(true, 24);
        assert_int_equal(guest_write(8192, 70000 / 512 * 512), 0);
        file.fail_once = once;
        file.fail_after = after / 2 + 1;
        error = qcow2_resize(&q, 40ul * DISK, why, sizeof(why));
        bool done = file.fail_after;

        file.fail_after = 0;
        file.failing = false;
        assert_int_equal(error, done ? 0 : -EIO);
        assert_int_equal(q.size, error ? DISK : 40ul * DISK);
        if (guest_write(4 << 20, 65536)) {
            assert_false(once || q.writable);
            refused++;
        } else {
            assert_int_equal(qcow2_flush(&q), 0);
            check_contents();
            again += once;
        }
        qcow2_close(&q);
        check_is_whole();
        if (done)
            break;
    }
    assert_true(refused >= 1 && again >= 4);
    file.fail_once = false;
}

static void power_cuts_table_grows(void **state)
{
    (void)state;
    power_cuts_of(false, "cluster_size=512,refcount_bits=64", 24, 11);
    assert_int_equal(meta_be(file.data + QCOW2_H_REFCOUNT_CLUSTERS, 4), 5); /* of one before */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reads_and_writes_what_qemu_made),
        TEST(version_2_is_read),
        TEST(counts_used),
        TEST(copies_from_behind),
        TEST(new_images),
        TEST(new_overlays),
        TEST(full),
        TEST(errors),
        TEST(refusals),
        TEST(power_cuts),
        TEST(power_cuts_small_clusters),
        TEST(power_cuts_overlay),
        TEST(power_cuts_compressed),
        TEST(power_cuts_table_grows),
        TEST(power_cuts_resized),
        TEST(resize_without_room),
        TEST(resize_errors),
        TEST(compressed),
        TEST(compressed_damaged),
        TEST(compressed_otherwise),
        TEST(compressed_lets_others_run),
        TEST(grows_over_no_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
