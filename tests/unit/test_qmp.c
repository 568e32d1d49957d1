// SPDX-License-Identifier: BSD-2-Clause
// The machine protocol: a client's bytes in, answers out, on VMs in every state.
// units: tests/fake/ctl.units tests/fake/fake_fault.c tests/fake/fake_client.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "boot/platform.h"
#include "ctl/command.h"
#include "ctl/console.h"
#include "fake_client.h"
#include "fake_heap.h"
#include "fake_shell.h"
#include "fake_vm.h"

static struct vm *on, *off, *held, *dead;

static int setup(void **state)
{
    (void)state;
    fake_vms_start();
    fake_shell_start();
    fake_vms_states(&on, &off, &held, &dead);
    snprintf(dead->end_reason, sizeof(dead->end_reason), "it \"went\" wrong");
    fake_client_begin(true);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_client_end();
    fake_vms_end();
    return 0;
}

/* ---- messages ---- */

#define LACKS_NEGOTIATION \
    "{\"error\": {\"class\": \"CommandNotFound\", " \
    "\"desc\": \"Expecting capabilities negotiation with 'qmp_capabilities'\"}"
#define GENERIC(desc) "{\"error\": {\"class\": \"GenericError\", \"desc\": \"" desc "\"}}\r\n"

static void test_negotiation(void **state)
{
    (void)state;
    fake_client_end();
    fake_client_begin(false);
    fake_expect("{\"execute\": \"query-status\", \"id\": 7}", LACKS_NEGOTIATION ", \"id\": 7}\r\n");
    fake_expect("{\"execute\": \"nonsense\"}", LACKS_NEGOTIATION "}\r\n");
    fake_expect(
        "{\"execute\": \"qmp_capabilities\", \"arguments\": {\"enable\": []}, \"id\": \"a\\n\"}",
        "{\"return\": {}, \"id\": \"a\\n\"}\r\n");
    fake_expect_part("{\"execute\": \"qmp_capabilities\"}", "negotiation is already complete");
    fake_expect_part("{\"execute\": \"query-version\"}", "\"return\": {\"qemu\"");
}

static void test_bad_messages(void **state)
{
    (void)state;
    fake_expect("{]", GENERIC("Invalid JSON syntax"));
    fake_expect("}", GENERIC("Invalid JSON syntax"));
    fake_expect("hello\n", GENERIC("Invalid JSON syntax"));
    fake_expect("42\n", GENERIC("QMP input lacks member 'execute'"));
    fake_expect("[]", GENERIC("QMP input lacks member 'execute'"));
    fake_expect("{}", GENERIC("QMP input lacks member 'execute'"));
    fake_expect("{\"execute\": 1}",
                GENERIC("QMP input member 'execute' must be a string, the name of a command"));
    fake_expect_part("{\"execute\": \"stop\", \"arguments\": []}", "'arguments' must be an object");
    /* An answer is one line, whatever the id's own blanks are. */
    fake_expect_part("{\"execute\": \"stop\", \"more\": 1, \"id\": [1,\r\n {}]}",
                     "besides 'execute'");
    assert_non_null(strstr(fake_sent, "\"id\": [1,   {}]}"));
    fake_expect_part("{\"execute\": \"stop\", \"more\": 1, \"id\": [1, {}]}", "besides 'execute'");
    assert_non_null(strstr(fake_sent, "\"id\": [1, {}]}"));
    fake_expect("{\"execute\": \"stopp\"}",
                "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": "
                "\"The command stopp has not been found\"}}\r\n");
    fake_expect("{\"execute\": \"a\nb\"}\n",
                GENERIC("Invalid JSON syntax") GENERIC("Invalid JSON syntax"));
    fake_expect_part("{\"execute\": \"query-version\"}", "\"return\""); /* and all goes on */
}

static void test_pieces(void **state)
{
    static const char text[] =
        " \n{\"execute\": \"query-status\", \"arguments\": {\"vm\": \"on\"}, \"id\": \"}\\\"{\"}";

    (void)state;
    for (unsigned i = 0; i + 1 < sizeof(text) - 1; i++)
        assert_string_equal(fake_ask_bytes(text + i, 1), "");
    assert_string_equal(
        fake_ask_bytes("}", 1),
        "{\"return\": {\"status\": \"running\", \"running\": true}, \"id\": \"}\\\"{\"}\r\n");
    fake_expect(
        "{\"execute\": \"x\"}{\"execute\": \"y\"}\n",
        "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"The command x has not been "
        "found\"}}\r\n"
        "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"The command y has not been "
        "found\"}}\r\n");
}

