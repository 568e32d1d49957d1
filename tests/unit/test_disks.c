// SPDX-License-Identifier: BSD-2-Clause
// Disks made, grown, cloned and deleted on a host's disk, as sfdisk and qemu-img see them; and the power cut at every write.
// units: hyp/blk/disks*.c hyp/blk/gpt*.c hyp/blk/image*.c hyp/blk/qcow2*.c hyp/blk/meta_cache.c hyp/blk/blk_io.c hyp/vm/hash.c tests/fake/fake_threads.c tests/fake/fake_disk.c tests/fake/fake_base.c
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
#include "blk/disks_edit.h"
#include "blk/qcow2_create.h"
#include "drv/drv.h"
#include "fake_disk.h"
#include "fake_threads.h"
#include "mem/frame.h"
#include "mem/heap.h"

enum { SIZE = 64 << 20, OPENERS = 8 };

void *frame_alloc_page(void) { return heap_alloc(PAGE_SIZE); }
void frame_free_page(void *p) { heap_free(p); }

/* ---- the host's driver: one disk, ranges of it ---- */

uint64_t timer_hz = 1000000;
static uint64_t clock_step; /* how long a request takes */
static struct fake_disk disk;
static struct opener {
    struct blk_backend blk;
    uint64_t first;
    bool open, look;
} opener[OPENERS];

static int submit(void *ctx, struct blk_request *r)
{
    struct opener *o = ctx;

    assert_true(o->open);
    fake_time += clock_step;
    if (r->op != BLK_FLUSH && !range_ok(r->sector, r->sectors, o->blk.sectors)) {
        r->result = -EIO;
        r->done(r);
        return 0;
    }
    assert_false(o->blk.read_only && r->op != BLK_READ);
    r->sector += o->first;
    return disk.blk.submit(&disk, r);
}

static int grow_opener(void *ctx, struct blk_growth *g)
{
    struct opener *o = ctx;

    for (unsigned i = 0; i < OPENERS; i++)
        if (opener[i].open && !opener[i].look && opener[i].first >= o->first + o->blk.sectors)
            assert_true(opener[i].first >= o->first + g->room);
    assert_true(o->first + g->room <= disk.blk.sectors);
    o->blk.sectors = g->room;
    return 0;
}

static void close_opener(void *ctx) { ((struct opener *)ctx)->open = false; }

unsigned host_disk_count(void) { return 1; }
uint64_t host_disk_sectors(unsigned n) { return n ? 0 : disk.blk.sectors; }
struct blk_backend *host_disk_open_range(unsigned n, uint64_t first, uint64_t sectors,
                                         enum host_disk_use use)
{
    struct opener *o = NULL;

    if (n || !sectors || !range_ok(first, sectors, disk.blk.sectors))
        return NULL;
    for (unsigned i = 0; i < OPENERS; i++) {
        struct opener *other = &opener[i];

        if (!other->open)
            o = other;
        else if (use != HOST_DISK_LOOK && !other->look &&
                 first < other->first + other->blk.sectors && other->first < first + sectors &&
                 (use == HOST_DISK_WRITE || !other->blk.read_only))
            return NULL;
    }
    assert_non_null(o);
    *o = (struct opener){disk.blk, first, true, use == HOST_DISK_LOOK};
    o->blk.submit = submit;
    o->blk.close = close_opener;
    o->blk.grow = grow_opener;
    o->blk.ctx = o;
    o->blk.sectors = sectors;
    o->blk.read_only = use != HOST_DISK_WRITE;
    return &o->blk;
}
static void fill(void *ctx, void *to, size_t len)
{
    (void)ctx;
    memset(to, 0xff, len);
}
struct entropy_backend entropy = {.fill = fill};

/* ---- tests ---- */

static char dir[64], image[80], why[192];

static struct thread self;

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/trapline-disks-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(image, sizeof(image), "%s/disk", dir);
    fake_disk_init(&disk, SIZE);
    memset(opener, 0, sizeof(opener));
    fake_thread_enter(&self);
    assert_int_equal(
        fake_disk_run("truncate -s %d %s && printf 'label: gpt\\nsize=8MiB, name=old\\n' | "
                      "/sbin/sfdisk -q %s",
                      SIZE, image, image),
        0);
    fake_disk_load(&disk, image);
    memset(disk.data + (9 << 20), 0xaa, 40 << 20); /* what deleted disks left */
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (unsigned i = 0; i < OPENERS; i++)
        assert_false(opener[i].open);
    fake_disk_run("rm -rf %s", dir);
    fake_disk_free(&disk);
    fake_thread_leave();
    assert_int_equal(fake_heap_blocks, 0);
    return 0;
}

