// SPDX-License-Identifier: BSD-2-Clause
// JSON: what is taken and what is refused, strings and numbers by value, and writing that reads back.
// units: hyp/ctl/json.c hyp/ctl/json_write.c tests/fake/fake_base.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include "ctl/json.h"
#include "ctl/utf8.h"

static struct json j;

static int parse(const char *text)
{
    static char *copy; /* exactly as long: a read past its end is seen */
    size_t len = strlen(text);

    free(copy);
    copy = malloc(len ? len : 1);
    memcpy(copy, text, len);
    return json_parse(&j, copy, len);
}

static void test_taken(void **state)
{
    static const char *const good[] = {"{}",
                                       "[]",
                                       " { } ",
                                       "{\"a\": 1}",
                                       "[1, 2, [3], {\"x\": null}]",
                                       "{\"a\": {\"b\": [true, false, null]}}",
                                       "[-1, 0, 1.5, 1e9, -2.5E-3, 0.0]",
                                       "[\"\\u00e9\\n\\\\\\\"\\/\", \"\"]",
                                       "{\"a\": \"b\", \"c\": \"d\"}"};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(good); i++)
        assert_int_equal(parse(good[i]), 0);
}

static void test_refused(void **state)
{
    static const char *const bad[] = {"",
                                      " ",
                                      "{",
                                      "}",
                                      "[",
                                      "]",
                                      "{]",
                                      "[}",
                                      "{\"a\"}",
                                      "{\"a\": }",
                                      "{\"a\": 1 \"b\": 2}",
                                      "{\"a\" \"b\"}",
                                      "{1: 2}",
                                      "{a: 1}",
                                      "[tru]",
                                      "[truex]",
                                      "[nul]",
                                      "[01]",
                                      "[1.]",
                                      "[.5]",
                                      "[+1]",
                                      "[-]",
                                      "[1e]",
                                      "[1e+]",
                                      "[--1]",
                                      "[\"\\x\"]",
                                      "[\"\\u12g4\"]",
                                      "[\"\\u12\"]",
                                      "[\"",
                                      "[\"a",
                                      "[\"a\\",
                                      "[\"a\nb\"]",
                                      "{} {}",
                                      "{}1",
                                      "\"a\": 1",
                                      "{\"a\": 1}}",
                                      "{{}}",
                                      "{[]: 1}",
                                      "{\"a\": 1: 2}",
                                      "[\"a\": 1]",
                                      "{\"a\": \"b\": \"c\"}"};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
        if (parse(bad[i]) != -EINVAL)
            fail_msg("taken: %s", bad[i]);
    assert_int_equal(json_parse(&j, "{}\0", 3), -EINVAL);
}

static void test_too_many(void **state)
{
    char text[2 * JSON_TOKENS + 3] = "[";

    (void)state;
    for (unsigned i = 0; i < JSON_TOKENS - 1; i++)
        strcat(text, i ? ",1" : "1");
    strcat(text, "]");
    assert_int_equal(parse(text), 0);
    text[strlen(text) - 1] = '\0';
    strcat(text, ",1]");
    assert_int_equal(parse(text), -E2BIG);
}

static void test_members(void **state)
{
    uint64_t v;
    bool b;

    (void)state;
    assert_int_equal(
        parse("{\"a\": {\"b\": 7, \"a\": 8}, \"b\": 9, \"t\": true, \"b\": 10, \"\": 11}"), 0);
    assert_int_equal(json_u64(&j, json_member(&j, JSON_ROOT, "b"), &v), 0);
    assert_int_equal(v, 9);
    assert_int_equal(json_u64(&j, json_member(&j, json_member(&j, JSON_ROOT, "a"), "a"), &v), 0);
    assert_int_equal(v, 8);
    assert_int_equal(json_u64(&j, json_member(&j, JSON_ROOT, ""), &v), 0);
    assert_int_equal(v, 11);
    assert_int_equal(json_bool(&j, json_member(&j, JSON_ROOT, "t"), &b), 0);
    assert_true(b);
    assert_int_equal(json_bool(&j, json_member(&j, JSON_ROOT, "b"), &b), -EINVAL);
    assert_int_equal(json_member(&j, JSON_ROOT, "c"), -ENOENT);
    assert_int_equal(json_member(&j, json_member(&j, JSON_ROOT, "b"), "b"), -ENOENT);
    assert_int_equal(json_member(&j, -1, "b"), -ENOENT);
    assert_int_equal(json_u64(&j, -ENOENT, &v), -EINVAL);
}

static void test_numbers(void **state)
{
    uint64_t v;

    (void)state;
    assert_int_equal(parse("[18446744073709551615, 18446744073709551616, -1, 1.0, 1e3, \"1\", 0]"),
                     0);
    assert_int_equal(json_u64(&j, 1, &v), 0);
    assert_true(v == UINT64_MAX);
    assert_int_equal(json_u64(&j, 2, &v), -ERANGE);
    for (int i = 3; i <= 6; i++)
        assert_int_equal(json_u64(&j, i, &v), -EINVAL);
    assert_int_equal(json_u64(&j, 7, &v), 0);
    assert_int_equal(v, 0);
}

static void check_string(const char *text, int result, const char *value)
{
    char to[16] = "?";

    assert_int_equal(parse(text), 0);
    assert_int_equal(json_string(&j, 1, to, sizeof(to)), result);
    if (result >= 0)
        assert_string_equal(to, value);
}