static void test_too_long(void **state)
{
    static char text[QMP_MESSAGE + 1000];
    int n;

    (void)state;
    memset(text, 'x', sizeof(text));
    n = snprintf(text, 100, "{\"execute\": \"");
    text[n] = 'x';
    strcpy(text + sizeof(text) - 4, "\"}\n");
    fake_expect(text, GENERIC("the message is too long: 65472 bytes at most"));
    assert_int_equal(QMP_MESSAGE, 65472);
    fake_expect_part("{\"execute\": \"query-version\"}", "\"return\"");
    /* The longest there may be: an id. */
    memset(text, 'x', sizeof(text));
    n = snprintf(text, 100, "{\"execute\": \"query-version\", \"id\": \"");
    text[n] = 'x';
    strcpy(text + QMP_MESSAGE - 2, "\"}");
    fake_expect_part(text, "\"return\"");
}

static void test_many_values(void **state)
{
    char text[1000] = "{\"execute\": \"stop\", \"id\": [0";

    (void)state;
    for (int i = 0; i < JSON_TOKENS; i++)
        strcat(text, ",0");
    strcat(text, "]}");
    fake_expect(text, GENERIC("too many values in one message"));
}

static void test_arguments(void **state)
{
    (void)state;
    fake_expect("{\"execute\": \"stop\", \"arguments\": {\"vm\": 5}}",
                GENERIC("Invalid parameter type for 'vm', expected: string"));
    fake_expect("{\"execute\": \"stop\", \"arguments\": {\"vn\": \"on\"}}",
                GENERIC("Parameter 'vn' is unexpected"));
    fake_expect("{\"execute\": \"query-vms\", \"arguments\": {\"vm\": \"on\"}}",
                GENERIC("Parameter 'vm' is unexpected"));
    fake_expect("{\"execute\": \"console-write\", \"arguments\": {\"vm\": \"on\"}}",
                GENERIC("Parameter 'data' is missing"));
    fake_expect("{\"execute\": \"console-read\", \"arguments\": {\"position\": -1}}",
                GENERIC("Invalid parameter type for 'position', expected: non-negative integer"));
    fake_expect("{\"execute\": \"stop\"}",
                GENERIC("Parameter 'vm' is missing, and there are several VMs"));
    fake_expect("{\"execute\": \"stop\", \"arguments\": {\"vm\": \"nobody\"}}",
                GENERIC("nobody: no VM has this name"));
    fake_expect(
        "{\"execute\": \"stop\", \"arguments\": {\"vm\": \"a name that is longer than any VM's "
        "name can be\"}}",
        GENERIC("no VM has a name of more than 31 bytes"));
}

/* ---- commands ---- */

static void test_list(void **state)
{
    (void)state;
    fake_ask("{\"execute\": \"query-vms\"}");
    assert_non_null(
        strstr(fake_sent,
               "{\"name\": \"on\", \"status\": \"running\", \"running\": true, \"vcpus\": 2, "));
    assert_non_null(strstr(
        fake_sent,
        "{\"name\": \"off\", \"status\": \"prelaunch\", \"running\": false, \"vcpus\": 1, "));
    assert_non_null(strstr(fake_sent, "{\"name\": \"held\", \"status\": \"paused\", "));
    assert_non_null(strstr(fake_sent, "{\"name\": \"dead\", \"status\": \"guest-panicked\", "));
    assert_non_null(strstr(fake_sent, "\"reason\": \"it \\\"went\\\" wrong\"}"));
    fake_expect("{\"execute\": \"query-cpus-fast\", \"arguments\": {\"vm\": \"held\"}}",
                "{\"return\": [{\"cpu-index\": 0, \"qom-path\": \"/held/vcpu0\", \"thread-id\": 0, "
                "\"target\": \"riscv64\"}]}\r\n");
    fake_ask("{\"execute\": \"query-commands\"}");
    for (unsigned i = 0; i < command_count; i++)
        if (commands[i].qmp_name)
            assert_non_null(strstr(fake_sent, commands[i].qmp_name));
}

