// SPDX-License-Identifier: BSD-2-Clause
// The machine protocol: a client's bytes in, answers out, on VMs in every state.
// units: hyp/ctl/qmp.c hyp/ctl/qmp_commands.c hyp/ctl/json.c hyp/ctl/json_write.c
// units: hyp/ctl/command.c hyp/ctl/cmd_vm.c hyp/ctl/cmd_sched.c hyp/vm/vm_sched.c hyp/ctl/cmd_vcpu.c hyp/ctl/cmd_memory.c
// units: hyp/ctl/cmd_host.c hyp/ctl/cmd_report.c hyp/ctl/cmd_kick.c
// units: hyp/ctl/console.c hyp/ctl/terminal.c hyp/ctl/inspect.c
// units: hyp/ctl/dts.c
// units: vcpu/regs.c vcpu/kick.c vcpu/sse.c vcpu/hostpmu.c vcpu/pmu_state.c vcpu/sbi/counters.c vcpu/walk_vs.c stage2/stage2.c stage2/walk.c stage2/map.c stage2/change.c
// units: stage2/dirty.c stage2/flush.c stage2/vmid.c stage2/populate.c stage2/guest_mem.c
// units: hyp/mem/frame.c hyp/mem/frame_boot.c hyp/mem/frame_ref.c vdev/bus.c tests/fake/fake_base.c
// units: tests/fake/fake_mem.c tests/fake/fake_xcall.c tests/fake/fake_vm.c
// units: hyp/base/state.c hyp/sched/account.c hyp/sched/fair.c hyp/sched/thread_list.c hyp/sched/stack.c
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
#include "ctl/ctl.h"
#include "ctl/qmp.h"
#include "fake_vm.h"
#include "mem/heap.h"

void (*ctl_banner)(const struct platform *p, void (*emit)(void *ctx, const char *line), void *ctx);

/* Drills are test_command's. */
const char *fault_drill(unsigned n) { return n ? NULL : "null"; }
COMMAND_FN(fault)
{
    (void)out;
    (void)argc;
    (void)argv;
    return COMMAND_USAGE;
}

static struct vm *on, *off, *held, *dead;
static unsigned blocks; /* of the heap */

void *heap_alloc(size_t size)
{
    blocks++;
    return calloc(1, size);
}

void heap_free(void *p)
{
    blocks -= p != NULL;
    free(p);
}

/* ---- a client ---- */

static char to_read[200000], sent[QMP_OUTPUT + 1];
static size_t to_read_at, to_read_len, sent_len, room;
static struct qmp_session session;

static size_t port_read(void *port, char *to, size_t max)
{
    size_t n = to_read_len - to_read_at < max ? to_read_len - to_read_at : max;

    (void)port;
    memcpy(to, to_read + to_read_at, n);
    to_read_at += n;
    return n;
}

static size_t port_write(void *port, const char *data, size_t len)
{
    size_t n = len < room ? len : room;

    (void)port;
    assert_true(sent_len + n < sizeof(sent));
    memcpy(sent + sent_len, data, n);
    sent_len += n;
    sent[sent_len] = '\0';
    room -= n;
    return n;
}

/* Sends bytes; what came back. */
static const char *ask_bytes(const char *data, size_t len)
{
    sent_len = to_read_at = 0;
    sent[0] = '\0';
    memcpy(to_read, data, len);
    to_read_len = len;
    room = sizeof(sent) - 1;
    qmp_step(&session);
    assert_int_equal(to_read_at, to_read_len);
    return sent;
}

static const char *ask(const char *text) { return ask_bytes(text, strlen(text)); }

static void expect(const char *text, const char *answer)
{
    if (strcmp(ask(text), answer))
        fail_msg("%s\nanswered: %swanted:   %s", text, sent, answer);
}

static void expect_part(const char *text, const char *part)
{
    if (!strstr(ask(text), part))
        fail_msg("%s\nanswered: %s, without: %s", text, sent, part);
}

static void begin(bool negotiated)
{
    memset(&session, 0, sizeof(session));
    session.read = port_read;
    session.write = port_write;
    assert_int_equal(qmp_open(&session), 0);
    expect("", "{\"QMP\": {\"version\": {\"qemu\": {\"major\": 0, \"minor\": 1, \"micro\": 0}, "
               "\"package\": \"Trapline\"}, \"capabilities\": []}}\r\n");
    if (negotiated)
        expect("{\"execute\": \"qmp_capabilities\"}", "{\"return\": {}}\r\n");
}

static void wake(void) {}

static void host_write(const char *data, size_t len)
{
    (void)data;
    (void)len;
}