static void test_strings(void **state)
{
    (void)state;
    check_string("[\"abc\"]", 3, "abc");
    check_string("[\"\"]", 0, "");
    check_string("[\"\\b\\f\\n\\r\\t\\/\\\\\\\"\"]", 8, "\b\f\n\r\t/\\\"");
    check_string("[\"\\u0041\\u00e9\\u20AC\"]", 6, "A\xc3\xa9\xe2\x82\xac");
    check_string("[\"\\ud83d\\ude00\"]", 4, "\xf0\x9f\x98\x80");
    check_string("[\"\\ud83d\"]", 3, "\xef\xbf\xbd");
    check_string("[\"\\ud83dx\"]", 4, "\xef\xbf\xbdx");
    check_string("[\"\\ude00\\u0041\"]", 4,
                 "\xef\xbf\xbd"
                 "A");
    check_string("[\"\\u0000\"]", -EINVAL, "");
    check_string("[\"0123456789abcde\"]", 15, "0123456789abcde");
    check_string("[\"0123456789abcdef\"]", -ENOSPC, "");
    check_string("[\"0123456789abc\\u20ac\"]", -ENOSPC, "");
    check_string("[12]", -EINVAL, "");
    check_string("[[]]", -EINVAL, "");
}

static char written[512];

static void put(void *ctx, const char *data, size_t len)
{
    size_t have = strlen(written);

    (void)ctx;
    assert_true(have + len < sizeof(written));
    memcpy(written + have, data, len);
    written[have + len] = '\0';
}

static struct json_out writer(void)
{
    written[0] = '\0';
    return (struct json_out){.put = put};
}

static void test_written(void **state)
{
    struct json_out o = writer();

    (void)state;
    json_begin_object(&o, NULL);
    json_put_string(&o, "s", "a\"b\\c\nd\x01\x7f\xc3\xa9\xff");
    json_begin_array(&o, "a");
    json_put_u64(&o, NULL, UINT64_MAX);
    json_put_i64(&o, NULL, INT64_MIN);
    json_begin_object(&o, NULL);
    json_end_object(&o);
    json_put_bool(&o, NULL, false);
    json_put_null(&o, NULL);
    json_end_array(&o);
    json_put_bool(&o, "t\"", true);
    json_end_object(&o);
    assert_string_equal(
        written,
        "{\"s\": \"a\\\"b\\\\c\\nd\\u0001\\u007f\xc3\xa9\\ufffd\", \"a\": [18446744073709551615, "
        "-9223372036854775808, {}, false, null], \"t\\\"\": true}");
    assert_int_equal(parse(written), 0);
}

static void test_copied(void **state)
{
    struct json_out o = writer();

    (void)state;
    assert_int_equal(parse("{\"id\": {\"a\": [1, \"x\\n\"]}, \"s\": \"q\", \"n\": 12}"), 0);
    json_begin_object(&o, NULL);
    json_put_copy(&o, "id", &j, json_member(&j, JSON_ROOT, "id"));
    json_put_copy(&o, "s", &j, json_member(&j, JSON_ROOT, "s"));
    json_put_copy(&o, "n", &j, json_member(&j, JSON_ROOT, "n"));
    json_end_object(&o);
    assert_string_equal(written, "{\"id\": {\"a\": [1, \"x\\n\"]}, \"s\": \"q\", \"n\": 12}");
}

static void test_utf8(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
    } cases[] = {{"a", 1},
                 {"\x7f", 1},
                 {"\x80", 0},
                 {"\xc0\x80", 0},
                 {"\xc1\xbf", 0},
                 {"\xc2\x80", 2},
                 {"\xc2", 0},
                 {"\xc2x", 0},
                 {"\xe0\x9f\x80", 0},
                 {"\xe0\xa0\x80", 3},
                 {"\xed\x9f\xbf", 3},
                 {"\xed\xa0\x80", 0},
                 {"\xf0\x8f\x80\x80", 0},
                 {"\xf0\x90\x80\x80", 4},
                 {"\xf4\x8f\xbf\xbf", 4},
                 {"\xf4\x90\x80\x80", 0},
                 {"\xf5\x80\x80\x80", 0},
                 {"\xff", 0}};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(utf8_length(cases[i].bytes, strlen(cases[i].bytes)), cases[i].length);
    assert_int_equal(utf8_whole("ab", 2), 2);
    assert_int_equal(utf8_whole("a\xe2", 2), 1);
    assert_int_equal(utf8_whole("a\xe2\x82", 3), 1);
    assert_int_equal(utf8_whole("a\xe2\x82\xac", 4), 4);
    assert_int_equal(utf8_whole("a\xf0\x9f\x98", 4), 1);
    assert_int_equal(utf8_whole("\x80\x80\x80\x80", 4), 4); /* never one: nothing to wait for */
    assert_int_equal(utf8_whole("\xc3\x28", 2), 2);
    assert_int_equal(utf8_whole("", 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken),    cmocka_unit_test(test_refused),
        cmocka_unit_test(test_too_many), cmocka_unit_test(test_members),
        cmocka_unit_test(test_numbers),  cmocka_unit_test(test_strings),
        cmocka_unit_test(test_written),  cmocka_unit_test(test_copied),
        cmocka_unit_test(test_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