/* Each operation on VMs in each state: the states after it, or why not. */
static void test_operations(void **state)
{
    (void)state;
    fake_expect("{\"execute\": \"stop\", \"arguments\": {\"vm\": \"on\"}}", "{\"return\": {}}\r\n");
    assert_int_equal(on->state, VM_PAUSED);
    fake_expect("{\"execute\": \"cont\", \"arguments\": {\"vm\": \"on\"}}", "{\"return\": {}}\r\n");
    assert_int_equal(on->state, VM_RUNNING);
    fake_expect("{\"execute\": \"vm-stop\", \"arguments\": {\"vm\": \"on\"}}",
                "{\"return\": {}}\r\n");
    assert_int_equal(on->state, VM_OFF);
    fake_expect_part("{\"execute\": \"vm-start\", \"arguments\": {\"vm\": \"on\"}}",
                     "{\"return\": {\"promised\": 50331648, \"room\": ");
    assert_int_equal(on->state, VM_RUNNING);
    fake_expect("{\"execute\": \"system_reset\", \"arguments\": {\"vm\": \"dead\"}}",
                "{\"return\": {}}\r\n");
    assert_int_equal(dead->state, VM_RUNNING);
    fake_vm_why = "for \"this\" reason";
    fake_expect(
        "{\"execute\": \"vm-start\", \"arguments\": {\"vm\": \"off\"}, \"id\": null}",
        "{\"error\": {\"class\": \"GenericError\", \"desc\": \"off: for \\\"this\\\" reason\"}, "
        "\"id\": null}\r\n");
    fake_vm_why = NULL;
    fake_expect("{\"execute\": \"vm-destroy\", \"arguments\": {\"vm\": \"off\"}}",
                "{\"return\": {}}\r\n");
    assert_int_equal(fake_destroyed, 1);
    fake_expect_part("{\"execute\": \"vm-create\", \"arguments\": {\"vm\": \"again\"}}",
                     "{\"return\": {\"promised\": ");
    fake_expect_part("{\"execute\": \"vm-create\", \"arguments\": {\"vm\": \"again\"}}",
                     "\"desc\": \"again: there is a VM of this name\"");
    fake_expect_part("{\"execute\": \"vm-create\", \"arguments\": {\"vm\": \"none\"}}",
                     "\"desc\": \"none: no bundle has a VM of this name\"");
}

static void test_shell_command(void **state)
{
    (void)state;
    fake_expect_part(
        "{\"execute\": \"human-monitor-command\", \"arguments\": {\"command-line\": \"list\"}}",
        "{\"return\": \"NAME             STATE");
    assert_non_null(strstr(fake_sent, "\\r\\noff              off"));
    fake_expect(
        "{\"execute\": \"human-monitor-command\", \"arguments\": {\"command-line\": \"nope\"}}",
        "{\"return\": \"no command nope: `help` lists them\\r\\n\"}\r\n");
    fake_expect("{\"execute\": \"shell-command\", \"arguments\": {\"line\": \"nope\"}}",
                "{\"return\": {\"output\": \"no command nope: `help` lists them\\r\\n\", "
                "\"failed\": true}}\r\n");
    fake_expect("{\"execute\": \"human-monitor-command\", \"arguments\": {\"command-line\": \"\"}}",
                "{\"return\": \"\"}\r\n");
}

static void test_console(void **state)
{
    struct console *console = on->console;
    char text[18000];

    (void)state;
    console_write(on->console, "hello \xc3\xa9\xff\r\n", 11);
    fake_expect(
        "{\"execute\": \"console-read\", \"arguments\": {\"vm\": \"on\"}}",
        "{\"return\": {\"data\": \"hello \xc3\xa9\\ufffd\\r\\n\", \"position\": 11, \"lost\": "
        "0}}\r\n");
    fake_expect(
        "{\"execute\": \"console-read\", \"arguments\": {\"vm\": \"on\", \"position\": 11}}",
        "{\"return\": {\"data\": \"\", \"position\": 11, \"lost\": 0}}\r\n");
    fake_expect(
        "{\"execute\": \"console-read\", \"arguments\": {\"vm\": \"on\", \"position\": 99}}",
        "{\"return\": {\"data\": \"\", \"position\": 11, \"lost\": 0}}\r\n");
    console_write(on->console, "\xe2\x82", 2); /* a character of which there is only a part */
    fake_expect(
        "{\"execute\": \"console-read\", \"arguments\": {\"vm\": \"on\", \"position\": 11}}",
        "{\"return\": {\"data\": \"\", \"position\": 11, \"lost\": 0}}\r\n");
    memset(text, 'x', sizeof(text));
    for (size_t at = 0; at < sizeof(text);)
        at += console_write(on->console, text + at, sizeof(text) - at);
    fake_expect_part(
        "{\"execute\": \"console-read\", \"arguments\": {\"vm\": \"on\", \"position\": 11}}",
        "\"lost\": 1618}");
    fake_expect(
        "{\"execute\": \"console-write\", \"arguments\": {\"vm\": \"on\", \"data\": \"ls\\n\"}}",
        "{\"return\": {\"written\": 3}}\r\n");
    assert_int_equal(console_read(on->console, text, sizeof(text)), 3);
    assert_memory_equal(text, "ls\n", 3);
    fake_expect_part(
        "{\"execute\": \"console-write\", \"arguments\": {\"vm\": \"on\", \"data\": \"a\\u0000\"}}",
        "'data' is longer than");
    on->console = NULL;
    fake_expect_part("{\"execute\": \"console-read\", \"arguments\": {\"vm\": \"on\"}}",
                     "still being made");
    on->console = console;
}

