// SPDX-License-Identifier: BSD-2-Clause
// trapctl's words and numbers: what is printed, what is taken and refused, splitting, UTF-8, options, escapes, base64, bars.
// units: tools/trapctl/text.c tools/trapctl/args.c tools/trapctl/escape.c tools/trapctl/base64.c tools/trapctl/table.c
// units: tools/trapctl/near.c tools/trapctl/memory.c tools/trapctl/say.c tools/trapctl/progress.c tools/trapctl/term.c tools/trapctl/stream.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "args.h"
#include "base64.h"
#include "escape.h"
#include "near.h"
#include "progress.h"
#include "table.h"
#include "text.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static void test_bytes(void **state)
{
    static const struct {
        uint64_t n;
        const char *text;
    } c[] = {{0, "0"},
             {1, "1 B"},
             {1023, "1023 B"},
             {1024, "1.0 KiB"},
             {10 << 20, "10.0 MiB"},
             {99u << 20, "99.0 MiB"},
             {128u << 20, "128 MiB"},
             {3ull << 29, "1.5 GiB"},
             {UINT64_MAX, "16.0 EiB"}};
    char to[TEXT_NUMBER];

    (void)state;
    for (unsigned i = 0; i < COUNT(c); i++)
        assert_string_equal(text_bytes(c[i].n, to), c[i].text);
}

static void test_counts_and_times(void **state)
{
    char to[TEXT_NUMBER];

    (void)state;
    assert_string_equal(text_count(0, to), "0");
    assert_string_equal(text_count(-3, to), "0");
    assert_string_equal(text_count(9999, to), "9999");
    assert_string_equal(text_count(12345, to), "12.3k");
    assert_string_equal(text_count(999999, to), "1.00M");
    assert_string_equal(text_count(5012345, to), "5.01M");
    assert_true(strlen(text_count(1e300, to)) < TEXT_NUMBER);
    assert_string_equal(text_duration(63, to), "0:01:03");
    assert_string_equal(text_duration(3 * 86400 + 4 * 3600 + 5 * 60 + 6, to), "3d 04:05:06");
    assert_true(strlen(text_duration(UINT64_MAX, to)) < TEXT_NUMBER);
    assert_string_equal(text_cpu_time(63250000000, to), "1:03.25");
    assert_true(strlen(text_cpu_time(UINT64_MAX, to)) < TEXT_NUMBER);
}

static void test_numbers(void **state)
{
    static const char *const bad[] = {
        "", "-1", "+1", " 1", "1 ", "0x", "0xg", "1x", "x", "0x 1", "18446744073709551616"};
    static const char *const bad_sizes[] = {
        "", "G", "-1", "1.5G", "1GB", "1 G", "0x10", "4194305T", "18446744073709551616", "1E"};
    uint64_t n;
    unsigned ms;

    (void)state;
    for (unsigned i = 0; i < COUNT(bad); i++)
        assert_false(text_u64(bad[i], &n));
    assert_true(text_u64("18446744073709551615", &n) && n == UINT64_MAX);
    assert_true(text_u64("0xffffffffffffffff", &n) && n == UINT64_MAX);
    assert_true(text_u64("010", &n) && n == 10); /* no octal surprises */
    assert_true(text_size("512", &n) && n == 512);
    assert_true(text_size("64k", &n) && n == 65536);
    assert_true(text_size("10G", &n) && n == 10ull << 30);
    assert_true(text_size("4194304T", &n) && n == 1ull << 62);
    for (unsigned i = 0; i < COUNT(bad_sizes); i++)
        assert_false(text_size(bad_sizes[i], &n));
    assert_true(text_interval("2", &ms) && ms == 2000);
    assert_true(text_interval(".25", &ms) && ms == 250);
    assert_true(text_interval("3600", &ms) && ms == 3600000);
    assert_false(text_interval("0", &ms));
    assert_false(text_interval("3601", &ms));
    assert_false(text_interval("1s", &ms));
    assert_false(text_interval("nan", &ms));
    assert_false(text_interval("-1", &ms));
    assert_false(text_interval("", &ms));
}