static void check_table(const char *lines)
{
    char path[100];
    FILE *f;

    fake_disk_save(&disk, image);
    assert_int_equal(fake_disk_run("/sbin/sfdisk -q --verify %s >/dev/null", image), 0);
    snprintf(path, sizeof(path), "%s.want", image);
    f = fopen(path, "w");
    fputs(lines, f);
    fclose(f);
    int differ = fake_disk_run(
        "/sbin/sfdisk -q -d %s | sed -n 's/.*start= *\\([0-9]*\\), size= *\\([0-9]*\\),"
        ".*name=\"\\(.*\\)\"/\\3 \\1 \\2/p' | diff %s.want - >&2",
        image, image);
    unlink(path);
    assert_int_equal(differ, 0);
}

/* A partition as a file of its name. */
static void extract(const char *name)
{
    struct disks_place p;

    assert_int_equal(disks_find(name, &p, why, sizeof(why)), 0);
    assert_int_equal(fake_disk_run("dd if=%s of=%s/%s bs=512 skip=%lu count=%lu status=none", image,
                                   dir, name, (unsigned long)p.part.first,
                                   (unsigned long)p.part.sectors),
                     0);
}

/* qemu-img's word on the image in a partition. */
static void check_image(const char *name, const char *behind, const char *wanted)
{
    fake_disk_save(&disk, image);
    extract(name);
    if (behind)
        extract(behind);
    assert_int_equal(fake_disk_run("cd %s && qemu-img check -q -f qcow2 %s && "
                                   "qemu-img info -f qcow2 %s | grep -q '%s'",
                                   dir, name, name, wanted),
                     0);
}

static int create(const char *name, uint64_t size, uint64_t room, bool raw, const char *template)
{
    struct disks_new n = {name, size, room, -1, raw, template};

    return disks_create(&n, why, sizeof(why));
}

static void create_and_delete(void **state)
{
    (void)state;
    assert_int_equal(create("web", 8 << 20, 0, false, NULL), 0);
    check_table("old 2048 16384\nweb 18432 18432\n");
    check_image("web", NULL, "virtual size: 8 MiB");
    assert_int_equal(create("thin", 1ul << 40, 2 << 20, false, NULL), 0);
    check_image("thin", NULL, "virtual size: 1 TiB");
    assert_int_equal(create("zeros", 3 << 20, 0, true, NULL), 0);
    check_table("old 2048 16384\nweb 18432 18432\nthin 36864 4096\nzeros 40960 6144\n");
    for (unsigned i = 0; i < 3 << 20; i++)
        assert_int_equal(disk.data[40960 * 512 + i], 0);
    assert_int_equal(disk.data[47104 * 512], 0xaa);
    assert_int_equal(disks_delete("web", false, why, sizeof(why)), 0);
    assert_true(disk.discards > 0);
    check_table("old 2048 16384\nthin 36864 4096\nzeros 40960 6144\n");
    assert_int_equal(create("again", 1 << 20, 1 << 20, false, NULL), 0); /* in the gap */
    check_table("old 2048 16384\nagain 18432 2048\nthin 36864 4096\nzeros 40960 6144\n");
    assert_int_equal(create("again", 1 << 20, 0, false, NULL), -EEXIST);
    assert_int_equal(create("no:good", 1 << 20, 0, false, NULL), -EINVAL);
    assert_int_equal(create("", 1 << 20, 0, false, NULL), -EINVAL);
    assert_int_equal(create("a123456789012345678901234567890123456", 1 << 20, 0, false, NULL),
                     -EINVAL);
    assert_int_equal(create("large", 1ul << 30, 0, false, NULL), -ENOSPC);
    assert_non_null(strstr(why, "no room for 10"));
    assert_int_equal(create("odd", 1000, 0, false, NULL), -EINVAL);
    assert_int_equal(disks_delete("nothing", true, why, sizeof(why)), -ENOENT);
    struct disks_new n = {.name = "elsewhere", .size = 1 << 20, .disk = 3};

    assert_int_equal(disks_create(&n, why, sizeof(why)), -ENOENT);
}

