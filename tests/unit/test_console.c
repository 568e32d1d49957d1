// SPDX-License-Identifier: BSD-2-Clause
// Consoles: scroll-back and replay, input queues, which device gets the input, focus and the
// escape key, log lines beside guests' output and beside a line being edited, devices that go
// while told.
// units: hyp/ctl/console.c hyp/ctl/scrollback.c hyp/ctl/terminal.c tests/fake/fake_base.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/spinlock.h"
#include "ctl/console.h"
#include "mem/heap.h"
#include "sched/thread.h"

unsigned fake_highest_lock(void);

static char screen[65536];
static size_t screen_len;
static unsigned wakes, ready_calls, yields;
static bool heap_full;
static struct console *a, *b, *yield_detach;
static char got[4096];

void *heap_alloc(size_t size) { return heap_full ? NULL : calloc(1, size); }
void heap_free(void *p) { free(p); }
void thread_yield(void)
{
    yields++;
    assert_int_equal(fake_highest_lock(), 0);
}

uint64_t timer_hz = 1000000;
static unsigned character_takes; /* microseconds */

static void host_write(const char *data, size_t len)
{
    fake_time += character_takes * len;
    assert_true(screen_len + len < sizeof(screen));
    memcpy(screen + screen_len, data, len);
    screen_len += len;
    screen[screen_len] = '\0';
}

static void clear(void)
{
    screen_len = 0;
    screen[0] = '\0';
}

static void type(const char *s) { console_host_input(s, strlen(s)); }
static void out(struct console *c, const char *s)
{
    struct chr_backend *chr = console_backend(c, 0);

    assert_int_equal(chr->write(chr->ctx, s, strlen(s)), strlen(s));
}
static void log_line(enum log_level level, const char *s) { console_log(level, s, strlen(s)); }
static void wake(void)
{
    assert_int_equal(fake_highest_lock(), 0);
    wakes++;
}

/* A device that reads all when told, as the real ones do. */
static void ready(void *device)
{
    struct chr_backend *chr = device;
    size_t n = strlen(got);

    assert_int_equal(fake_highest_lock(), 0);
    ready_calls++;
    n += chr->read(chr->ctx, got + n, sizeof(got) - 1 - n);
    got[n] = '\0';
}

static void attach(struct console *c, unsigned n)
{
    struct chr_backend *chr = console_backend(c, n);

    chr->device = chr;
    chr->ready = ready;
}

static int setup(void **state)
{
    (void)state;
    a = console_create("alpha");
    b = console_create("beta");
    console_set_host(host_write);
    if (!console_shell())
        assert_int_equal(console_shell_start(wake), 0);
    console_set_focus(NULL);
    got[0] = '\0';
    ready_calls = wakes = yields = 0;
    clear();
    return 0;
}

static int teardown(void **state)
{
    char rest[2048];

    (void)state;
    console_edit(NULL, NULL, 0, 0);
    console_destroy(a);
    console_destroy(b);
    while (console_read(console_shell(), rest, sizeof(rest)))
        ;
    return 0;
}

/* First of all: nobody has typed yet. */
static void test_plain_when_nobody_types(void **state)
{
    (void)state;
    console_set_focus(a);
    out(a, "booting\r\nhalf a line");
    log_line(LOG_WARN, "[   1.000000] warning: disk full\n");
    log_line(LOG_INFO, "[   1.000000] not serious\n");
    console_set_focus(b);
    console_set_focus(NULL);
    console_edit("trapline> ", "", 0, 0);
    log_line(LOG_INFO, "[   2.000000] info\n");
    assert_null(strchr(screen, '\x1b'));
    assert_non_null(
        strstr(screen, "half a line\r\n[trapline] [   1.000000] warning: disk full\r\n"));
    assert_null(strstr(screen, "not serious"));
    assert_non_null(strstr(screen, "info\r\ntrapline> "));
    console_edit(NULL, NULL, 0, 0);
}

static void test_focus_shows_one(void **state)
{
    (void)state;
    console_set_focus(a);
    assert_true(console_has_focus(a));
    assert_false(console_has_focus(NULL));
    clear();
    out(a, "from a\r\n");
    out(b, "from b\r\n");
    assert_string_equal(screen, "from a\r\n");
    clear();
    type("\x1d"); /* b */
    assert_true(console_has_focus(b));
    assert_non_null(strstr(screen, "console of beta"));
    assert_non_null(strstr(screen, "from b\r\n"));
    assert_null(strstr(screen, "from a"));
    type("\x1d"); /* shell */
    assert_true(console_has_focus(NULL));
    type("\x1d"); /* a again */
    assert_true(console_has_focus(a));
    type("\x1d\x1d\x1d\x1d");
    assert_true(console_has_focus(b));
    console_destroy(b);
    assert_true(console_has_focus(NULL));
    console_set_focus(a);
    console_destroy(a);
    assert_true(console_has_focus(NULL));
    type("\x1d");
    assert_true(console_has_focus(NULL));
    a = console_create("alpha");
    b = console_create("beta");
}