static void test_harts(void **state)
{
    static const char *const bad[] = {"",    "a",  "1,",   ",1", "1-",   "-1",
                                      "3-1", "16", "0-16", "1 ", "1--2", "99999999999"};
    unsigned h[16];
    bool has[16] = {[0] = true, [2] = true, [3] = true, [15] = true};
    char to[32];

    (void)state;
    for (unsigned i = 0; i < COUNT(bad); i++)
        assert_int_equal(text_harts(bad[i], h, 16), -1);
    assert_int_equal(text_harts("2-3,0,3,15", h, 16), 4);
    assert_true(h[0] == 0 && h[1] == 2 && h[2] == 3 && h[3] == 15);
    assert_string_equal(text_hart_list(has, 16, to, sizeof(to)), "0,2-3,15");
    text_hart_list(has, 16, to, 4); /* too small: cut, not overrun */
    assert_string_equal(to, "0,2");
}

static void check_split(const char *line, int count, const char *const expected[])
{
    char copy[128], *word[4];

    strcpy(copy, line);
    assert_int_equal(text_split(copy, word, 4), count);
    for (int i = 0; i < count; i++)
        assert_string_equal(word[i], expected[i]);
}

static void test_split(void **state)
{
    (void)state;
    check_split("", 0, NULL);
    check_split("  \t ", 0, NULL);
    check_split(" a  b ", 2, (const char *[]){"a", "b"});
    check_split("exec q '{\"vm\": \"a\"}'", 3, (const char *[]){"exec", "q", "{\"vm\": \"a\"}"});
    check_split("a\"b c\"d ''", 2, (const char *[]){"ab cd", ""});
    check_split("\"a\\\"b\" c\\ d 'e\\'", 3, (const char *[]){"a\"b", "c d", "e\\"});
    check_split("\"open", -1, NULL);
    check_split("a b c d e", -1, NULL);
    check_split("a\\", 1, (const char *[]){"a\\"});
}

static void check_safe(const char *text, const char *expected)
{
    char *out = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&out, &len);

    text_put_safe(to, text);
    fclose(to);
    assert_string_equal(out, expected);
    free(out);
}

static void test_safe(void **state)
{
    (void)state;
    check_safe("plain\ttext\n", "plain\ttext\n");
    check_safe("\033[2J\r\007\177", "?[2J???");
    check_safe("h\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80", "h\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80");
    check_safe("\xC2\x9B"
               "2J",
               "?2J"); /* CSI in one character */
    check_safe("\xC0\xAF\xED\xA0\x80\xF8\xFF\xE2\x82", "?????????");
}

static void test_whole_utf8(void **state)
{
    char cut[] = "a\xE2\x82",
         bad[] = "\xFF"
                 "a\x80\xC3\x28",
         whole[] = "\xC3\xA4";

    (void)state;
    assert_int_equal(text_whole_utf8(cut, 3), 1);
    assert_int_equal(text_whole_utf8(bad, 5), 5);
    assert_string_equal(bad, "?a?"
                             "?(");
    assert_int_equal(text_whole_utf8(whole, 2), 2);
    assert_int_equal(text_whole_utf8(whole, 0), 0);
}

/* ---- options ---- */

static const struct args_option own[] = {
    {'n', "lines", "N", "how many"}, {0, "now", NULL, "soon"}, {0}};
static const struct args_option shared[] = {{'j', "json", NULL, "as JSON"}, {0}};
static struct args a, g;
static char why[128];

static int parse(int argc, char **argv, bool until_word)
{
    struct args_set set[2] = {{own, &a}, {shared, &g}};

    memset(&a, 0, sizeof(a));
    memset(&g, 0, sizeof(g));
    return args_parse(set, argc, argv, until_word, why, sizeof(why));
}
#define PARSE(...) parse((int)COUNT(((char *[]){__VA_ARGS__})), (char *[]){__VA_ARGS__}, false)

