// SPDX-License-Identifier: BSD-2-Clause
// units: hyp/base/fmt.c hyp/base/log.c tests/fake/fake_base.c
// Formatting against the host's snprintf; the log's ring, its time stamps, its rate limit.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arch.h"
#include "base/log.h"

#define SAME(...) \
    do { \
        char got[64], want[64]; \
        int n = snprintf(want, sizeof(want), __VA_ARGS__); \
        assert_int_equal(fmt_snprintf(got, sizeof(got), __VA_ARGS__), n); \
        assert_string_equal(got, want); \
    } while (0)

static void test_formats(void **state)
{
    (void)state;
    SAME("plain");
    SAME("%d %i %u", -5, 7, 4000000000u);
    SAME("%ld %lld %lu %zu", INT64_MIN, (long long)INT64_MAX, UINT64_MAX, (size_t)3);
    SAME("%5d|%-5d|%05d|%+d|% d", 42, 42, -42, 42, 42);
    SAME("%x %X %#x %#X %#x", 0xBEEFu, 0xBEEFu, 0xBEEFu, 0xBEEFu, 0u);
    SAME("%08x|%#010x|%-8x|%.4x|%8.4x", 0xABu, 0xABu, 0xABu, 0xABu, 0xABu);
    SAME("%016lx", 0xFFFFFFFF80000000ul);
    SAME("%hhx %hx %hhd %hd", 0xFF, 0x1234, -1, -2);
    SAME("%s|%10s|%-10s|%.2s|%.*s", "abc", "abc", "abc", "abc", 1, "abc");
    SAME("%*d|%-*d|%*d", 6, 1, 6, 2, -6, 3);
    SAME("%c%c%3c|%-3c|", 'a', 'b', 'c', 'd');
    SAME("100%% %.0d|%.0u|%.3d", 0, 0u, -7);
    SAME("%p", (void *)(uintptr_t)0x1234);
    SAME("%lx%s", 0ul, "");
    const char *volatile null = NULL;
    char got[32];
    fmt_snprintf(got, sizeof(got), "%s", null);
    assert_string_equal(got, "(null)");
}

static void test_truncation(void **state)
{
    (void)state;
    char b[8];
    memset(b, '#', sizeof(b));
    assert_int_equal(fmt_snprintf(b, 4, "%s", "abcdef"), 6);
    assert_memory_equal(b, "abc\0####", 8);
    assert_int_equal(fmt_snprintf(b, 0, "%d", 123456), 6);
    assert_memory_equal(b, "abc\0", 4);
    assert_int_equal(fmt_snprintf(NULL, 0, "x%5d", 1), 6);
    assert_int_equal(fmt_snprintf(b, 1, "zz"), 2);
    assert_int_equal(b[0], 0);
    /* String precision bounds the read: there is no NUL to find. */
    const char raw[3] = {'x', 'y', 'z'};
    fmt_snprintf(b, sizeof(b), "%.3s", raw);
    assert_string_equal(b, "xyz");
}

static void test_unknown_conversion(void **state)
{
    (void)state;
    char b[32];
    const char *volatile format = "a%qb%";
    int (*f)(char *, size_t, const char *, ...) = fmt_snprintf;
    f(b, sizeof(b), format);
    assert_string_equal(b, "a%qb%");
}

static char seen[64][300];
static unsigned seen_count;
static unsigned emitted;
static char first[300], last[300];

static enum log_level seen_level;

static void on_line(enum log_level level, const char *line, size_t len)
{
    seen_level = level;
    memcpy(seen[seen_count % 64], line, len);
    seen[seen_count++ % 64][len] = '\0';
}

static void on_emit(void *ctx, const char *line)
{
    (void)ctx;
    if (emitted++ == 0)
        strcpy(first, line);
    strcpy(last, line);
    assert_null(strchr(line, '\n'));
}

static const char *last_seen(void) { return seen[(seen_count - 1) % 64]; }

static void test_lines(void **state)
{
    (void)state;
    log_set_sink(on_line);
    log_info("early %d", 1);
    assert_string_equal(last_seen(), "[   0.000000] early 1\n");
    fake_time = 5000000;
    log_set_timebase(10000000);
    fake_time += 12345678;
    log_warn("w");
    assert_string_equal(last_seen(), "[   1.234567] warning: w\n");
    log_error("a guest says %s", "\x1b[2Jhi\nthere\xff");
    assert_string_equal(last_seen(), "[   1.234567] error: a guest says ?[2Jhi?there?\n");
    assert_int_equal(seen_level, LOG_ERROR);
    log_notice("a VM has ended");
    assert_string_equal(last_seen(), "[   1.234567] a VM has ended\n");
    assert_int_equal(seen_level, LOG_NOTICE);
    unsigned n = seen_count;
    log_debug("only in the ring");
    assert_int_equal(seen_count, n);
    log_dump(on_emit, NULL);
    assert_string_equal(last, "[   1.234567] only in the ring");

    char big[400];
    memset(big, 'x', 399);
    big[399] = 0;
    log_info("%s", big);
    size_t len = strlen(last_seen());
    assert_true(len <= 256);
    assert_int_equal(last_seen()[len - 1], '\n');
    assert_int_equal(last_seen()[len - 2], 'x');
}