static void test_replay(void **state)
{
    char line[64];

    (void)state;
    for (int i = 0; i < 1000; i++) {
        snprintf(line, sizeof(line), "\x1b[1mline %d\r\n", i);
        out(a, line);
    }
    out(a, "login: ");
    assert_string_equal(screen, "");
    console_set_focus(a);
    assert_non_null(strstr(screen, "line 999\r\nlogin: "));
    assert_non_null(strstr(screen, "line 981\r\n"));
    assert_null(strstr(screen, "line 980\r\n"));
    clear();
    console_set_focus(b); /* nothing written yet */
    assert_null(strstr(screen, "line 9"));
    for (int i = 0; i < 6; i++) { /* one line longer than the ring: no whole line */
        char big[3000];
        memset(big, 'x', sizeof(big) - 1);
        big[sizeof(big) - 1] = '\0';
        out(b, big);
    }
    console_set_focus(a);
    clear();
    console_set_focus(b);
    assert_null(strstr(screen, "xxxx"));
    out(b, "\r\nend");
    console_set_focus(a);
    clear();
    console_set_focus(b);
    assert_non_null(strstr(screen, "\r\nend"));
}

/* Questions to the terminal are not asked again: the answers would be typed into a guest. */
static void test_replay_asks_nothing(void **state)
{
    (void)state;
    console_set_focus(a);
    for (int i = 0; i < 400; i++) /* they lie across the ring's end too */
        out(a, "a\x1b[6nb\x1b[cd\x05"
               "e\x1b[>0cf\x1bZg\x1b[1mh\x1b[18ti\r\n");
    out(a, "$ \x1b[6n\x1b["); /* cut short: as it is */
    assert_non_null(strstr(screen, "\x1b[6n"));
    console_set_focus(b);
    clear();
    console_set_focus(a);
    assert_non_null(strstr(screen, "abdefg\x1b[1mhi\r\n$ \x1b["));
    assert_null(strstr(screen, "\x1b[6n"));
    assert_null(strchr(screen, '\x05'));
}

static void test_input_goes_to_the_last_writer(void **state)
{
    struct chr_backend *virtio = console_backend(a, 0), *uart = console_backend(a, 1);
    char in[64];

    (void)state;
    assert_null(console_backend(a, 2));
    console_set_focus(a);
    attach(a, 0);
    attach(a, 1);
    type("early");
    assert_int_equal(ready_calls, 0); /* nobody has written */
    assert_int_equal(uart->read(uart->ctx, in, sizeof(in)), 0);
    assert_int_equal(wakes, 0);
    out(a, "# ");
    assert_int_equal(ready_calls, 0); /* not while the device holds its lock */
    assert_int_equal(wakes, 1);
    console_deliver();
    assert_string_equal(got, "early");
    type("ls\r");
    assert_string_equal(got, "earlyls\r");
    assert_int_equal(uart->read(uart->ctx, in, sizeof(in)), 0);
    uart->write(uart->ctx, "=> ", 3);
    got[0] = '\0';
    virtio->ready = NULL;
    type("boot");
    assert_string_equal(got, "boot");
    console_write(a, "sbi", 3); /* DBCN */
    type("xyz");
    assert_int_equal(virtio->read(virtio->ctx, in, sizeof(in)), 0);
    assert_int_equal(console_read(a, in, 2), 2);
    assert_memory_equal(in, "xy", 2);
    assert_int_equal(console_read(a, in, sizeof(in)), 1);
    assert_int_equal(console_read(a, in, sizeof(in)), 0);
    uart->write(uart->ctx, ".", 1);
    type("q");
    assert_int_equal(console_read(a, in, sizeof(in)), 0);
}

static unsigned breaks;
static bool line_break(void *device)
{
    (void)device;
    return ++breaks == 1;
}

