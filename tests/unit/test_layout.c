// SPDX-License-Identifier: BSD-2-Clause
// Where kernel, initrd and device tree go in guest memory: Image headers good and hostile, RAM
// sizes from a page up, and, for thousands of combinations, that nothing overlaps and that the RAM
// an error message asks for is enough.
// units: hyp/vm/layout.c tests/fake/fake_base.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vm/layout.h"

static uint8_t kernel[64];
static char why[200];
static struct layout_request r;
static struct layout at;

static void header(uint64_t text_offset, uint64_t image_size, uint64_t flags)
{
    memset(kernel, 0, sizeof(kernel));
    memcpy(kernel, "MZ", 2);
    memcpy(kernel + 8, &text_offset, 8);
    memcpy(kernel + 16, &image_size, 8);
    memcpy(kernel + 24, &flags, 8);
    memcpy(kernel + 48, "RISCV\0\0\0", 8);
    memcpy(kernel + 56, "RSC\x05", 4);
}

static int setup(void **state)
{
    (void)state;
    r = (struct layout_request){gpa(0x80000000), MIB(256), kernel, MIB(30), MIB(4), 5000};
    header(0x200000, MIB(32), 0);
    return 0;
}

static int run(void)
{
    memset(why, 0, sizeof(why));
    return layout_compute(&r, &at, why, sizeof(why));
}

static void refused(const char *what)
{
    assert_int_equal(run(), -EINVAL);
    if (!strstr(why, what))
        fail_msg("'%s' does not say '%s'", why, what);
    setup(NULL);
}

/* Nothing overlaps, everything is inside RAM, alignments hold. */
static void check(void)
{
    uint64_t base = r.ram_base.v, end = base + r.ram_size, k = at.kernel.v + at.kernel_span;

    assert_true(at.kernel.v >= base && k <= end && at.kernel_span >= r.kernel_size);
    assert_true(at.fdt.v >= k && at.fdt.v + r.fdt_size <= end && !(at.fdt.v & 7));
    if (r.initrd_size) {
        assert_true(at.initrd.v >= at.fdt.v + r.fdt_size);
        assert_true(at.initrd.v + r.initrd_size <= end && !(at.initrd.v & 4095));
    }
}

static void test_usual(void **state)
{
    (void)state;
    assert_int_equal(run(), 0);
    check();
    assert_true(at.has_header);
    assert_int_equal(at.kernel.v, 0x80200000);
    assert_int_equal(at.kernel_span, MIB(32));
    assert_int_equal(at.initrd.v, 0x80000000 + MIB(252));
    assert_int_equal(at.fdt.v, 0x80000000 + MIB(252) - 5000);
    r.initrd_size = MIB(4) + 1; /* does not end at the end of RAM */
    assert_int_equal(run(), 0);
    check();
    assert_int_equal(at.initrd.v, 0x80000000 + MIB(250));
    r.initrd_size = 0;
    r.fdt_size = 5001;
    assert_int_equal(run(), 0);
    check();
    assert_int_equal(at.initrd.v, 0);
    assert_int_equal(at.fdt.v, align_down(0x80000000 + MIB(256) - 5001, 8));
}

static void test_raw_binary(void **state)
{
    (void)state;
    memset(kernel, 0x13, sizeof(kernel));
    r.kernel_size = 5;
    r.initrd_size = 0;
    r.ram_size = MIB(4);
    assert_int_equal(run(), 0);
    check();
    assert_false(at.has_header);
    assert_int_equal(at.kernel.v, 0x80200000);
    /* The smallest RAM that does, and one page less. */
    r.ram_size = MIB(2) + 2 * PAGE_SIZE;
    assert_int_equal(run(), 0);
    check();
    r.ram_size = MIB(2) + PAGE_SIZE;
    refused("at least 3 MiB");
}

static void test_text_offset(void **state)
{
    (void)state;
    header(0, 0, 0);
    assert_int_equal(run(), 0);
    check();
    assert_int_equal(at.kernel.v, 0x80000000);
    assert_int_equal(at.kernel_span, MIB(30)); /* image_size 0: an old header */
    header(0x80000, 0, 0);
    assert_int_equal(run(), 0);
    assert_int_equal(at.kernel.v, 0x80080000);
    header(0x200002, 0, 0);
    refused("text_offset");
    header(0x200000, 0, 1);
    refused("big endian");
}

