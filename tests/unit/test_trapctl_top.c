// SPDX-License-Identifier: BSD-2-Clause
// trapctl's top: from two answers of a machine to rows, their order, and lines that fit.
// units: tools/trapctl/sample.c tools/trapctl/top_view.c tools/trapctl/text.c tools/trapctl/memory.c tools/trapctl/say.c
// units: tools/trapctl/term.c tools/trapctl/stream.c tools/trapctl/qmp.c tools/trapctl/ctl.c tools/trapctl/dial.c
// units: tools/trapctl/find.c tools/trapctl/open.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "top_view.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static json_t *json(const char *text)
{
    json_error_t e;
    json_t *j = json_loads(text, 0, &e);

    if (!j)
        fail_msg("%s: %s", e.text, text);
    return j;
}

#define VM(name, status) \
    "{\"name\":\"" name "\",\"status\":\"" status \
    "\",\"vcpus\":2,\"memory\":134217728,\"mapped\":4194304,\"uptime\":9}"
#define STATS(name, ran, exits, read) \
    "{\"vm\":\"" name "\",\"stats\":[{\"name\":\"ran-ns\",\"value\":" ran "}," \
    "{\"name\":\"exits.total\",\"value\":" exits \
    "},{\"name\":\"disk-0.read-bytes\",\"value\":" read "}," \
    "{\"name\":\"disk-1.read-bytes\",\"value\":" read "}," \
    "{\"name\":\"net-0.read-bytes\",\"value\":" read "}," \
    "{\"name\":\"net-0.write-bytes\",\"value\":" exits "},{\"name\":\"affinity\",\"value\":[1]}," \
    "{\"name\":\"weight\",\"value\":100}]}"
#define HOST(up, ran, idle) \
    "{\"uptime-ns\":" up ",\"harts\":[{\"id\":0,\"ran-ns\":" ran ",\"idle-ns\":" idle \
    "},{\"id\":1}]," \
    "\"memory\":{\"total\":2147483648,\"free\":1073741824,\"promised\":268435456," \
    "\"overcommitted\":1048576}}"

static struct sample before, now;
static struct sample_row *rows;

static int begin(void **state)
{
    (void)state;
    before = (struct sample){
        .vms = json("[" VM("a", "running") "," VM("b", "paused") "]"),
        .stats = json(
            "[" STATS("a", "1000000000", "100", "0") "," STATS("b", "5000000000", "9", "0") "]"),
        .host = json(HOST("10000000000", "1000000000", "9000000000")),
    };
    now = (struct sample){
        .vms = json("[" VM("a", "running") "," VM("b", "paused") "," VM("c", "prelaunch") "]"),
        .stats = json(
            "[" STATS("a", "4000000000", "300", "1024") "," STATS("b", "1000000000", "9", "0") "]"),
        .vcpus = json(
            "[{\"vm\":\"a\",\"qom-path\":\"/a/vcpu1\",\"stats\":[{\"name\":\"ran-ns\",\"value\":"
            "2000000000},{\"name\":\"hart\",\"value\":3}]}]"),
        .host = json(HOST("12000000000", "2500000000", "9500000000")),
    };
    rows = NULL;
    return 0;
}

static int end(void **state)
{
    (void)state;
    sample_free(&before);
    sample_free(&now);
    free(rows);
    return 0;
}

static void test_rows(void **state)
{
    size_t count = sample_rows(&before, &now, &rows);

    (void)state;
    assert_int_equal(count, 4);
    assert_string_equal(rows[0].vm, "a");
    assert_true(rows[0].value[SAMPLE_CPU] == 150); /* 3 s in 2 */
    assert_true(rows[0].value[SAMPLE_EXITS] == 100);
    assert_true(rows[0].value[SAMPLE_READ] == 1024); /* of both disks */
    assert_true(rows[0].value[SAMPLE_RECEIVED] == 512); /* what the guest read */
    assert_true(rows[0].value[SAMPLE_SENT] == 100);
    assert_string_equal(rows[0].harts, "1");
    assert_false(rows[0].unrated);
    assert_true(rows[0].value[SAMPLE_MAPPED] == 4194304);
    assert_int_equal(rows[1].vcpu, 1);
    assert_true(rows[1].unrated); /* the last look had no vCPUs */
    assert_true(rows[1].value[SAMPLE_TIME] == 2e9);
    assert_string_equal(rows[1].harts, "3");
    /* A counter that went down began anew. */
    assert_string_equal(rows[2].state, "paused");
    assert_true(rows[2].value[SAMPLE_CPU] == 50);
    assert_string_equal(rows[3].state, "off");
    assert_string_equal(rows[3].harts, "all");
    assert_true(rows[3].value[SAMPLE_CPU] == 0);
}

/* A vCPU's share is known from the second look that has it on. */
static void test_vcpu_rates(void **state)
{
    (void)state;
    before.vcpus = json("[{\"vm\":\"a\",\"qom-path\":\"/a/vcpu1\",\"stats\":[{\"name\":\"ran-ns\","
                        "\"value\":1000000000}]}]");
    sample_rows(&before, &now, &rows);
    assert_false(rows[1].unrated);
    assert_true(rows[1].value[SAMPLE_CPU] == 50);
}