static void test_args(void **state)
{
    char *before_word[] = {"-j", "ps", "-n"};

    (void)state;
    assert_int_equal(PARSE("one", "-n", "3", "two", "--json"), 5);
    assert_int_equal(a.words, 2);
    assert_string_equal(a.word[1], "two");
    assert_null(a.word[2]);
    assert_string_equal(a.value[0], "3");
    assert_null(a.value[1]);
    assert_non_null(g.value[0]);
    assert_int_equal(PARSE("-jn3", "--now"), 2);
    assert_string_equal(a.value[0], "3");
    assert_int_equal(PARSE("--lines=", "-", "--", "--now"), 4);
    assert_string_equal(a.value[0], "");
    assert_int_equal(a.words, 2);
    assert_string_equal(a.word[1], "--now");
    assert_null(a.value[1]);
    assert_int_equal(parse(3, before_word, true), 1);
    assert_int_equal(a.words, 0);
}

static void test_bad_args(void **state)
{
    char *many[ARGS_WORDS + 1];

    (void)state;
    assert_int_equal(PARSE("--line=3"), -1);
    assert_string_equal(why, "there is no option --line");
    assert_int_equal(PARSE("-x"), -1);
    assert_int_equal(PARSE("-n"), -1);
    assert_int_equal(PARSE("--lines"), -1);
    assert_string_equal(why, "--lines wants a value: --lines=N");
    assert_int_equal(PARSE("--now=3"), -1);
    for (unsigned i = 0; i < COUNT(many); i++)
        many[i] = "w";
    assert_int_equal(parse(ARGS_WORDS, many, false), ARGS_WORDS);
    assert_int_equal(parse(ARGS_WORDS + 1, many, false), -1);
}

/* ---- small ones ---- */

static void check_escape(const char *typed, const char *sent, bool leaves)
{
    struct escape e = {0};
    char to[64];
    bool leave;
    size_t n = escape_filter(&e, typed, strlen(typed), to, &leave), m = 0;

    assert_int_equal(n, strlen(sent));
    assert_memory_equal(to, sent, n);
    assert_int_equal(leave, leaves);
    /* The same a byte at a time. */
    e = (struct escape){0};
    leave = false;
    for (size_t i = 0; i < strlen(typed) && !leave; i++)
        m += escape_filter(&e, typed + i, 1, to + m, &leave);
    assert_int_equal(m, n);
    assert_memory_equal(to, sent, n);
    assert_int_equal(leave, leaves);
}

static void test_escape(void **state)
{
    (void)state;
    check_escape("ls\r", "ls\r", false);
    check_escape("ls\x1Drest", "ls", true);
    check_escape("~.", "", true);
    check_escape("ls\r~.x", "ls\r", true);
    check_escape("ls~.", "ls~.", false);
    check_escape("~~.\r~x", "~.\r~x", false);
    check_escape("cd ~\r~/bin\r", "cd ~\r~/bin\r", false);
    check_escape("~\r~.", "~\r", true);
    /* Where the cursor is, as the terminal says it. Keys that send sequences are typed. */
    check_escape("ls\r\x1b[24;10R~.", "ls\r\x1b[24;10R", true);
    check_escape("ls\x1b[24;10R~.", "ls\x1b[24;10R~.", false);
    check_escape("\r\x1b[A~.", "\r\x1b[A~.", false);
    check_escape("\r\x1b[R\x1b\x1b[1R~.", "\r\x1b[R\x1b\x1b[1R~.", false);
    check_escape("\r\x1bR~.", "\r\x1bR~.", false);
    check_escape("\r\x1b[12~.", "\r\x1b[12~.", false);
}