static void test_hostile_header(void **state)
{
    static const uint64_t numbers[] = {MIB(255),   MIB(256),       1ull << 40,
                                       1ull << 63, UINT64_MAX - 3, UINT64_MAX - MIB(2) - 3};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(numbers); i++) {
        header(numbers[i] & ~3ull, MIB(32), 0);
        refused("");
        assert_int_not_equal(why[0], 0);
        header(0x200000, numbers[i], 0);
        refused("");
        header(numbers[i] & ~3ull, numbers[i], 0);
        refused("");
    }
    header(UINT64_MAX - 3, UINT64_MAX, 0);
    refused("makes no sense");
}

static void test_wrong_kinds(void **state)
{
    (void)state;
    r.kernel_size = 0;
    refused("empty");
    memcpy(kernel,
           "\x7f"
           "ELF",
           4);
    refused("ELF");
    memcpy(kernel, "\x1f\x8b\x08", 3);
    refused("gzip");
    memcpy(kernel + 4, "zimg", 4);
    refused("zboot");
    memset(kernel, 0, 64);
    memcpy(kernel + 56, "ARMd", 4);
    refused("arm64");
    memcpy(kernel, "\xd0\x0d\xfe\xed", 4);
    refused("FIT");
    /* Short files are not read past their end: ASan looks. */
    for (unsigned n = 1; n < 64; n++) {
        uint8_t *exact = calloc(1, n);
        r.kernel = exact;
        r.kernel_size = n;
        assert_int_equal(run(), 0);
        free(exact);
    }
}

static void test_no_room(void **state)
{
    (void)state;
    r.initrd_size = MIB(225);
    refused("initrd (230400 KiB)");
    r.initrd_size = UINT64_MAX;
    refused("");
    r.ram_size = MIB(8);
    refused("at least");
    r.ram_base = gpa(UINT64_MAX - MIB(1));
    refused("");
    r.ram_size = 0;
    refused("at least");
    /* 2 MiB steps would not do, 4 KiB do. */
    r.ram_size = MIB(2) + MIB(32) + MIB(4) + 2 * PAGE_SIZE;
    assert_int_equal(run(), 0);
    check();
}

static void test_many(void **state)
{
    static const uint64_t sizes[] = {0,          1,      4095,       4096,  4097,
                                     MIB(1) - 1, MIB(2), MIB(2) + 1, MIB(7)};
    unsigned fitted = 0, not_fitted = 0;

    (void)state;
    r.kernel_size = 64;
    for (uint64_t ram = PAGE_SIZE; ram < MIB(16); ram += 77 * PAGE_SIZE)
        for (unsigned k = 0; k < ARRAY_LEN(sizes); k++)
            for (unsigned i = 0; i < ARRAY_LEN(sizes); i++)
                for (unsigned f = 1; f < 5; f++) {
                    unsigned long need;
                    header(k & 1 ? 0 : 0x200000, sizes[k], 0);
                    r.ram_size = ram;
                    r.initrd_size = sizes[i];
                    r.fdt_size = sizes[f];
                    if (run() == 0) {
                        check();
                        fitted++;
                        continue;
                    }
                    not_fitted++;
                    assert_non_null(strstr(why, "at least "));
                    need = strtoul(strstr(why, "at least ") + 9, NULL, 10);
                    r.ram_size = MIB(need);
                    assert_true(r.ram_size > ram);
                    assert_int_equal(run(), 0);
                    check();
                }
    assert_true(fitted > 1000 && not_fitted > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_usual, setup),
        cmocka_unit_test_setup(test_raw_binary, setup),
        cmocka_unit_test_setup(test_text_offset, setup),
        cmocka_unit_test_setup(test_hostile_header, setup),
        cmocka_unit_test_setup(test_wrong_kinds, setup),
        cmocka_unit_test_setup(test_no_room, setup),
        cmocka_unit_test_setup(test_many, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