static void clone(void **state)
{
    struct blk_backend *b;

    (void)state;
    assert_int_equal(create("base", 4 << 20, 0, false, NULL), 0);
    assert_int_equal(create("one", 0, 0, false, "base"), 0);
    check_image("one", "base", "backing file: base");
    check_image("one", "base", "backing file format: qcow2");
    check_image("one", "base", "virtual size: 4 MiB");
    assert_int_equal(create("two", 6 << 20, 0, false, "old"), 0);
    check_image("two", "old", "backing file format: raw");
    assert_int_equal(disks_delete("base", false, why, sizeof(why)), -EBUSY);
    assert_non_null(strstr(why, "'one'"));
    assert_int_equal(disks_open("base", false, &b, why, sizeof(why)), 0);
    assert_int_equal(create("three", 0, 0, false, "base"), -EBUSY); /* it is being written */
    assert_int_equal(disks_delete("base", true, why, sizeof(why)), -EBUSY);
    b->close(b->ctx);
    assert_int_equal(disks_delete("base", true, why, sizeof(why)), 0);
    assert_int_equal(create("three", 0, 0, false, "base"), -ENOENT);
}

static void resize(void **state)
{
    (void)state;
    assert_int_equal(create("web", 4 << 20, 0, false, NULL), 0);
    check_table("old 2048 16384\nweb 18432 10240\n");
    assert_int_equal(disks_resize("web", 9 << 20, why, sizeof(why)), 0);
    check_table("old 2048 16384\nweb 18432 20480\n");
    check_image("web", NULL, "virtual size: 9 MiB");
    assert_int_equal(disks_resize("web", 9 << 20, why, sizeof(why)), -EINVAL);
    /* More tables than fit where they are; the partition gets what there is. */
    assert_int_equal(disks_resize("web", 1ul << 43, why, sizeof(why)), 0);
    check_image("web", NULL, "virtual size: 8 TiB");
    check_table("old 2048 16384\nweb 18432 112607\n");
    assert_int_equal(disks_resize("web", 1ul << 60, why, sizeof(why)), -EINVAL);
    assert_int_equal(disks_resize("old", 9 << 20, why, sizeof(why)), -ENOSPC);
    assert_int_equal(disks_delete("web", false, why, sizeof(why)), 0);
    assert_int_equal(disks_resize("old", 9 << 20, why, sizeof(why)), 0);
    check_table("old 2048 18432\n");
    assert_int_equal(disk.data[18432 * 512], 0); /* not what was there before */
    assert_int_equal(disk.data[20480 * 512 - 1], 0);
    assert_int_equal(create("over", 4 << 20, 0, false, "old"), 0);
    assert_int_equal(disks_resize("over", 12 << 20, why, sizeof(why)), -EINVAL);
    assert_non_null(strstr(why, "larger than it"));
}

static struct blk_backend *open_disk(const char *name, bool image)
{
    struct blk_backend *b = NULL;

    if (image ? disks_open_image(name, false, &b, why, sizeof(why))
              : disks_open(name, false, &b, why, sizeof(why)))
        fail_msg("%s", why);
    return b;
}

