// SPDX-License-Identifier: BSD-2-Clause
// Host discovery over damaged device trees: an error with its reason, or facts that are in bounds and
// consistent. (The tree is the firmware's, so this is about boards to come more than about malice.)
// units: hyp/boot/platform.c hyp/boot/platform_cpu.c hyp/boot/platform_dev.c hyp/boot/platform_fdt.c hyp/base/fmt.c tests/fake/fake_base.c
#include <errno.h>
#include <libfdt.h>

#include "boot/platform.h"
#include "fuzz.h"

const unsigned fuzz_runs = 20000;
const size_t fuzz_max = 20480;

static struct platform p;

static void on_warn(const char *line) { assert_true(strlen(line) > 0 && !strchr(line, '\n')); }

static bool in_fdt(const char *s, const void *fdt)
{
    return s >= (const char *)fdt && s < (const char *)fdt + fdt_totalsize(fdt);
}

static void check_ranges(const struct platform_range *r, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        assert_true(r[i].size > 0 && r[i].base + r[i].size >= r[i].base);
        for (unsigned k = 0; k < i; k++)
            assert_true(r[k].base + r[k].size <= r[i].base || r[i].base + r[i].size <= r[k].base);
    }
}

static void check(const void *fdt)
{
    assert_true(p.bank_count > 0 && p.bank_count <= PLATFORM_BANKS);
    assert_true(p.reserved_count <= PLATFORM_RESERVED);
    check_ranges(p.bank, p.bank_count);
    check_ranges(p.reserved, p.reserved_count);
    for (unsigned i = 1; i < p.reserved_count; i++)
        assert_true(p.reserved[i - 1].base < p.reserved[i].base);
    assert_true(p.hart_count > 0 && p.hart_count <= PLATFORM_HARTS);
    for (unsigned i = 0; i < p.hart_count; i++)
        assert_int_equal(p.hart[i].usable, p.hart[i].why_not == NULL);
    assert_true(p.timebase_hz > 0);
    assert_true(memchr(p.model, 0, sizeof(p.model)) && memchr(p.isa, 0, sizeof(p.isa)));
    assert_true(memchr(p.mmu_type, 0, sizeof(p.mmu_type)));
    assert_true(memchr(p.uart.path, 0, sizeof(p.uart.path)));
    assert_true(p.virtio_count <= PLATFORM_VIRTIO && p.rng_seed_len <= sizeof(p.rng_seed));
    assert_true(p.initrd.base + p.initrd.size >= p.initrd.base);
    assert_true(!*p.bootargs || in_fdt(p.bootargs, fdt));
    assert_false((p.cbom_block & (p.cbom_block - 1)) || (p.cboz_block & (p.cboz_block - 1)));
    if (p.uart.kind != UART_NONE)
        assert_true(p.uart.reg_io_width == 1 || p.uart.reg_io_width == 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *problem = NULL;
    void *copy;
    int r;

    if (size < sizeof(struct fdt_header))
        return 0;
    copy = malloc(size);
    memcpy(copy, data, size);
    if (fdt_totalsize(copy) > size)
        fdt_set_totalsize(copy, (uint32_t)size);
    r = platform_read(copy, &p, &problem, on_warn);
    if (r) {
        assert_int_equal(r, -EINVAL);
        assert_non_null(problem);
    } else {
        check(copy);
    }
    free(copy);
    return 0;
}

/* Trees of real boards. */
size_t fuzz_seed(unsigned n, uint8_t *to, size_t max)
{
    static const char *const names[] = {"virt1", "p550", "k3", "titan"};
    char command[128];
    size_t len;
    FILE *f;

    if (n >= sizeof(names) / sizeof(names[0]))
        return 0;
    snprintf(command, sizeof(command), "dtc -q -I dts -O dtb tests/unit/dts/%s.dts", names[n]);
    f = popen(command, "r");
    len = f ? fread(to, 1, max, f) : 0;
    if (!f || pclose(f) || !len) {
        fprintf(stderr, "fuzz_fdt: %s failed\n", command);
        exit(2);
    }
    return len;
}