static void test_sysrq(void **state)
{
    struct chr_backend *uart = console_backend(a, 1);
    char in[8];

    (void)state;
    assert_true(console_sysrq(a, 'l')); /* nobody has written: as on hvc */
    assert_false(console_sysrq(a, 'm')); /* not before that has been read */
    assert_int_equal(console_read(a, in, sizeof(in)), 2);
    assert_memory_equal(in, "\x0fl", 2);
    uart->write(uart->ctx, ".", 1);
    uart->line_break = line_break;
    assert_true(console_sysrq(a, 't'));
    assert_int_equal(breaks, 1);
    assert_int_equal(uart->read(uart->ctx, in, sizeof(in)), 1);
    assert_int_equal(in[0], 't');
    assert_false(console_sysrq(a, 't')); /* it has no room: no key either */
    assert_int_equal(uart->read(uart->ctx, in, sizeof(in)), 0);
    uart->line_break = NULL;
}

static void test_input_bound(void **state)
{
    static char big[5000];
    char in[2048];
    size_t n;

    (void)state;
    console_set_focus(a);
    memset(big, 'k', sizeof(big));
    console_host_input(big, sizeof(big));
    n = console_read(a, in, sizeof(in));
    assert_int_equal(n, 1024);
    assert_int_equal(console_type(a, big, 1000), 1000);
    assert_int_equal(console_type(a, big, 1000), 24);
    assert_int_equal(console_type(a, big, 1), 0);
    for (int i = 0; i < 3000; i++) { /* around the end */
        char c = (char)(i * 7), d;

        while (console_read(a, in, sizeof(in)))
            ;
        assert_int_equal(console_type(a, &c, 1), 1);
        assert_int_equal(console_read(a, &d, 1), 1);
        assert_int_equal(c, d);
    }
}

static void test_escape_within_input(void **state)
{
    char in[16];

    (void)state;
    console_set_focus(NULL);
    type("sh\x1d"
         "aa\x1d"
         "bb\x1d"
         "ell");
    assert_true(console_has_focus(NULL));
    assert_int_equal(console_read(a, in, sizeof(in)), 2);
    assert_memory_equal(in, "aa", 2);
    assert_int_equal(console_read(b, in, sizeof(in)), 2);
    assert_memory_equal(in, "bb", 2);
    assert_int_equal(console_read(console_shell(), in, sizeof(in)), 5);
    assert_memory_equal(in, "shell", 5);
    assert_int_equal(wakes, 1);
}

static void test_log_lines(void **state)
{
    (void)state;
    console_set_focus(a);
    assert_non_null(strstr(screen, "console of alpha (no output yet);"));
    clear();
    log_line(LOG_INFO, "[   0.100000] alpha: started\n"); /* its guest has said nothing yet */
    assert_string_equal(screen, "[   0.100000] alpha: started\r\n");
    out(a, "Linux");
    clear();
    log_line(LOG_INFO, "[   0.100000] error: it is the level that counts\n");
    log_line(LOG_INFO, "");
    assert_string_equal(screen, "");
    log_line(LOG_ERROR, "[   0.200000] error: bad\n");
    assert_string_equal(screen, "\r\n[trapline] [   0.200000] error: bad\r\n");
    log_line(LOG_WARN, "[   0.200000] warning: w\n");
    assert_string_equal(screen, "\r\n[trapline] [   0.200000] error: bad\r\n"
                                "[trapline] [   0.200000] warning: w\r\n");
    clear();
    log_line(LOG_NOTICE, "[   0.300000] alpha: stopped\n");
    assert_string_equal(screen, "[trapline] [   0.300000] alpha: stopped\r\n");
    console_set_focus(NULL);
    console_set_focus(a);
    assert_non_null(strstr(screen, "console of alpha;"));
    console_set_focus(NULL);
    clear();
    log_line(LOG_INFO, "[   0.300000] all\n");
    assert_string_equal(screen, "[   0.300000] all\r\n");
}