static int setup(void **state)
{
    (void)state;
    fake_vms_start();
    console_set_host(host_write);
    if (!console_shell())
        assert_int_equal(console_shell_start(wake), 0);
    on = fake_vm_add("on", 2, VM_RUNNING);
    off = fake_vm_add("off", 1, VM_OFF);
    held = fake_vm_add("held", 1, VM_PAUSED);
    dead = fake_vm_add("dead", 3, VM_CRASHED);
    snprintf(dead->end_reason, sizeof(dead->end_reason), "it \"went\" wrong");
    begin(true);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    qmp_close(&session);
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
    qmp_close(&session);
    begin(false);
    expect("{\"execute\": \"query-status\", \"id\": 7}", LACKS_NEGOTIATION ", \"id\": 7}\r\n");
    expect("{\"execute\": \"nonsense\"}", LACKS_NEGOTIATION "}\r\n");
    expect("{\"execute\": \"qmp_capabilities\", \"arguments\": {\"enable\": []}, \"id\": \"a\\n\"}",
           "{\"return\": {}, \"id\": \"a\\n\"}\r\n");
    expect_part("{\"execute\": \"qmp_capabilities\"}", "negotiation is already complete");
    expect_part("{\"execute\": \"query-version\"}", "\"return\": {\"qemu\"");
}

static void test_bad_messages(void **state)
{
    (void)state;
    expect("{]", GENERIC("Invalid JSON syntax"));
    expect("}", GENERIC("Invalid JSON syntax"));
    expect("hello\n", GENERIC("Invalid JSON syntax"));
    expect("42\n", GENERIC("QMP input lacks member 'execute'"));
    expect("[]", GENERIC("QMP input lacks member 'execute'"));
    expect("{}", GENERIC("QMP input lacks member 'execute'"));
    expect("{\"execute\": 1}",
           GENERIC("QMP input member 'execute' must be a string, the name of a command"));
    expect_part("{\"execute\": \"stop\", \"arguments\": []}", "'arguments' must be an object");
    expect_part("{\"execute\": \"stop\", \"more\": 1, \"id\": [1, {}]}", "besides 'execute'");
    assert_non_null(strstr(sent, "\"id\": [1, {}]}"));
    expect("{\"execute\": \"stopp\"}", "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": "
                                       "\"The command stopp has not been found\"}}\r\n");
    expect("{\"execute\": \"a\nb\"}\n",
           GENERIC("Invalid JSON syntax") GENERIC("Invalid JSON syntax"));
    expect_part("{\"execute\": \"query-version\"}", "\"return\""); /* and all goes on */
}

