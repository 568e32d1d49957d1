// SPDX-License-Identifier: BSD-2-Clause
// The line editor: every key, history and its bounds, completion, escape sequences whole,
// broken, endless.
// units: hyp/ctl/lineedit.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/lineedit.h"

static struct lineedit e;

static enum lineedit_event keys(const char *s)
{
    enum lineedit_event last = LINEEDIT_NONE;

    for (; *s; s++)
        last = lineedit_key(&e, *s);
    return last;
}

static void expect(const char *text, size_t cursor)
{
    assert_string_equal(e.text, text);
    assert_int_equal(e.len, strlen(text));
    assert_int_equal(e.cursor, cursor);
}

static void enter(const char *line)
{
    keys(line);
    assert_int_equal(keys("\r"), LINEEDIT_ENTER);
    assert_string_equal(e.text, line);
    lineedit_clear(&e, true);
}

static int setup(void **state)
{
    (void)state;
    lineedit_init(&e, NULL, NULL);
    return 0;
}

static void test_insert_and_move(void **state)
{
    (void)state;
    assert_int_equal(keys("abd"), LINEEDIT_CHANGED);
    assert_int_equal(keys("\x1b[D"), LINEEDIT_CHANGED);
    keys("c");
    expect("abcd", 3);
    keys("\x01X");
    expect("Xabcd", 1);
    keys("\x05Y");
    expect("XabcdY", 6);
    assert_int_equal(keys("\x1b[C"), LINEEDIT_BELL);
    keys("\x1b[H");
    assert_int_equal(keys("\x1b[D"), LINEEDIT_BELL);
    expect("XabcdY", 0);
    keys("\x06\x06\x02");
    expect("XabcdY", 1);
    for (const char *const *s =
             (const char *const[]){"\x1b[F", "\x1bOF", "\x1b[4~", "\x1b[8~", NULL};
         *s; s++) {
        keys("\x01");
        keys(*s);
        expect("XabcdY", 6);
    }
    for (const char *const *s =
             (const char *const[]){"\x1b[H", "\x1bOH", "\x1b[1~", "\x1b[7~", NULL};
         *s; s++) {
        keys("\x05");
        keys(*s);
        expect("XabcdY", 0);
    }
}

static void test_delete(void **state)
{
    (void)state;
    keys("one two  three");
    keys("\x7f\x08");
    expect("one two  thr", 12);
    keys("\x17");
    expect("one two  ", 9);
    keys("\x17");
    expect("one ", 4);
    keys("\x01\x04");
    expect("ne ", 0);
    keys("\x1b[3~");
    expect("e ", 0);
    assert_int_equal(keys("\x7f"), LINEEDIT_BELL);
    keys("\x05\x15");
    expect("", 0);
    assert_int_equal(keys("\x1b[3~"), LINEEDIT_BELL); /* not the end of the shell */
    assert_int_equal(keys("\x04"), LINEEDIT_END);
    keys("abcdef\x02\x02\x0b");
    expect("abcd", 4);
    keys("\x02\x15");
    expect("d", 0);
    assert_int_equal(keys("\x15"), LINEEDIT_BELL);
    assert_int_equal(keys("\x05\x0b"), LINEEDIT_BELL);
}

static void test_full(void **state)
{
    (void)state;
    for (int i = 0; i < LINEEDIT_MAX - 1; i++)
        assert_int_equal(lineedit_key(&e, 'a'), LINEEDIT_CHANGED);
    assert_int_equal(lineedit_key(&e, 'b'), LINEEDIT_BELL);
    assert_int_equal(e.len, LINEEDIT_MAX - 1);
    keys("\x01");
    assert_int_equal(lineedit_key(&e, 'b'), LINEEDIT_BELL);
    assert_null(strchr(e.text, 'b'));
    assert_int_equal(keys("\r"), LINEEDIT_ENTER);
}

static void test_events(void **state)
{
    (void)state;
    assert_int_equal(keys("\x0c"), LINEEDIT_REDRAW);
    keys("abc");
    assert_int_equal(keys("\x03"), LINEEDIT_CANCEL);
    lineedit_clear(&e, false);
    assert_int_equal(keys("\x10"), LINEEDIT_BELL); /* not remembered */
    assert_int_equal(keys("\r"), LINEEDIT_ENTER);
    assert_int_equal(keys("\n"), LINEEDIT_NONE); /* CR LF is one */
    assert_int_equal(keys("\n"), LINEEDIT_ENTER);
    assert_int_equal(keys("\n"), LINEEDIT_ENTER);
    assert_int_equal(keys("\t"), LINEEDIT_BELL); /* no completion there */
}