static void test_edit_line(void **state)
{
    static char text[160];

    (void)state;
    type(""); /* interactive */
    console_set_focus(NULL);
    clear();
    console_edit("> ", "", 0, 0);
    assert_string_equal(screen, "> \x1b[K");
    clear();
    console_edit("> ", "l", 1, 1);
    console_edit("> ", "li", 2, 2);
    assert_string_equal(screen, "li");
    console_edit("> ", "l", 1, 1);
    assert_string_equal(screen, "li\b \b");
    clear();
    console_edit("> ", "list", 4, 1);
    assert_string_equal(screen, "\r> list\x1b[K\x1b[3D");
    clear();
    log_line(LOG_INFO, "[x] info\n");
    assert_string_equal(screen, "\r\x1b[K[x] info\r\n> list\x1b[K\x1b[3D");
    clear();
    console_set_focus(a);
    assert_memory_equal(screen, "\r\x1b[K", 4);
    clear();
    console_edit("> ", "listx", 5, 5); /* not shown, kept */
    assert_string_equal(screen, "");
    console_set_focus(NULL);
    assert_non_null(strstr(screen, "> listx\x1b[K"));
    clear();
    console_edit(NULL, NULL, 0, 0);
    console_write(console_shell(), "out\r\n", 5);
    assert_string_equal(screen, "\r\nout\r\n");
    console_set_focus(a);
    clear();
    console_set_focus(NULL); /* the line and its output are scroll-back */
    assert_non_null(strstr(screen, "> listx\r\nout\r\n"));
    /* Longer than a row: a window with the cursor in it, never more than the row. */
    memset(text, 'y', sizeof(text));
    clear();
    console_edit("> ", text, sizeof(text), 10);
    console_edit("> ", text, sizeof(text), sizeof(text));
    for (char *row = strtok(screen, "\r"); row; row = strtok(NULL, "\r"))
        assert_true(strlen(row) <= 80 + 8);
    console_edit("> ", text, 9999, 99999); /* cut */
    console_clear_screen();
    console_edit(NULL, NULL, 0, 0);
}

static void ready_once(void *device)
{
    (void)device;
    ready_calls++;
    assert_int_equal(fake_highest_lock(), 0);
    if (yield_detach) { /* its console goes while it is told: must not be waited for here */
        struct console *c = yield_detach;
        yield_detach = NULL;
        console_set_focus(c == a ? b : a);
    }
}

static void test_detach(void **state)
{
    struct chr_backend *chr = console_backend(a, 0);

    (void)state;
    console_set_focus(a);
    attach(a, 0);
    chr->ready = ready_once;
    out(a, "x");
    yield_detach = a;
    type("k");
    assert_int_equal(ready_calls, 1);
    assert_true(console_has_focus(b));
    console_detach(a);
    assert_null(chr->ready);
    console_set_focus(a);
    type("k");
    assert_int_equal(ready_calls, 1);
    console_deliver();
    assert_int_equal(ready_calls, 1);
}

static void test_size(void **state)
{
    struct chr_backend *chr = console_backend(b, 1);
    uint16_t columns, rows;

    (void)state;
    attach(a, 0);
    attach(b, 1);
    console_set_size(132, 50);
    assert_int_equal(ready_calls, 2);
    chr->size(chr->ctx, &columns, &rows);
    assert_int_equal(columns, 132);
    assert_int_equal(rows, 50);
    console_set_size(80, 24);
}

static void test_no_memory(void **state)
{
    (void)state;
    heap_full = true;
    assert_null(console_create("none"));
    heap_full = false;
}

static void test_under_locks(void **state)
{
    struct spinlock device, log;

    (void)state;
    spin_init(&device, LOCK_DEVICE);
    spin_init(&log, LOCK_LOG);
    console_set_focus(a);
    type("k");
    wakes = 0;
    spin_lock(&device);
    console_write(a, "x", 1);
    spin_lock(&log);
    log_line(LOG_ERROR, "[  ] error: e\n");
    spin_unlock(&log);
    spin_unlock(&device);
}

/* At 115200 baud a guest's output gives the hart back soon, and goes on where it stopped; the shell's, and
 * what the terminal does not show, are taken whole. */
static void test_slow_terminal(void **state)
{
    struct chr_backend *chr;
    char text[4096];
    size_t taken;

    (void)state;
    console_set_focus(a);
    memset(text, 'x', sizeof(text));
    character_takes = 87;
    clear();
    chr = console_backend(a, 0);
    taken = chr->write(chr->ctx, text, sizeof(text));
    assert_in_range(taken, 1, 64);
    assert_int_equal(screen_len, taken);
    taken = console_write(a, text, sizeof(text));
    assert_in_range(taken, 1, 64);
    assert_int_equal(console_write(b, text, sizeof(text)), sizeof(text));
    console_set_focus(NULL);
    assert_int_equal(console_write(console_shell(), text, sizeof(text)), sizeof(text));
    character_takes = 0;
    console_set_focus(a);
    assert_int_equal(chr->write(chr->ctx, text, sizeof(text)), sizeof(text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_plain_when_nobody_types, setup, teardown),
        cmocka_unit_test_setup_teardown(test_focus_shows_one, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replay, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replay_asks_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_input_goes_to_the_last_writer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sysrq, setup, teardown),
        cmocka_unit_test_setup_teardown(test_input_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(test_escape_within_input, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_edit_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slow_terminal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_detach, setup, teardown),
        cmocka_unit_test_setup_teardown(test_size, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_under_locks, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