static void test_pieces(void **state)
{
    static const char text[] =
        " \n{\"execute\": \"query-status\", \"arguments\": {\"vm\": \"on\"}, \"id\": \"}\\\"{\"}";

    (void)state;
    for (unsigned i = 0; i + 1 < sizeof(text) - 1; i++)
        assert_string_equal(ask_bytes(text + i, 1), "");
    assert_string_equal(
        ask_bytes("}", 1),
        "{\"return\": {\"status\": \"running\", \"running\": true}, \"id\": \"}\\\"{\"}\r\n");
    expect("{\"execute\": \"x\"}{\"execute\": \"y\"}\n",
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
    expect(text, GENERIC("the message is too long: 65472 bytes at most"));
    assert_int_equal(QMP_MESSAGE, 65472);
    expect_part("{\"execute\": \"query-version\"}", "\"return\"");
    /* The longest there may be: an id. */
    memset(text, 'x', sizeof(text));
    n = snprintf(text, 100, "{\"execute\": \"query-version\", \"id\": \"");
    text[n] = 'x';
    strcpy(text + QMP_MESSAGE - 2, "\"}");
    expect_part(text, "\"return\"");
}

static void test_many_values(void **state)
{
    char text[1000] = "{\"execute\": \"stop\", \"id\": [0";

    (void)state;
    for (int i = 0; i < JSON_TOKENS; i++)
        strcat(text, ",0");
    strcat(text, "]}");
    expect(text, GENERIC("too many values in one message"));
}

static void test_arguments(void **state)
{
    (void)state;
    expect("{\"execute\": \"stop\", \"arguments\": {\"vm\": 5}}",
           GENERIC("Invalid parameter type for 'vm', expected: string"));
    expect("{\"execute\": \"stop\", \"arguments\": {\"vn\": \"on\"}}",
           GENERIC("Parameter 'vn' is unexpected"));
    expect("{\"execute\": \"query-vms\", \"arguments\": {\"vm\": \"on\"}}",
           GENERIC("Parameter 'vm' is unexpected"));
    expect("{\"execute\": \"console-write\", \"arguments\": {\"vm\": \"on\"}}",
           GENERIC("Parameter 'data' is missing"));
    expect("{\"execute\": \"console-read\", \"arguments\": {\"position\": -1}}",
           GENERIC("Invalid parameter type for 'position', expected: non-negative integer"));
    expect("{\"execute\": \"stop\"}",
           GENERIC("Parameter 'vm' is missing, and there are several VMs"));
    expect("{\"execute\": \"stop\", \"arguments\": {\"vm\": \"nobody\"}}",
           GENERIC("no VM has this name: query-vms lists them"));
    expect("{\"execute\": \"stop\", \"arguments\": {\"vm\": \"a name that is longer than any VM's "
           "name can be\"}}",
           GENERIC("no VM has this name: query-vms lists them"));
}

/* ---- commands ---- */

static void test_list(void **state)
{
    (void)state;
    ask("{\"execute\": \"query-vms\"}");
    assert_non_null(strstr(
        sent, "{\"name\": \"on\", \"status\": \"running\", \"running\": true, \"vcpus\": 2, "));
    assert_non_null(strstr(
        sent, "{\"name\": \"off\", \"status\": \"prelaunch\", \"running\": false, \"vcpus\": 1, "));
    assert_non_null(strstr(sent, "{\"name\": \"held\", \"status\": \"paused\", "));
    assert_non_null(strstr(sent, "{\"name\": \"dead\", \"status\": \"guest-panicked\", "));
    assert_non_null(strstr(sent, "\"reason\": \"it \\\"went\\\" wrong\"}"));
    expect("{\"execute\": \"query-cpus-fast\", \"arguments\": {\"vm\": \"held\"}}",
           "{\"return\": [{\"cpu-index\": 0, \"qom-path\": \"/held/vcpu0\", \"thread-id\": 0, "
           "\"target\": \"riscv64\"}]}\r\n");
    ask("{\"execute\": \"query-commands\"}");
    for (unsigned i = 0; i < qmp_command_count; i++)
        assert_non_null(strstr(sent, qmp_commands[i].name));
}

/* Each operation on VMs in each state: the states after it, or why not. */
static void test_operations(void **state)
{
    (void)state;
    expect("{\"execute\": \"stop\", \"arguments\": {\"vm\": \"on\"}}", "{\"return\": {}}\r\n");
    assert_int_equal(on->state, VM_PAUSED);
    expect("{\"execute\": \"cont\", \"arguments\": {\"vm\": \"on\"}}", "{\"return\": {}}\r\n");
    assert_int_equal(on->state, VM_RUNNING);
    expect("{\"execute\": \"vm-stop\", \"arguments\": {\"vm\": \"on\"}}", "{\"return\": {}}\r\n");
    assert_int_equal(on->state, VM_OFF);
    expect("{\"execute\": \"vm-start\", \"arguments\": {\"vm\": \"on\"}}", "{\"return\": {}}\r\n");
    assert_int_equal(on->state, VM_RUNNING);
    expect("{\"execute\": \"system_reset\", \"arguments\": {\"vm\": \"dead\"}}",
           "{\"return\": {}}\r\n");
    assert_int_equal(dead->state, VM_RUNNING);
    fake_vm_why = "for \"this\" reason";
    expect("{\"execute\": \"vm-start\", \"arguments\": {\"vm\": \"off\"}, \"id\": null}",
           "{\"error\": {\"class\": \"GenericError\", \"desc\": \"off: for \\\"this\\\" reason\"}, "
           "\"id\": null}\r\n");
    fake_vm_why = NULL;
    expect("{\"execute\": \"vm-destroy\", \"arguments\": {\"vm\": \"off\"}}",
           "{\"return\": {}}\r\n");
    assert_int_equal(fake_destroyed, 1);
}

static void test_shell_command(void **state)
{
    (void)state;
    expect_part(
        "{\"execute\": \"human-monitor-command\", \"arguments\": {\"command-line\": \"list\"}}",
        "{\"return\": \"NAME             STATE");
    assert_non_null(strstr(sent, "\\r\\noff              off"));
    expect("{\"execute\": \"human-monitor-command\", \"arguments\": {\"command-line\": \"nope\"}}",
           "{\"return\": \"no command nope: `help` lists them\\r\\n\"}\r\n");
    expect("{\"execute\": \"human-monitor-command\", \"arguments\": {\"command-line\": \"\"}}",
           "{\"return\": \"\"}\r\n");
}

static void test_console(void **state)
{
    struct console *console = on->console;
    char text[6000];

    (void)state;
    console_write(on->console, "hello \xc3\xa9\xff\r\n", 11);
    expect("{\"execute\": \"console-read\", \"arguments\": {\"vm\": \"on\"}}",
           "{\"return\": {\"data\": \"hello \xc3\xa9\\ufffd\\r\\n\", \"position\": 11, \"lost\": "
           "0}}\r\n");
    expect("{\"execute\": \"console-read\", \"arguments\": {\"vm\": \"on\", \"position\": 11}}",
           "{\"return\": {\"data\": \"\", \"position\": 11, \"lost\": 0}}\r\n");
    expect("{\"execute\": \"console-read\", \"arguments\": {\"vm\": \"on\", \"position\": 99}}",
           "{\"return\": {\"data\": \"\", \"position\": 11, \"lost\": 0}}\r\n");
    console_write(on->console, "\xe2\x82", 2); /* a character of which there is only a part */
    expect("{\"execute\": \"console-read\", \"arguments\": {\"vm\": \"on\", \"position\": 11}}",
           "{\"return\": {\"data\": \"\", \"position\": 11, \"lost\": 0}}\r\n");
    memset(text, 'x', sizeof(text));
    for (size_t at = 0; at < sizeof(text);)
        at += console_write(on->console, text + at, sizeof(text) - at);
    expect_part(
        "{\"execute\": \"console-read\", \"arguments\": {\"vm\": \"on\", \"position\": 11}}",
        "\"lost\": 1906}");
    expect("{\"execute\": \"console-write\", \"arguments\": {\"vm\": \"on\", \"data\": \"ls\\n\"}}",
           "{\"return\": {\"written\": 3}}\r\n");
    assert_int_equal(console_read(on->console, text, sizeof(text)), 3);
    assert_memory_equal(text, "ls\n", 3);
    expect_part(
        "{\"execute\": \"console-write\", \"arguments\": {\"vm\": \"on\", \"data\": \"a\\u0000\"}}",
        "'data' is longer than");
    on->console = NULL;
    expect_part("{\"execute\": \"console-read\", \"arguments\": {\"vm\": \"on\"}}",
                "still being made");
    on->console = console;
}

static void test_quit(void **state)
{
    unsigned before = fake_machine_off;

    (void)state;
    expect_part("{\"execute\": \"quit\"}", "cannot power");
    assert_int_equal(fake_machine_off, before + 1);
}

/* ---- clients that do not read, events ---- */

static void test_slow_client(void **state)
{
    static const char two[] = "{\"execute\": \"query-vms\"}{\"execute\": \"query-vms\"}";

    (void)state;
    ask("{\"execute\": \"query-vms\"}");
    size_t one_answer = sent_len;
    sent_len = to_read_at = 0;
    strcpy(to_read, two);
    to_read_len = strlen(two);
    room = 10;
    qmp_step(&session);
    assert_int_equal(sent_len, 10);
    assert_int_equal(to_read_at, strlen(two) / 2); /* the second is not even read */
    room = 5;
    qmp_step(&session);
    assert_int_equal(sent_len, 15);
    room = sizeof(sent) - 16;
    qmp_step(&session);
    assert_int_equal(sent_len, 2 * one_answer);
}

static void send_event(const char *data)
{
    qmp_send_event(&session, "STOP", 1234567890, data, strlen(data));
}

static void test_events(void **state)
{
    (void)state;
    send_event("{\"vm\": \"on\"}");
    expect("",
           "{\"timestamp\": {\"seconds\": 1234, \"microseconds\": 567890}, \"event\": \"STOP\", "
           "\"data\": {\"vm\": \"on\"}}\r\n");
    qmp_close(&session);
    begin(false);
    send_event("{}");
    expect("", "");
}

static void test_events_lost(void **state)
{
    const char *last;
    unsigned count = 0;

    (void)state;
    for (int i = 0; i < 10000; i++)
        send_event("{}");
    ask("");
    for (const char *at = sent; (at = strstr(at, "\"STOP\"")); at++)
        count++;
    assert_true(count > 1000 && count < 10000);
    assert_null(strstr(sent, "lost"));
    assert_memory_equal(sent + sent_len - 3, "}\r\n", 3);
    send_event("{}");
    last = strstr(ask(""), "\"lost\": ");
    assert_non_null(last);
    assert_int_equal(atoi(last + strlen("\"lost\": ")), 10000 - count);
    send_event("{}");
    assert_null(strstr(ask(""), "lost"));
}

static void test_nothing_left(void **state)
{
    unsigned before;

    (void)state;
    qmp_close(&session);
    before = blocks;
    begin(true);
    for (int i = 0; i < 3000; i++)
        send_event("{}");
    ask_bytes("{\"execute\": \"que", 15);
    qmp_close(&session);
    assert_int_equal(blocks, before);
    begin(true);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(negotiation),   TEST(bad_messages), TEST(pieces),       TEST(too_long),
        TEST(many_values),   TEST(arguments),    TEST(list),         TEST(operations),
        TEST(shell_command), TEST(console),      TEST(quit),         TEST(slow_client),
        TEST(events),        TEST(events_lost),  TEST(nothing_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