static void test_quit(void **state)
{
    unsigned before = fake_machine_off;

    (void)state;
    fake_expect_part("{\"execute\": \"quit\"}", "cannot power");
    assert_int_equal(fake_machine_off, before + 1);
}

/* ---- clients that do not read, events ---- */

static void test_slow_client(void **state)
{
    static const char two[] = "{\"execute\": \"query-vms\"}{\"execute\": \"query-vms\"}";

    (void)state;
    fake_ask("{\"execute\": \"query-vms\"}");
    size_t one_answer = fake_sent_len;
    fake_send(two, strlen(two), 10);
    assert_int_equal(fake_sent_len, 10);
    fake_step(5);
    assert_int_equal(fake_sent_len, 15);
    assert_int_equal(fake_session.out.len, one_answer); /* the second is not even looked at */
    fake_step(sizeof(fake_sent) - 16);
    assert_int_equal(fake_sent_len, 2 * one_answer);
}

static void send_event(const char *data)
{
    qmp_send_event(&fake_session, "STOP", 1234567890, data, strlen(data));
}

static void test_events(void **state)
{
    (void)state;
    send_event("{\"vm\": \"on\"}");
    fake_expect(
        "", "{\"timestamp\": {\"seconds\": 1234, \"microseconds\": 567890}, \"event\": \"STOP\", "
            "\"data\": {\"vm\": \"on\"}}\r\n");
    fake_client_end();
    fake_client_begin(false);
    send_event("{}");
    fake_expect("", "");
}

static void test_events_lost(void **state)
{
    const char *last;
    unsigned count = 0;

    (void)state;
    for (int i = 0; i < 10000; i++)
        send_event("{}");
    fake_ask("");
    for (const char *at = fake_sent; (at = strstr(at, "\"STOP\"")); at++)
        count++;
    assert_true(count > 1000 && count < 10000);
    assert_null(strstr(fake_sent, "lost"));
    assert_memory_equal(fake_sent + fake_sent_len - 3, "}\r\n", 3);
    send_event("{}");
    last = strstr(fake_ask(""), "\"lost\": ");
    assert_non_null(last);
    assert_int_equal(atoi(last + strlen("\"lost\": ")), 10000 - count);
    send_event("{}");
    assert_null(strstr(fake_ask(""), "lost"));
}

static void test_nothing_left(void **state)
{
    unsigned before;

    (void)state;
    fake_client_end();
    before = fake_heap_blocks;
    fake_client_begin(true);
    for (int i = 0; i < 3000; i++)
        send_event("{}");
    fake_ask_bytes("{\"execute\": \"que", 15);
    fake_client_end();
    assert_int_equal(fake_heap_blocks, before);
    fake_client_begin(true);
}

#define GREETING "{\"QMP\": {\"version\": "

/* On a line nobody sees clients come and go: a byte that is never JSON's begins a new session, whatever was under way. */
static void test_line(void **state)
{
    static const char anew[] = "{\"execute\": \"que\xff",
                      before[] = "\xff\xff{\"execute\": \"query-version\"}";

    (void)state;
    fake_expect("{\"execute\": \"x\xff\"}", /* no line: it is a byte that is no UTF-8 */
                "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"The command x\\ufffd has "
                "not been "
                "found\"}}\r\n");
    fake_session.is_line = true;
    fake_expect_part("{\"execute\": \"console-attach\", \"arguments\": {\"vm\": \"on\"}}",
                     "position");
    fake_ask_bytes(anew, strlen(anew));
    assert_memory_equal(fake_sent, "\r\n" GREETING, strlen(GREETING) + 2);
    assert_null(fake_session.attached);
    fake_expect_part("{\"execute\": \"query-version\"}", "Expecting capabilities negotiation");
    fake_expect_part("{\"execute\": \"qmp_capabilities\"}", "{\"return\": {}}\r\n");
    fake_ask_bytes(before, strlen(before)); /* what comes with it is of the new session */
    assert_memory_equal(fake_sent, "\r\n" GREETING, strlen(GREETING) + 2);
    assert_non_null(strstr(fake_sent, "Expecting capabilities negotiation"));
    fake_session.is_line = false;
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(negotiation),   TEST(bad_messages), TEST(pieces),       TEST(too_long),
        TEST(many_values),   TEST(arguments),    TEST(list),         TEST(operations),
        TEST(shell_command), TEST(console),      TEST(quit),         TEST(slow_client),
        TEST(events),        TEST(events_lost),  TEST(nothing_left), TEST(line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