static void test_machine(void **state)
{
    struct top_view v = {0};
    struct sample_host h;
    char *out = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&out, &len);

    (void)state;
    sample_host(&before, &now, &h);
    assert_int_equal(h.vms, 3);
    assert_int_equal(h.running, 1);
    assert_true(h.seconds == 2);
    top_put_machine(&v, &h, 0, to);
    fputc('\n', to);
    top_put_machine(&v, &h, 1, to);
    fputc('\n', to);
    v.columns = 10;
    top_put_machine(&v, &h, 1, to);
    fclose(to);
    assert_string_equal(
        out,
        "harts   2, 38 % busy: 75 0\n"
        "memory  2.0 GiB, 1.0 GiB free; 256 MiB promised to 3 VMs, 1.0 MiB of it overcommitted\n"
        "memory  2.");
    free(out);
}

static void test_nothing_known(void **state)
{
    struct sample none = {0};
    struct sample_host h;

    (void)state;
    assert_int_equal(sample_rows(&none, &none, &rows), 0);
    sample_host(&none, &now, &h); /* the first look: since the start */
    assert_true(h.seconds == 12);
    sample_host(&now, &none, &h); /* and a clock that went back is no division by it */
    assert_true(h.harts == 0);
}

static void check_order(struct top_view v, const char *expected)
{
    struct sample_row r[] = {
        {.vm = "b", .vcpu = -1, .state = "running", .value = {[SAMPLE_CPU] = 5}},
        {.vm = "b", .vcpu = 0, .value = {[SAMPLE_CPU] = 99}},
        {.vm = "b", .vcpu = 1, .value = {[SAMPLE_CPU] = 1}},
        {.vm = "c", .vcpu = -1, .state = "off", .value = {[SAMPLE_CPU] = 5}},
        {.vm = "a", .vcpu = -1, .state = "paused", .value = {[SAMPLE_CPU] = 50}},
        {.vm = "a", .vcpu = 0, .value = {[SAMPLE_CPU] = 0}},
    };
    char order[32] = "";

    top_sort(&v, r, COUNT(r));
    for (unsigned i = 0; i < COUNT(r); i++) {
        if (r[i].vcpu < 0)
            strcat(order, r[i].vm);
        else
            sprintf(order + strlen(order), "%d", r[i].vcpu);
    }
    assert_string_equal(order, expected);
}

static void test_order(void **state)
{
    (void)state;
    check_order((struct top_view){.sort = (unsigned)top_column_find("cpu")}, "a0b01c");
    check_order((struct top_view){.sort = (unsigned)top_column_find("%CPU"), .reversed = true},
                "b01ca0");
    check_order((struct top_view){.sort = (unsigned)top_column_find("name")}, "a0b01c");
    check_order((struct top_view){.sort = (unsigned)top_column_find("state"), .reversed = true},
                "b01a0c");
    assert_int_equal(top_column_find("size"), -1);
    assert_int_equal(top_column_find(""), -1);
}

/* Whatever the width, lines fit, headings and rows agree, and the sorted column is there. */
static void test_widths(void **state)
{
    struct sample_row r = {.vm = "a-name-of-thirty-one-characters", .vcpu = -1, .state = "running"};

    (void)state;
    for (unsigned i = 0; i < SAMPLE_VALUES; i++)
        r.value[i] = 12345678901.0;
    strcpy(r.harts, "0,2,4,6,8,10,12");
    r.value[SAMPLE_CPU] = 100;
    r.value[SAMPLE_WAIT] = r.value[SAMPLE_CAPPED] = r.value[SAMPLE_CAP] = 100;
    r.value[SAMPLE_UPTIME] = 86400.0 * 365 * 9;
    r.value[SAMPLE_TIME] = 1e9 * 86400 * 365 * 9;
    r.value[SAMPLE_WEIGHT] = r.value[SAMPLE_VCPUS] = 8;
    for (unsigned sort = 0; sort < top_column_count; sort++)
        for (unsigned columns = 40; columns < 200; columns++) {
            struct top_view v = {.sort = sort, .columns = columns};
            char *out = NULL, *second;
            size_t len = 0;
            FILE *to = open_memstream(&out, &len);

            top_put_headings(&v, to);
            fputc('\n', to);
            top_put_row(&v, &r, to);
            fclose(to);
            second = strchr(out, '\n') + 1;
            assert_true((size_t)(second - out) - 1 <= columns);
            assert_true(strlen(second) <= columns);
            assert_true(top_column_shown(&v, sort));
            free(out);
        }
}

static void test_json(void **state)
{
    struct sample_row r = {.vm = "a", .vcpu = 1, .value = {[SAMPLE_CPU] = 12.5}};
    json_t *j = top_row_json(&r);

    (void)state;
    assert_true(json_number_value(json_object_get(j, "cpu")) == 12.5);
    assert_int_equal(json_integer_value(json_object_get(j, "vcpu")), 1);
    assert_null(json_object_get(j, "memory")); /* a vCPU has none of its own */
    json_decref(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rows, begin, end),
        cmocka_unit_test_setup_teardown(test_vcpu_rates, begin, end),
        cmocka_unit_test_setup_teardown(test_machine, begin, end),
        cmocka_unit_test_setup_teardown(test_nothing_known, begin, end),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_widths),
        cmocka_unit_test(test_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
