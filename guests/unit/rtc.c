// SPDX-License-Identifier: BSD-2-Clause
// The clock of the day and its alarm: Goldfish's, as QEMU's machine "virt" has it.
#include "unit/unit.h"

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
#define SECOND 1000000000ul
#define YEAR_2020 (1577836800 * SECOND)
#define PLIC_PENDING 0xc001000ul
#define SOURCE 11

static uint32_t get(unsigned reg) { return *(volatile uint32_t *)(rt_rtc + reg); }
static void put(unsigned reg, uint64_t v) { *(volatile uint32_t *)(rt_rtc + reg) = (uint32_t)v; }

static uint64_t now(void)
{
    uint64_t low = get(TIME_LOW);

    return (uint64_t)get(TIME_HIGH) << 32 | low;
}

static void set_alarm(uint64_t at)
{
    put(ALARM_HIGH, at >> 32);
    put(ALARM_LOW, at);
    put(IRQ_ENABLED, 1);
}

static bool rings(void) { return *(volatile uint32_t *)PLIC_PENDING >> SOURCE & 1; }

UNIT_CASE(rtc_time, UNIT_RTC)
{
    uint64_t first = now(), last = first, end = rt_patience();

    CHECK(first > YEAR_2020, "it is %lx ns after 1970", first);
    while (last < first + SECOND / 50) {
        uint64_t next = now();

        CHECK(next >= last, "from %lx back to %lx", last, next);
        last = next;
        CHECK(rdtime() < end, "it stands at %lx", last);
    }
}

/* The time that is set goes on from there; then it is put right again. */
UNIT_CASE(rtc_is_set, UNIT_RTC)
{
    uint64_t before = now(), t;

    put(TIME_HIGH, (before - 3600 * SECOND) >> 32);
    put(TIME_LOW, before - 3600 * SECOND);
    t = now();
    CHECK(t >= before - 3600 * SECOND && t < before, "%lx, set to %lx", t, before - 3600 * SECOND);
    t += 3600 * SECOND;
    put(TIME_HIGH, t >> 32);
    put(TIME_LOW, t);
    CHECK(now() >= before, "%lx, was %lx", now(), before);
}

/* First the alarm that is taken back: natively a source that pends may go on so until it is claimed. */
UNIT_CASE(rtc_alarm, UNIT_RTC)
{
    uint64_t at = now() + 3600 * SECOND, end = rt_patience();

    set_alarm(at);
    CHECK_EQ(get(ALARM_STATUS), 1);
    CHECK_EQ(get(ALARM_LOW), (uint32_t)at);
    CHECK_EQ(get(ALARM_HIGH), at >> 32);
    put(CLEAR_ALARM, 1);
    CHECK_EQ(get(ALARM_STATUS), 0);
    CHECK(!rings(), "it rings an hour early");
    at = now() + SECOND / 50;
    set_alarm(at);
    while (!rings())
        CHECK(rdtime() < end, "no interrupt; the alarm is %s",
              get(ALARM_STATUS) ? "set" : "not set");
    CHECK(now() >= at, "%lu ns early", at - now());
    CHECK_EQ(get(ALARM_STATUS), 0);
    put(CLEAR_INTERRUPT, 1);
    put(IRQ_ENABLED, 0);
}
