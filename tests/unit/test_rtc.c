// SPDX-License-Identifier: BSD-2-Clause
// The clock of the day: its registers as Linux's driver uses them, its alarm, and what a load makes of both.
// units: vdev/rtc.c tests/fake/fake_base.c tests/fake/fake_vdev.c tests/fake/fake_guest_mem.c vdev/bus.c hyp/base/state.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "base/arch.h"
#include "fake_vdev.h"
#include "vdev/rtc.h"

enum {
    TIME_LOW = 0x00,
    TIME_HIGH = 0x04,
    ALARM_LOW = 0x08,
    ALARM_HIGH = 0x0c,
    IRQ_ENABLED = 0x10,
    CLEAR_ALARM = 0x14,
    ALARM_STATUS = 0x18,
    CLEAR_INTERRUPT = 0x1c,
};
#define SECOND 1000000000ull
#define HOST_TIME (1795280000 * SECOND + 123456789)

static uint64_t host_time;
static uint64_t host_now(void *ctx)
{
    assert_ptr_equal(ctx, &host_time);
    return host_time;
}
static const struct clock_backend host_clock = {host_now, &host_time};

static int setup(void **state)
{
    fake_gm_start(false);
    host_time = HOST_TIME;
    fake_time = 1000;
    fake_timer = NULL;
    *state = rtc_create(&host_clock);
    fake_bus_put(*state, "rtc");
    return 0;
}

static int teardown(void **state)
{
    struct vdev *dev = *state;

    dev->ops->destroy(dev);
    fake_gm_stop();
    return fake_heap_objects || fake_timer;
}

static uint64_t get_time(void)
{
    uint64_t low = reg_read(TIME_LOW);

    return (uint64_t)reg_read(TIME_HIGH) << 32 | low;
}

static void set_time(uint64_t to)
{
    reg_write(TIME_HIGH, (uint32_t)(to >> 32));
    reg_write(TIME_LOW, (uint32_t)to);
}

static void set_alarm(uint64_t to)
{
    reg_write(ALARM_HIGH, (uint32_t)(to >> 32));
    reg_write(ALARM_LOW, (uint32_t)to);
    reg_write(IRQ_ENABLED, 1);
}

/* Both clocks go on, and the timer comes when it was set for. */
static void sleep_ns(uint64_t ns)
{
    uint64_t end = fake_time + ns / 100, host_end = host_time + ns; /* the time base has 10 MHz */

    while (fake_timer && fake_timer->when <= end) {
        host_time += (fake_timer->when - fake_time) * 100;
        fake_time = fake_timer->when;
        fake_timer_run();
    }
    fake_time = end;
    host_time = host_end;
}

static void time_is_the_hosts(void **state)
{
    (void)state;
    assert_true(get_time() == HOST_TIME);
    host_time += 7;
    assert_true(get_time() == HOST_TIME + 7);
    /* The halves belong together, whatever the clock did between the reads. */
    host_time = (5ull << 32) - 1;
    assert_int_equal(reg_read(TIME_LOW), 0xffffffff);
    host_time += 1;
    assert_int_equal(reg_read(TIME_HIGH), 4);
    assert_int_equal(reg_read(TIME_LOW), 0);
    assert_int_equal(reg_read(TIME_HIGH), 5);
}

static void time_is_set(void **state)
{
    struct vdev *dev = *state;
    static const uint64_t times[] = {0, 1, SECOND, HOST_TIME * 2, HOST_TIME - 1, UINT64_MAX};

    for (unsigned i = 0; i < ARRAY_LEN(times); i++) {
        set_time(times[i]);
        assert_true(get_time() == times[i]);
        host_time += 5;
        assert_true(get_time() == times[i] + 5);
    }
    set_time(77);
    dev->ops->reset(dev); /* it has a battery */
    assert_true(get_time() == 77);
}

static void alarm_rings_once(void **state)
{
    (void)state;
    set_alarm(HOST_TIME + 3 * SECOND);
    assert_int_equal(reg_read(ALARM_STATUS), 1);
    assert_int_equal(reg_read(ALARM_LOW), (uint32_t)(HOST_TIME + 3 * SECOND));
    assert_int_equal(reg_read(ALARM_HIGH), (HOST_TIME + 3 * SECOND) >> 32);
    sleep_ns(3 * SECOND - 1000);
    assert_false(fake_irq_level);
    sleep_ns(2000);
    assert_true(fake_irq_level);
    assert_int_equal(reg_read(ALARM_STATUS), 0);
    reg_write(CLEAR_INTERRUPT, 1);
    assert_false(fake_irq_level);
    sleep_ns(100 * SECOND);
    assert_false(fake_irq_level);
    assert_null(fake_timer);
    set_alarm(HOST_TIME); /* over already */
    assert_true(fake_irq_level);
}

static void alarm_far_away(void **state)
{
    (void)state;
    set_alarm(HOST_TIME + 30 * 86400 * SECOND);
    sleep_ns(30 * 86400 * SECOND - 1000);
    assert_false(fake_irq_level);
    sleep_ns(2000);
    assert_true(fake_irq_level);
    set_alarm(UINT64_MAX);
    reg_write(CLEAR_INTERRUPT, 1);
    sleep_ns(86400 * SECOND);
    assert_false(fake_irq_level);
    assert_int_equal(reg_read(ALARM_STATUS), 1);
}