static void test_base64(void **state)
{
    static const char *const pair[][2] = {{"", ""},
                                          {"f", "Zg=="},
                                          {"fo", "Zm8="},
                                          {"foo", "Zm9v"},
                                          {"foob", "Zm9vYg=="},
                                          {"fooba", "Zm9vYmE="},
                                          {"foobar", "Zm9vYmFy"},
                                          {"\xFF\xEF\xBF", "/++/"}};
    static const char *const bad[] = {
        "Z", "Zg", "Zg=", "Z===", "====", "Zg==Zg==", "Z g=", "Zm9v\n", "Zm-_"};
    unsigned char out[16];
    size_t out_len;
    char *in, *to;

    (void)state;
    for (unsigned i = 0; i < COUNT(bad); i++)
        assert_false(base64_decode(bad[i], strlen(bad[i]), out, &out_len));
    assert_false(base64_decode("Zm\0v", 4, out, &out_len));
    for (unsigned i = 0; i < COUNT(pair);
         i++) { /* RFC 4648, section 10; buffers as long as they must be */
        size_t len = strlen(pair[i][0]);

        in = malloc(len + 1);
        memcpy(in, pair[i][0], len);
        to = malloc(base64_length(len) + 1);
        base64_encode(in, len, to);
        assert_string_equal(to, pair[i][1]);
        assert_int_equal(strlen(to), base64_length(len));
        assert_true(base64_decode(to, strlen(to), out, &out_len));
        assert_int_equal(out_len, len);
        assert_memory_equal(out, in, len);
        free(in);
        free(to);
    }
}

static void test_progress(void **state)
{
    struct progress p = {.what = "x.itb", .total = 100 << 20};
    char line[256], small[16];

    (void)state;
    progress_line(&p, 25 << 20, 5000, 80, line, sizeof(line));
    assert_string_equal(
        line, "x.itb [##########------------------------------]  25 %  5.0 MiB/s  0:00:15 left");
    assert_true(strlen(line) < 80);
    progress_line(&p, 100 << 20, 5000, 200, line, sizeof(line));
    assert_non_null(strstr(line, "100 %"));
    progress_line(&p, 0, 0, 30, line, sizeof(line));
    assert_string_equal(line, "x.itb   0 %");
    progress_line(&p, 1, 1, 1, small, sizeof(small));
    p.total = 0;
    progress_line(&p, 0, 0, 80, line, sizeof(line));
    assert_non_null(strstr(line, "100 %"));
}

static void test_table(void **state)
{
    static const char *const heads[] = {"NAME", ">SIZE", "WHY", NULL};
    static const char *const cells[] = {"a", "1", "", "longer", "1000000", "x\033y"};
    struct table t;
    char *out = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&out, &len);

    (void)state;
    table_begin(&t, heads);
    for (unsigned i = 0; i < COUNT(cells); i++)
        table_add(&t, "%s", cells[i]);
    table_end(&t, to);
    table_begin(&t, heads);
    table_end(&t, to);
    fclose(to);
    assert_string_equal(out, "NAME       SIZE  WHY\n"
                             "a             1\n"
                             "longer  1000000  x?y\n"
                             "NAME  SIZE  WHY\n");
    free(out);
}

static void test_near_names(void **state)
{
    (void)state;
    assert_true(near_names("query-stat", "query-stats"));
    assert_true(near_names("stats", "query-stats"));
    assert_true(near_names("sysreq", "sysrq"));
    assert_true(near_names("qurey-vms", "query-vms"));
    assert_false(near_names("sysreq", "stop"));
    assert_false(near_names("vm", "vm-stop")); /* too short to be meant by */
    assert_false(near_names("make-coffee", "query-host"));
    assert_false(near_names("0123456789012345678901234567890123456789x", "query-host"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),      cmocka_unit_test(test_counts_and_times),
        cmocka_unit_test(test_numbers),    cmocka_unit_test(test_harts),
        cmocka_unit_test(test_split),      cmocka_unit_test(test_safe),
        cmocka_unit_test(test_whole_utf8), cmocka_unit_test(test_args),
        cmocka_unit_test(test_bad_args),   cmocka_unit_test(test_escape),
        cmocka_unit_test(test_base64),     cmocka_unit_test(test_progress),
        cmocka_unit_test(test_table),      cmocka_unit_test(test_near_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