static void test_history(void **state)
{
    (void)state;
    enter("first");
    enter("second");
    enter("second");
    keys("new");
    keys("\x1b[A");
    expect("second", 6);
    keys("\x10");
    expect("first", 5);
    assert_int_equal(keys("\x1b[A"), LINEEDIT_BELL);
    keys("x");
    keys("\x1b[B");
    expect("second", 6);
    keys("\x0e");
    expect("new", 3);
    assert_int_equal(keys("\x0e"), LINEEDIT_BELL);
    keys("\x15");
    enter("third");
    keys("\x1bOA\x1bOA\x1bOA");
    expect("first", 5);
    keys("\x1bOB\x1bOB");
    expect("third", 5);
}

static void test_history_bound(void **state)
{
    char line[32];

    (void)state;
    for (int i = 0; i < 500; i++) {
        snprintf(line, sizeof(line), "command number %d", i);
        enter(line);
        assert_true(e.history_len <= LINEEDIT_HISTORY);
    }
    int back = 0;
    while (keys("\x10") == LINEEDIT_CHANGED)
        back++;
    assert_true(back > 20);
    snprintf(line, sizeof(line), "command number %d", 500 - back);
    expect(line, strlen(line));
    for (int n = 0; n < 20; n++) {
        lineedit_clear(&e, false);
        for (int i = 0; i < LINEEDIT_MAX - 1; i++)
            lineedit_key(&e, (char)('a' + n));
        lineedit_clear(&e, true);
    }
    assert_true(e.history_len <= LINEEDIT_HISTORY);
    keys("\x10");
    assert_int_equal(e.len, LINEEDIT_MAX - 1);
    assert_int_equal(e.text[0], 'a' + 19);
}

static bool colours(void *ctx, const char *line, size_t word, unsigned n, char *to, size_t size)
{
    static const char *const all[] = {"red", "green", "grey", "blue"};

    assert_ptr_equal(ctx, all[0] ? ctx : NULL);
    for (unsigned i = 0; i < 4; i++)
        if (!strncmp(all[i], line + word, strlen(line + word)) && n-- == 0) {
            snprintf(to, size, "%s", all[i]);
            return true;
        }
    return false;
}

static void test_completion(void **state)
{
    (void)state;
    e.complete = colours;
    keys("bl\t");
    expect("blue ", 5);
    assert_int_equal(keys("g\t"), LINEEDIT_CHANGED);
    expect("blue gre", 8);
    assert_int_equal(keys("\t"), LINEEDIT_LIST);
    expect("blue gre", 8);
    keys("y\t");
    expect("blue grey ", 10);
    assert_int_equal(keys("q\t"), LINEEDIT_BELL);
    expect("blue grey q", 11);
    lineedit_clear(&e, false);
    assert_int_equal(keys("\t"), LINEEDIT_LIST); /* all */
    keys("r x\x02\x02\t");
    expect("red  x", 4);
    lineedit_clear(&e, false);
    for (int i = 0; i < LINEEDIT_MAX - 4; i++)
        lineedit_key(&e, ' ');
    keys("bl");
    assert_int_equal(keys("\t"), LINEEDIT_BELL); /* no room */
    assert_int_equal(e.len, LINEEDIT_MAX - 2);
}

static void test_hostile_keys(void **state)
{
    (void)state;
    keys("ab");
    assert_int_equal(keys("\x1b[200;300;400;500;600~"), LINEEDIT_BELL);
    expect("ab", 2); /* nothing of the sequence is text */
    keys("\x1b\x1b\x1b[D");
    expect("ab", 1);
    keys("\x1bz\x1b[5~\x1b[1;5D");
    expect("ab", 1);
    keys("\x1b[\rx"); /* a control byte ends it */
    expect("axb", 2);
    assert_int_equal(keys("\xff"), LINEEDIT_BELL);
    assert_int_equal(keys("\xc3"), LINEEDIT_BELL);
    lineedit_key(&e, '\0');
    expect("axb", 2);
    srand(42);
    e.complete = colours;
    for (int i = 0; i < 300000; i++) {
        enum lineedit_event event =
            lineedit_key(&e, (char)(rand() % 3 ? rand() % 256 : "\x1b[AB\x10\x0e\t"[rand() % 7]));

        if (event == LINEEDIT_ENTER || event == LINEEDIT_CANCEL)
            lineedit_clear(&e, true);
        assert_true(e.len < LINEEDIT_MAX && e.cursor <= e.len);
        assert_int_equal(strlen(e.text), e.len);
        assert_true(e.browsing <= e.history_len && e.history_len <= LINEEDIT_HISTORY);
        for (size_t n = 0; n < e.len; n++)
            assert_true(e.text[n] >= ' ' && e.text[n] <= '~');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_insert_and_move, setup),
        cmocka_unit_test_setup(test_delete, setup),
        cmocka_unit_test_setup(test_full, setup),
        cmocka_unit_test_setup(test_events, setup),
        cmocka_unit_test_setup(test_history, setup),
        cmocka_unit_test_setup(test_history_bound, setup),
        cmocka_unit_test_setup(test_completion, setup),
        cmocka_unit_test_setup(test_hostile_keys, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