static void alarm_is_taken_back(void **state)
{
    struct vdev *dev = *state;

    set_alarm(HOST_TIME + SECOND);
    reg_write(CLEAR_ALARM, 1);
    assert_int_equal(reg_read(ALARM_STATUS), 0);
    sleep_ns(2 * SECOND);
    assert_false(fake_irq_level);
    set_alarm(host_time + SECOND);
    dev->ops->reset(dev);
    sleep_ns(2 * SECOND);
    reg_write(IRQ_ENABLED, 1);
    assert_false(fake_irq_level);
    /* Moved, before the timer for the first has come. */
    set_alarm(host_time + SECOND);
    set_alarm(host_time + 3 * SECOND);
    sleep_ns(2 * SECOND);
    assert_false(fake_irq_level);
    sleep_ns(2 * SECOND);
    assert_true(fake_irq_level);
}

static void alarm_is_masked(void **state)
{
    (void)state;
    set_alarm(HOST_TIME + SECOND);
    reg_write(IRQ_ENABLED, 0xfffffffe);
    assert_int_equal(reg_read(IRQ_ENABLED), 0);
    sleep_ns(2 * SECOND);
    assert_false(fake_irq_level);
    reg_write(IRQ_ENABLED, 1);
    assert_int_equal(reg_read(IRQ_ENABLED), 1);
    assert_true(fake_irq_level);
}

/* The alarm is a time of this clock. */
static void alarm_when_time_is_set(void **state)
{
    (void)state;
    set_time(100 * SECOND);
    set_alarm(110 * SECOND);
    set_time(50 * SECOND);
    sleep_ns(20 * SECOND);
    assert_false(fake_irq_level);
    set_time(120 * SECOND);
    assert_true(fake_irq_level);
}

static void odd_accesses(void **state)
{
    struct vdev *dev = *state;

    set_alarm(HOST_TIME + SECOND);
    for (uint8_t width = 1; width <= 8; width *= 2)
        for (uint64_t at = 0; at + width <= 0x40; at++) {
            uint64_t v = UINT64_MAX;

            if (width == 4 && !(at & 3) && at <= CLEAR_INTERRUPT)
                continue;
            assert_int_equal(reg_access(at, width, true, &v), MMIO_OK);
            assert_int_equal(reg_access(at, width, false, &v), MMIO_OK);
            assert_int_equal(v, 0);
        }
    assert_int_equal(reg_read(ALARM_STATUS), 1);
    assert_true(get_time() == HOST_TIME);
    assert_int_equal(dev->size, RTC_SIZE);
}

static void load_into(struct vdev *dev, struct fake_stream *s, int want)
{
    struct state_reader r = fake_stream_reader(s);

    assert_int_equal(dev->ops->load(dev, &r), want);
}

static void saved_and_loaded(void **state)
{
    struct vdev *dev = *state;
    struct fake_stream s = {0};
    struct state_writer w = fake_stream_writer(&s);

    set_time(HOST_TIME - 100 * SECOND);
    set_alarm(HOST_TIME);
    dev->ops->save(dev, &w);
    assert_int_equal(w.error, 0);
    dev->ops->destroy(dev);
    fake_timer = NULL;
    host_time += 60 * SECOND; /* a minute later */
    *state = dev = rtc_create(&host_clock);
    fake_bus_put(dev, "rtc");
    load_into(dev, &s, 0);
    assert_null(fake_timer); /* not before it is resumed */
    vdev_resume(dev);
    assert_true(get_time() == HOST_TIME - 40 * SECOND);
    sleep_ns(39 * SECOND);
    assert_false(fake_irq_level);
    sleep_ns(2 * SECOND);
    assert_true(fake_irq_level);
    /* The alarm was due meanwhile. */
    reg_write(CLEAR_INTERRUPT, 1);
    host_time += 86400 * SECOND;
    load_into(dev, &s, 0);
    assert_false(fake_irq_level);
    vdev_resume(dev);
    assert_true(fake_irq_level);
    /* Refused: as new. */
    s.data[s.len - 1] = 8;
    load_into(dev, &s, -EINVAL);
    assert_false(fake_irq_level);
    assert_int_equal(reg_read(ALARM_STATUS), 0);
    assert_true(get_time() == host_time);
    free(s.data);
}

/* A ringing bell that nobody has looked at rings on in the loaded one. */
static void rings_on(void **state)
{
    struct vdev *dev = *state;
    struct fake_stream s = {0};
    struct state_writer w = fake_stream_writer(&s);

    set_alarm(HOST_TIME);
    assert_true(fake_irq_level);
    dev->ops->save(dev, &w);
    reg_write(CLEAR_INTERRUPT, 1);
    load_into(dev, &s, 0);
    assert_true(fake_irq_level);
    free(s.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(time_is_the_hosts, setup, teardown),
        cmocka_unit_test_setup_teardown(time_is_set, setup, teardown),
        cmocka_unit_test_setup_teardown(alarm_rings_once, setup, teardown),
        cmocka_unit_test_setup_teardown(alarm_far_away, setup, teardown),
        cmocka_unit_test_setup_teardown(alarm_is_taken_back, setup, teardown),
        cmocka_unit_test_setup_teardown(alarm_is_masked, setup, teardown),
        cmocka_unit_test_setup_teardown(alarm_when_time_is_set, setup, teardown),
        cmocka_unit_test_setup_teardown(odd_accesses, setup, teardown),
        cmocka_unit_test_setup_teardown(saved_and_loaded, setup, teardown),
        cmocka_unit_test_setup_teardown(rings_on, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
