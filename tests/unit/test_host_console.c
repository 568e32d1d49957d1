// SPDX-License-Identifier: BSD-2-Clause
// The host's terminal without interrupts: the firmware's console, polled often only while somebody types.
// units: hyp/drv/host_console.c hyp/drv/sbi_console.c tests/fake/fake_base.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arch.h"
#include "drv/host_console.h"
#include "mem/frame.h"
#include "sched/timer.h"

enum { EXT_BASE = 0x10, DBCN_WRITE = 0, DBCN_READ = 1 };
#define EXT_DBCN 0x4442434Eul

uint64_t timer_hz = 10000000;
uint64_t direct_offset;
static char page[PAGE_SIZE] __attribute__((aligned(4096)));
static struct timer *timer;
static const char *typed;
static char got[64], written[64];
static size_t got_len, written_len;
static unsigned reads;
static bool endless;

const struct host_console_ops *uart_init(const struct platform *p)
{
    (void)p;
    return NULL;
}
void *frame_alloc_page(void) { return page; }
void timer_init(struct timer *t, void (*fn)(struct timer *)) { t->fn = fn; }
void timer_set(struct timer *t, uint64_t when)
{
    timer = t;
    t->when = when;
}

static struct sbi_ret on_sbi(unsigned long ext, unsigned long fid, const unsigned long a[6])
{
    if (ext == EXT_BASE)
        return (struct sbi_ret){0, 1};
    assert_int_equal(ext, EXT_DBCN);
    if (fid == DBCN_WRITE) {
        assert_true(written_len + a[0] <= sizeof(written));
        memcpy(written + written_len, page, a[0]);
        written_len += a[0];
        return (struct sbi_ret){0, (long)a[0]};
    }
    assert_int_equal(fid, DBCN_READ);
    reads++;
    size_t n = typed ? strlen(typed) : 0;
    if (n > a[0])
        n = a[0];
    memcpy(page + PAGE_SIZE / 2, typed ? typed : "", n);
    if (!endless)
        typed = NULL;
    return (struct sbi_ret){0, (long)n};
}

static void receive(const char *data, size_t len)
{
    if (endless)
        return;
    assert_true(got_len + len <= sizeof(got));
    memcpy(got + got_len, data, len);
    got_len += len;
}

/* The timer's next round; how long it took to come, us. */
static uint64_t round_trip(void)
{
    uint64_t waited = timer->when - fake_time;

    fake_time = timer->when;
    timer->fn(timer);
    return waited / 10;
}

static void test_polling(void **state)
{
    struct platform p = {0};

    (void)state;
    fake_sbi = on_sbi;
    fake_time = 5;
    host_console_init(&p);
    host_console_write("hello", 5);
    assert_memory_equal(written, "hello", 5);
    host_console_start(receive);
    assert_int_equal(reads, 0);
    assert_int_equal(round_trip(), 10000);
    assert_int_equal(round_trip(), 100000); /* nobody is there */
    assert_int_equal(round_trip(), 100000);
    assert_int_equal(reads, 3);
    typed = "list\r";
    assert_int_equal(round_trip(), 100000);
    assert_int_equal(got_len, 5);
    assert_memory_equal(got, "list\r", 5);
    for (unsigned i = 0; i < 1000; i++) /* ten seconds */
        assert_int_equal(round_trip(), 10000);
    assert_int_equal(round_trip(), 100000);
    /* A console that always has input does not keep the hart. */
    endless = true;
    typed = "x";
    reads = 0;
    round_trip();
    assert_true(reads > 1 && reads < 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_polling)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