/* What a VM has open: as without one, and it sees the new size. */
static void resize_open(void **state)
{
    struct blk_backend *b, *neighbour, *zeros;

    (void)state;
    assert_int_equal(create("web", 4 << 20, 0, false, NULL), 0);
    b = open_disk("web", true);
    assert_int_equal(disks_grow("web", true, b, 9 << 20, why, sizeof(why)), 0);
    assert_int_equal(b->sectors, (9 << 20) / 512);
    check_table("old 2048 16384\nweb 18432 20480\n");
    check_image("web", NULL, "virtual size: 9 MiB");
    uint8_t *data = heap_alloc(65536);

    for (uint64_t at = 0; at < 9 << 20; at += 65536) /* all of it can be used */
        assert_int_equal(blk_write(b, at, data, 65536), 0);
    heap_free(data);
    /* One behind it: nothing is changed where there is no room. */
    assert_int_equal(create("next", 1 << 20, 0, true, NULL), 0);
    neighbour = open_disk("next", false);
    assert_int_equal(disks_grow("web", true, b, 9 << 20, why, sizeof(why)), -EINVAL);
    assert_non_null(strstr(why, "it has 9437184 bytes"));
    assert_int_equal(disks_grow("web", true, b, (9 << 20) + 1, why, sizeof(why)), -EINVAL);
    assert_int_equal(disks_grow("web", true, b, 12 << 20, why, sizeof(why)), 0); /* thin */
    check_table("old 2048 16384\nweb 18432 20480\nnext 38912 2048\n");
    zeros = open_disk("old", false);
    assert_int_equal(disks_grow("old", false, zeros, 9 << 20, why, sizeof(why)), -ENOSPC);
    assert_non_null(strstr(why, "only 0 MiB free"));
    assert_int_equal(disks_grow("next", false, neighbour, (3 << 20) + 512, why, sizeof(why)), 0);
    assert_int_equal(neighbour->sectors, (4 << 20) / 512); /* whole MiB */
    check_table("old 2048 16384\nweb 18432 20480\nnext 38912 8192\n");
    for (unsigned i = 1 << 20; i < 4 << 20; i++)
        assert_int_equal(disk.data[38912 * 512 + i], 0);
    assert_int_equal(disks_resize("next", 8 << 20, why, sizeof(why)), -EBUSY);
    assert_non_null(strstr(why, "in use"));
    neighbour->close(neighbour->ctx);
    zeros->close(zeros->ctx);
    b->close(b->ctx);
    check_image("web", NULL, "virtual size: 12 MiB");
}

static unsigned listed;
static char list[512];
static void each(void *ctx, const struct disks_info *i)
{
    (void)ctx;
    listed++;
    snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s %d %lu/%lu%s %s %d; ",
             i->place.part.name, i->image, (unsigned long)(i->size >> 20),
             (unsigned long)(i->used >> 10), i->used_more ? "+" : "", i->behind, i->use);
}

static void list_all(void **state)
{
    struct blk_backend *a, *b;

    (void)state;
    assert_int_equal(create("base", 4 << 20, 0, false, NULL), 0);
    assert_int_equal(create("one", 0, 0, false, "base"), 0);
    assert_int_equal(disks_open("base", true, &a, why, sizeof(why)), 0);
    assert_int_equal(disks_open("one", false, &b, why, sizeof(why)), 0);
    list[0] = 0;
    assert_int_equal(disks_list(true, each, NULL), 0);
    assert_string_equal(list, "old 0 8/8192  0; base 1 4/256  1; one 1 4/256 base 2; ");
    /* An image that is not understood, and one that the table of the disk forbids to change. */
    disk.data[18432 * 512 + 79] = 0x40;
    list[0] = 0;
    assert_int_equal(disks_list(true, each, NULL), 0);
    assert_string_equal(list, "old 0 8/8192  0; base 1 0/5120  1; one 1 4/256 base 2; ");
    /* Counting has an end: what was counted until then. */
    disk.data[18432 * 512 + 79] = 0;
    clock_step = DISKS_COUNT_ALL_US;
    list[0] = 0;
    assert_int_equal(disks_list(true, each, NULL), 0);
    assert_string_equal(list, "old 0 8/8192  0; base 1 4/256  1; one 1 4/0+ base 2; ");
    clock_step = 0;
    a->close(a->ctx);
    b->close(b->ctx);
    struct blk_backend *whole = host_disk_open_range(0, 0, disk.blk.sectors, HOST_DISK_WRITE);

    assert_int_equal(create("two", 1 << 20, 0, false, NULL), -EBUSY);
    assert_non_null(strstr(why, "whole disk"));
    whole->close(whole->ctx);
}

/* After a cut the table is whole in one copy at least, and has `name` or has not; if it has, the contents are good. */
static void cut_everywhere(const uint8_t *from, const char *name, bool is_new)
{
    uint8_t *medium = malloc(SIZE), *live = disk.data;
    unsigned had = 0, had_not = 0;
    uint64_t roll = 1;

    disk.keep_log = false;
    for (unsigned n = 0; n <= disk.logged; n++)
        for (unsigned variant = 0; variant < 4; variant++) {
            struct disks_place p;
            int error;

            roll = roll * 6364136223846793005u + 1442695040888963407u;
            fake_disk_cut(&disk, from, n, variant ? roll >> 7 : UINT64_MAX, medium);
            disk.data = medium;
            assert_int_equal(disks_find("old", &p, why, sizeof(why)), 0);
            error = disks_find(name, &p, why, sizeof(why));
            assert_true(error == 0 || error == -ENOENT);
            had += !error;
            had_not += !!error;
            if (!error && is_new)
                assert_memory_equal(medium + p.part.first * 512, "QFI\xfb\0\0\0\3", 8);
            disk.data = live;
        }
    assert_true(had && had_not);
    free(medium);
}

