// SPDX-License-Identifier: BSD-2-Clause
// Partition tables as sfdisk makes them, and damaged ones.
// units: hyp/blk/gpt.c hyp/blk/blk_io.c hyp/vm/hash.c tests/fake/fake_disk.c tests/fake/fake_base.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "blk/gpt.h"
#include "fake_disk.h"
#include "vm/hash.h"

enum { SIZE = 8 << 20 };
static struct fake_disk disk;
static char image[64];
static const char *why;

static int setup(void **state)
{
    (void)state;
    snprintf(image, sizeof(image), "/tmp/trapline-gpt-XXXXXX");
    close(mkstemp(image));
    fake_disk_init(&disk, SIZE);
    assert_int_equal(fake_disk_run("truncate -s %d %s", SIZE, image), 0);
    assert_int_equal(
        fake_disk_run("printf 'label: gpt\\nlabel-id: 11111111-2222-3333-4444-555555555555\\n"
                      "size=2048, name=root\\nsize=1MiB, name=green\\n"
                      "size=512, name=small\\n' | /sbin/sfdisk -q %s",
                      image),
        0);
    fake_disk_load(&disk, image);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(image);
    fake_disk_free(&disk);
    assert_int_equal(fake_heap_blocks, 0);
    return 0;
}

static void check_table(unsigned used, bool other_good)
{
    struct gpt g;
    struct gpt_partition p;

    assert_int_equal(gpt_read(&g, &disk.blk, &why), 0);
    assert_int_equal(g.used, used);
    assert_int_equal(g.other_good, other_good);
    assert_int_equal(g.count, 128);
    assert_int_equal(g.place[1], SIZE / 512 - 1);
    assert_int_equal(g.entries_at[0], 2);
    assert_int_equal(g.entries_at[1], SIZE / 512 - 33);
    assert_true(gpt_partition(&g, 0, &p));
    assert_int_equal(p.first, 2048);
    assert_int_equal(p.sectors, 2048);
    assert_string_equal(p.name, "root");
    assert_true(gpt_partition(&g, 1, &p));
    assert_int_equal(p.first, 4096);
    assert_string_equal(p.name, "green");
    assert_true(gpt_partition(&g, 2, &p));
    assert_int_equal(p.sectors, 512);
    assert_string_equal(p.name, "small");
    for (unsigned n = 3; n < g.count; n++)
        assert_false(gpt_partition(&g, n, &p));
    gpt_free(&g);
}

static void reads_what_sfdisk_made(void **state)
{
    (void)state;
    check_table(0, true);
}

static void either_copy_will_do(void **state)
{
    static const uint64_t damage[] = {0, 16, 40, 80, 512 + 5, 512 + 56};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(damage); i++) {
        uint8_t *primary = disk.data + 512 + damage[i], was = *primary;
        uint8_t *backup =
            disk.data + SIZE - (damage[i] < 512 ? 512 - damage[i] : 33 * 512 - (damage[i] - 512));

        *primary ^= 1;
        check_table(1, false);
        *primary = was;
        *backup ^= 1;
        check_table(0, false);
        *primary ^= 1;
        struct gpt g;
        int error = gpt_read(&g, &disk.blk, &why);

        assert_int_equal(error, damage[i] ? -EINVAL : -ENOENT);
        assert_true(strlen(why) > 10);
        *primary = was;
        *backup ^= 1;
    }
}

/* Names are UTF-16 there, and shown on terminals here. */
static void names(void **state)
{
    static const uint16_t name[GPT_NAME_UNITS] = {'g',    0xfc, 0x20ac, 0xd83d, 0xdc27,
                                                  0xdc00, 0x1b, 0xd800, 'x'};
    uint8_t *backup = disk.data + SIZE - 512, *entries = disk.data + SIZE - 33 * 512;
    struct gpt_partition p;
    struct gpt g;
    uint32_t crc;

    (void)state;
    memcpy(entries + 128 + 56, name, sizeof(name));
    assert_int_equal(hash_crc32(entries, 128 * 128, &crc), 0);
    memcpy(backup + 88, &crc, 4);
    memset(backup + 16, 0, 4);
    assert_int_equal(hash_crc32(backup, 92, &crc), 0);
    memcpy(backup + 16, &crc, 4);
    disk.data[512] = 0;
    assert_int_equal(gpt_read(&g, &disk.blk, &why), 0);
    assert_int_equal(g.used, 1);
    assert_true(gpt_partition(&g, 1, &p));
    assert_string_equal(p.name, "g\303\274\342\202\254\360\237\220\247\357\277\275?\357\277\275x");
    gpt_free(&g);
}

static void none(void **state)
{
    struct gpt g;

    (void)state;
    memset(disk.data, 0, SIZE);
    assert_int_equal(gpt_read(&g, &disk.blk, &why), -ENOENT);
    disk.blk.sectors = 5;
    assert_int_equal(gpt_read(&g, &disk.blk, &why), -ENOENT);
    disk.blk.sectors = 0;
    assert_int_equal(gpt_read(&g, &disk.blk, &why), -ENOENT);
    disk.blk.sectors = SIZE / 512;
    disk.failing = true;
    assert_int_equal(gpt_read(&g, &disk.blk, &why), -EIO);
}

static void no_memory(void **state)
{
    struct gpt g;
    int error = -ENOMEM;

    (void)state;
    for (unsigned n = 0; error; n++) {
        assert_true(n < 20);
        fake_heap_left = (int)n;
        error = gpt_read(&g, &disk.blk, &why);
        assert_true(!error || error == -ENOMEM);
    }
    fake_heap_left = -1;
    gpt_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_what_sfdisk_made, setup, teardown),
        cmocka_unit_test_setup_teardown(either_copy_will_do, setup, teardown),
        cmocka_unit_test_setup_teardown(names, setup, teardown),
        cmocka_unit_test_setup_teardown(none, setup, teardown),
        cmocka_unit_test_setup_teardown(no_memory, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