static void log_from_emit(void *ctx, const char *line)
{
    on_emit(ctx, line);
    log_info("and one more"); /* as a console that complains; must not go on for ever */
}

static void test_ring_overflow(void **state)
{
    (void)state;
    log_set_sink(NULL);
    for (int i = 0; i < 3000; i++)
        log_info("line %d %.*s", i, i % 90,
                 "..................................................."
                 "......................................................");
    emitted = 0;
    log_dump(on_emit, NULL);
    assert_true(emitted > 100 && emitted < 1000);
    assert_non_null(strstr(last, "line 2999 "));
    char want[40];
    snprintf(want, sizeof(want), "line %d ", 3000 - (int)emitted);
    assert_non_null(strstr(first, want)); /* no line lost in the middle, none cut */
    assert_int_equal(first[0], '[');

    unsigned before = emitted;
    emitted = 0;
    log_dump(log_from_emit, NULL);
    assert_true(emitted <= before);
}

static void test_ratelimit(void **state)
{
    (void)state;
    struct log_limit l = {0};
    unsigned passed = 0;
    log_set_timebase(1000);
    log_set_sink(on_line);
    for (int i = 0; i < 100; i++)
        passed += log_ratelimit(&l);
    assert_int_equal(passed, LOG_BURST);
    fake_time += 1000 * LOG_WINDOW_SECONDS - 1;
    assert_false(log_ratelimit(&l));
    fake_time += 1;
    unsigned n = seen_count;
    assert_true(log_ratelimit(&l));
    assert_int_equal(seen_count, n + 1);
    assert_non_null(strstr(last_seen(), "(91 more such lines were left out)"));
    fake_time += 1000 * LOG_WINDOW_SECONDS;
    assert_true(log_ratelimit(&l)); /* nothing was left out, so nothing is said */
    assert_int_equal(seen_count, n + 1);
    log_set_sink(NULL);
}

/* A storm that goes on: each window is longer than the one before, and says once what it held back. */
static void test_ratelimit_storm(void **state)
{
    struct log_limit l = {.of = "vm0"};
    uint64_t begun;
    unsigned passed = 0, n;

    (void)state;
    fake_time = 1;
    log_set_timebase(1000);
    log_set_sink(on_line);
    n = seen_count;
    begun = fake_time;
    for (unsigned i = 0; i < 2 * 3600; i++, fake_time += 500) /* for an hour, two a second */
        passed += log_ratelimit(&l);
    assert_int_equal(fake_time - begun, 3600000);
    /* 5, 10, ... 320 s, then 320 s each: 7 windows in the first 635 s, 10 more in the rest. */
    assert_int_equal(passed, 17 * LOG_BURST);
    assert_int_equal(seen_count - n, 16 - 1); /* in the first, nothing was left out */
    assert_non_null(strstr(last_seen(), "vm0: (630 more such lines were left out)"));
    log_limit_renew(&l);
    assert_int_equal(seen_count - n, 16);
    assert_non_null(strstr(last_seen(), "vm0: ("));
    for (unsigned i = 0; i < LOG_BURST; i++)
        assert_true(log_ratelimit(&l));
    assert_false(log_ratelimit(&l));
    fake_time += 1000 * LOG_WINDOW_SECONDS;
    assert_true(log_ratelimit(&l));
    for (unsigned i = 0; i < LOG_BURST; i++)
        (void)log_ratelimit(&l);
    fake_time += 4000 * LOG_WINDOW_SECONDS; /* a window of quiet, after one of 10 s */
    assert_true(log_ratelimit(&l));
    for (unsigned i = 0; i < LOG_BURST; i++)
        (void)log_ratelimit(&l);
    fake_time += 1000 * LOG_WINDOW_SECONDS;
    n = seen_count;
    assert_true(log_ratelimit(&l));
    assert_int_equal(seen_count, n + 1); /* the window was a short one again */
    assert_true(log_ratelimit(NULL));
    log_set_sink(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_unknown_conversion),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_ring_overflow),
        cmocka_unit_test(test_ratelimit),
        cmocka_unit_test(test_ratelimit_storm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