/* The sizes of a disk's partition and of what is in it are the old ones or the new ones, and what is new is zeros. */
static void cut_resize(const char *name, bool image, uint64_t from_size, uint64_t to_size)
{
    uint8_t *from = malloc(SIZE), *medium = malloc(SIZE), *live = disk.data;
    struct blk_backend *b = open_disk(name, image);
    unsigned had[2] = {0, 0};
    uint64_t roll = 1;

    memcpy(from, disk.data, SIZE);
    fake_disk_start_log(&disk);
    assert_int_equal(disks_grow(name, image, b, to_size, why, sizeof(why)), 0);
    b->close(b->ctx);
    disk.keep_log = false;
    for (unsigned n = 0; n <= disk.logged; n++)
        for (unsigned variant = 0; variant < 4; variant++) {
            uint64_t size;

            roll = roll * 6364136223846793005u + 1442695040888963407u;
            fake_disk_cut(&disk, from, n, variant ? roll >> 7 : UINT64_MAX, medium);
            disk.data = medium;
            b = open_disk(name, image);
            size = b->sectors * 512;
            assert_true(size == from_size || size == to_size);
            had[size == to_size]++;
            if (!image && size == to_size)
                for (uint64_t at = from_size; at < to_size; at++)
                    assert_int_equal(medium[((struct opener *)b->ctx)->first * 512 + at], 0);
            b->close(b->ctx);
            disk.data = live;
        }
    assert_true(had[0] && had[1]);
    free(from);
    free(medium);
}

static void power_cuts_resized(void **state)
{
    (void)state;
    assert_int_equal(create("raw", 1 << 20, 0, true, NULL), 0);
    cut_resize("raw", false, 1 << 20, 3 << 20);
    check_table("old 2048 16384\nraw 18432 6144\n");
    assert_int_equal(create("web", 1 << 20, 0, false, NULL), 0);
    cut_resize("web", true, 1 << 20, 1ul << 31); /* more tables, and all the room that there is */
    check_image("web", NULL, "virtual size: 2 GiB");
}

static void power_cuts(void **state)
{
    uint8_t *from = malloc(SIZE);

    (void)state;
    memcpy(from, disk.data, SIZE);
    fake_disk_start_log(&disk);
    assert_int_equal(create("web", 4 << 20, 0, false, NULL), 0);
    cut_everywhere(from, "web", true);
    memcpy(from, disk.data, SIZE);
    fake_disk_start_log(&disk);
    assert_int_equal(disks_delete("web", false, why, sizeof(why)), 0);
    cut_everywhere(from, "web", false);
    /* And with the primary copy damaged before. */
    disk.data[512 + 60] ^= 1;
    memcpy(from, disk.data, SIZE);
    fake_disk_start_log(&disk);
    assert_int_equal(create("web", 4 << 20, 0, false, NULL), 0);
    cut_everywhere(from, "web", true);
    check_table("old 2048 16384\nweb 18432 10240\n");
    free(from);
}

static void errors(void **state)
{
    (void)state;
    for (unsigned after = 1; after < 14; after++) {
        disk.fail_after = after;
        int error = create("web", 4 << 20, 0, false, NULL);

        disk.fail_after = 0;
        disk.failing = false;
        if (!error)
            break;
        assert_int_equal(error, -EIO);
        struct disks_place p;

        if (!disks_find("web", &p, why, sizeof(why))) /* one copy was written already */
            assert_int_equal(disks_delete("web", false, why, sizeof(why)), 0);
    }
    int error = -ENOMEM;

    for (unsigned n = 0; error; n++) {
        assert_true(n < 100);
        fake_heap_left = (int)n;
        error = create("memory", 4 << 20, 0, false, "old");
        fake_heap_left = -1;
        assert_true(!error || error == -ENOMEM || error == -EIO);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(create_and_delete),  TEST(clone),    TEST(resize),
        TEST(resize_open),        TEST(list_all), TEST(power_cuts),
        TEST(power_cuts_resized), TEST(errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
