// SPDX-License-Identifier: BSD-2-Clause
// The host's clock of the day: read once, low half first, and counted on by the time base.
// units: hyp/drv/host_rtc.c tests/fake/fake_base.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arch.h"
#include "drv/drv.h"
#include "mem/hostmap.h"
#include "sched/timer.h"

#define SECOND 1000000000ull
#define BOOT_NS 0x18ea1234ffffffffull

uint64_t timer_hz;
static char window[0x1000];
static bool no_memory;
static unsigned reads;

void *hostmap_device(pa_t at, uint64_t size)
{
    assert_int_equal(at.v, 0x101000);
    assert_int_equal(size, sizeof(window));
    return no_memory ? NULL : window;
}

static uint64_t on_read(const volatile void *at, unsigned width)
{
    uint64_t offset = (uint64_t)((const volatile char *)at - window);

    assert_int_equal(width, 4);
    assert_int_equal(offset, reads * 4);
    reads++;
    return (uint32_t)(offset ? BOOT_NS >> 32 : BOOT_NS);
}

static uint64_t now(void) { return host_rtc()->now(host_rtc()->ctx); }

static void absent(void **state)
{
    static struct platform none, some = {.rtc = {0x101000, 0x1000}};

    (void)state;
    assert_null(host_rtc());
    host_rtc_init(&none);
    assert_null(host_rtc());
    no_memory = true;
    host_rtc_init(&some);
    assert_null(host_rtc());
    no_memory = false;
}

static void counts_on(void **state)
{
    static const uint64_t hz[] = {1000000, 10000000, 24000000, 1000000000};
    static struct platform p = {.rtc = {0x101000, 0x1000}};

    (void)state;
    fake_mmio_read = on_read;
    for (unsigned i = 0; i < ARRAY_LEN(hz); i++) {
        timer_hz = hz[i];
        fake_time = 12345;
        reads = 0;
        host_rtc_init(&p);
        assert_true(now() == BOOT_NS);
        fake_time += hz[i] / 2;
        assert_true(now() == BOOT_NS + SECOND / 2);
        fake_time += hz[i] * 86400 * 3650; /* ten years */
        assert_true(now() == BOOT_NS + SECOND / 2 + 86400 * 3650 * SECOND);
        assert_int_equal(reads, 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absent),
        cmocka_unit_test(counts_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
