// SPDX-License-Identifier: BSD-2-Clause
// Every command of the machine protocol: what it says of VMs in every state, and what it does with bad arguments.
// units: tests/fake/ctl.units tests/fake/fake_fault.c tests/fake/fake_client.c hyp/base/log.c hyp/base/fmt.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libfdt.h>

#include "base/log.h"
#include "ctl/base64.h"
#include "ctl/command.h"
#include "ctl/console.h"
#include "ctl/json.h"
#include "fake_client.h"
#include "fake_disks.h"
#include "fake_shell.h"
#include "fake_switch.h"
#include "fake_vm.h"
#include "mem/heap.h"
#include "net/capture.h"
#include "stage2/guest_mem.h"
#include "vm/vm_account.h"

static struct vm *on, *off, *held, *dead;
enum { DISK_MEMORY = 12345 };
static uint64_t disk_memory(struct vdev *dev)
{
    (void)dev;
    return DISK_MEMORY;
}
static const struct vdev_ops disk_ops = {.type = "virtio-blk", .memory = disk_memory};
static struct vdev disk = {.ops = &disk_ops, .name = "virtio2", .role = "disk-0", .size = 0x1000};
static struct hart hart0;
static struct thread idle0;

static unsigned woken;

static void wake(void) { woken++; }

static void set_line(void *chip, uint32_t source, bool level)
{
    (void)chip;
    (void)source;
    (void)level;
}

static void make_tree(struct vm *vm)
{
    vm->fdt = heap_alloc(512);
    assert_int_equal(fdt_create_empty_tree(vm->fdt, 512), 0);
    assert_int_equal(fdt_setprop_string(vm->fdt, 0, "model", "a \xc3\xa9 board"), 0);
}

static int setup(void **state)
{
    (void)state;
    fake_vms_start();
    fake_shell_start();
    fake_vms_states(&on, &off, &held, &dead);
    fair_group_init(&on->guest.sched);
    snprintf(dead->end_reason, sizeof(dead->end_reason), "it went wrong");
    snprintf(dead->crash_report, sizeof(dead->crash_report), "dead: oops\n  pc 0x1234");
    disk.base = gpa(0x10002000);
    disk.irq.set = set_line;
    disk.reads = 5;
    disk.writes = 2;
    disk.account = (struct vdev_account){{3, 1}, {4096, 512}, 7};
    assert_int_equal(bus_add(&on->guest.bus, &disk), 0);
    spin_init(&hart0.runq_lock, LOCK_RUNQUEUE);
    list_init(&hart0.runq.ready);
    snprintf(idle0.name, sizeof(idle0.name), "idle/0");
    idle0.time[THREAD_RAN] = 3000;
    idle0.time[THREAD_WAITED] = 5000;
    idle0.since = fake_time = 20000;
    hart0.idle = hart0.current = &idle0;
    atomic_store(&hart0.online, true);
    harts[0] = &hart0;
    hart_count = 1;
    vm_account_set_costs(false);
    fake_client_begin(true);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_client_end();
    hart_count = 0;
    fake_vms_end();
    return 0;
}

/* ---- all of them ---- */

/* A whole answer is JSON, and either a value or an error with a reason. */
static bool is_error(const char *answer)
{
    static struct json
        j; /* large answers have too many values for it: only the outermost are looked at then */
    int error;

    assert_true(answer[0] == '{' && strlen(answer) > 2 &&
                !strcmp(answer + strlen(answer) - 2, "\r\n"));
    error = json_parse(&j, answer, strlen(answer));
    assert_true(error == 0 || error == -E2BIG);
    if (!strncmp(answer, "{\"return\": ", 11))
        return false;
    assert_int_equal(strncmp(answer, "{\"error\": {\"class\": \"", 21), 0);
    assert_non_null(strstr(answer, "\"desc\": \""));
    assert_null(strstr(answer, "\"desc\": \"\""));
    return true;
}

static const char *value_of(const struct command_arg *a)
{
    static const char *const value[] = {"\"0\"", "0", "true", "[]", "0"};

    return !strcmp(a->name, "vm")             ? "\"on\""
           : !strcmp(a->name, "target")       ? "\"vm\""
           : !strcmp(a->name, "command-line") ? "\"list\""
                                              : value[a->type];
}

/* All arguments of a command, one of them another value, or (NULL) left out. */
static const char *arguments_but(const struct command *c, int which, const char *value)
{
    static char text[400];
    size_t n = 0;

    text[0] = '\0';
    for (int i = 0; i < COMMAND_ARGS && c->arg[i].name; i++) {
        const char *v = i == which ? value : value_of(&c->arg[i]);

        if (v)
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%s\"%s\": %s", n ? ", " : "",
                                  c->arg[i].name, v);
    }
    return text;
}

static void test_bad_arguments(void **state)
{
    char part[100];

    (void)state;
    for (const struct command *c = commands; c < commands + command_count; c++) {
        if (!c->qmp_run)
            continue;
        fake_command(c->qmp_name, "\"no-such\": 1", "Parameter 'no-such' is unexpected");
        for (int i = 0; i < COMMAND_ARGS && c->arg[i].name; i++) {
            const struct command_arg *a = &c->arg[i];

            snprintf(part, sizeof(part), "Parameter '%s' is missing", a->name);
            if (!a->optional)
                fake_command(c->qmp_name, arguments_but(c, i, NULL), part);
            snprintf(part, sizeof(part), "Invalid parameter type for '%s'", a->name);
            if (a->type != ARG_ANY) {
                fake_command(c->qmp_name, arguments_but(c, i, "null"), part);
                fake_command(c->qmp_name, arguments_but(c, i, "{}"), part);
                fake_command(c->qmp_name, arguments_but(c, i, "-1.5"), part);
            }
        }
    }
}

/* Every command on VMs in every state, claimed by another operation or not: an answer, and nothing stays held. */
static void test_every_state(void **state)
{
    static const char *const vms[] = {"\"on\"", "\"off\"", "\"held\"", "\"dead\"", "\"nobody\""};
    unsigned good = 0, bad = 0;

    (void)state;
    for (const struct command *c = commands; c < commands + command_count; c++) {
        if (!c->qmp_run)
            continue;
        for (unsigned i = 0; i < 2 * ARRAY_LEN(vms); i++) {
            bool about_vm = c->arg[0].name && !strcmp(c->arg[0].name, "vm");

            fake_vm_busy = i & 1;
            fake_command(c->qmp_name, arguments_but(c, about_vm ? 0 : -1, vms[i / 2]), "");
            *(is_error(fake_sent) ? &bad : &good) += 1;
            assert_int_equal(fake_vm_claims, 0);
            if (about_vm && i / 2 == 4)
                assert_true(is_error(fake_sent));
        }
        fake_vm_busy = false;
    }
    assert_true(good > 100 && bad > 60); /* so many, or this tests nothing */
}

/* The manuals name each, as the tables of commands there have it. */
static void check_manual(const char *path, bool protocol)
{
    static char text[100000];
    FILE *file = fopen(path, "r");

    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    for (const struct command *c = commands; c < commands + command_count; c++) {
        const char *name = protocol ? c->qmp_name : c->name;
        char word[60], first[60];

        if (!name)
            continue;
        snprintf(word, sizeof(word), "`%s`", name);
        snprintf(first, sizeof(first), "`%s ", name);
        if (!strstr(text, word) && !strstr(text, first))
            fail_msg("%s does not say what %s is", path, name);
    }
}

static void test_manuals(void **state)
{
    (void)state;
    check_manual("docs/control.md", true);
    check_manual("docs/shell.md", false);
}

/* ---- statistics ---- */

static void test_stats(void **state)
{
    char memory[80];

    (void)state;
    on->guest.vcpu[0]->thread.time[THREAD_RAN] = 1500; /* of 1000 a second */
    on->guest.vcpu[1]->thread.time[THREAD_RAN] = 500;
    on->guest.vcpu[1]->thread.time[THREAD_WAITED] = 20;
    on->guest.vcpu[1]->thread.time[THREAD_CAPPED] = 4;
    for (unsigned i = 0; i < 2; i++)
        on->guest.vcpu[i]->thread.since = fake_time;
    on->guest.vcpu[1]->exits[10] = 12;
    on->guest.vcpu[1]->exits_cost[10] = 3000;
    on->config.sched = (struct vm_sched){.cap = 50, .affinity = 1};
    on->started_at = fake_time - 2500;
    on->guest.s2.mapped_bytes = MIB(4);
    console_write(on->console, "hello", 5);
    fake_command("query-stats", "\"target\": \"vm\", \"vm\": \"on\"",
                 "{\"return\": [{\"provider\": \"trapline\", \"vm\": \"on\", \"stats\": [");
    for (const char *const *part =
             (const char *const[]){"{\"name\": \"ran-ns\", \"value\": 2000000000}",
                                   "{\"name\": \"waited-ns\", \"value\": 20000000}",
                                   "{\"name\": \"capped-ns\", \"value\": 4000000}",
                                   "{\"name\": \"stolen-ns\", \"value\": 24000000}",
                                   "{\"name\": \"weight\", \"value\": 100}",
                                   "{\"name\": \"cap\", \"value\": 50}",
                                   "{\"name\": \"affinity\", \"value\": [0]}",
                                   "{\"name\": \"uptime-ns\", \"value\": 2500000000}",
                                   "{\"name\": \"memory.promised\", \"value\": 16777216}",
                                   "{\"name\": \"memory.mapped\", \"value\": 4194304}",
                                   "{\"name\": \"console.write-bytes\", \"value\": 5}",
                                   "{\"name\": \"exits.sbi\", \"value\": 12}",
                                   "{\"name\": \"exits.total\", \"value\": 12}",
                                   "{\"name\": \"disk-0.accesses\", \"value\": 7}",
                                   "{\"name\": \"disk-0.read-ops\", \"value\": 3}",
                                   "{\"name\": \"disk-0.write-ops\", \"value\": 1}",
                                   "{\"name\": \"disk-0.flush-ops\", \"value\": 7}",
                                   "{\"name\": \"disk-0.read-bytes\", \"value\": 4096}",
                                   "{\"name\": \"disk-0.write-bytes\", \"value\": 512}",
                                   NULL};
         *part; part++)
        if (!strstr(fake_sent, *part))
            fail_msg("%s is not in %s", *part, fake_sent);
    snprintf(memory, sizeof(memory), "{\"name\": \"memory.hypervisor\", \"value\": %lu}",
             (unsigned long)(heap_takes(sizeof(*on)) + console_memory() + 2 * vcpu_memory() +
                             DISK_MEMORY));
    assert_non_null(strstr(fake_sent, memory));
    assert_null(strstr(fake_sent, "exit-instructions"));
    vm_account_set_costs(true); /* counts begin anew */
    on->guest.vcpu[1]->exits[10] = 12;
    on->guest.vcpu[1]->exits_cost[10] = 3000;
    fake_command("query-stats", "\"target\": \"vcpu\", \"vcpus\": [\"/on/vcpu1\"]",
                 "{\"return\": [{\"provider\": \"trapline\", \"vm\": \"on\", \"qom-path\": "
                 "\"/on/vcpu1\", \"stats\": [{\"name\": \"ran-ns\", \"value\": 500000000}, ");
    assert_non_null(strstr(fake_sent, "{\"name\": \"exit-instructions.sbi\", \"value\": 3000}"));
    assert_null(strstr(fake_sent, "weight"));
    assert_null(strstr(fake_sent, "/held/"));
}

/* ---- networks ---- */

static void test_nets(void **state)
{
    (void)state;
    fake_net.mode = SWITCH_INTERNAL;
    fake_command("query-nets", "",
                 "{\"return\": [{\"net\": \"lan0\", \"mode\": \"internal\", \"mtu\": 1500, "
                 "\"uplink\": false, \"ports\": [{\"vm\": \"vm0\", \"device\": \"net-0\", "
                 "\"mac\": \"02:54:ab:00:00:00\", \"link\": true, \"isolated\": false, "
                 "\"rx-frames\": 0, \"rx-bytes\": 0, \"tx-frames\": 7, \"tx-bytes\": 0, "
                 "\"dropped\": 0}, {");
    assert_non_null(strstr(fake_sent, "\"macs\": [{\"mac\": \"02:54:ab:00:00:00\", \"port\": "
                                      "\"vm1/net-0\"}, {\"mac\": \"02:54:ab:00:00:01\", "
                                      "\"port\": \"uplink\"}]"));
    assert_null(strstr(fake_sent, "\"address\""));
    fake_command("query-nets", "\"net\": \"lan9\"", "no switch has this name");
    fake_command("set-net", "\"net\": \"lan0\"", "nothing is to be set");
    fake_command("set-net", "\"net\": \"lan0\", \"mode\": \"odd\"", "is not internal");
    fake_command("set-net", "\"net\": \"lan9\", \"mode\": \"nat\"", "lan9: no switch");
    fake_command("set-net", "\"net\": \"lan0\", \"mode\": \"nat\", \"router\": \"10.0.2.256\"",
                 "'router' is not like 10.0.2.2");
    fake_command("set-net", "\"net\": \"lan0\", \"mode\": \"nat\", \"dns\": \"10.0.2.3/24\"",
                 "'dns' is not like");
    assert_int_equal(fake_net.mode, SWITCH_INTERNAL);
    fake_command("set-net",
                 "\"net\": \"lan0\", \"subnet\": \"10.78.0.0/16\", \"address\": "
                 "\"10.0.2.20/24\", \"router\": \"10.0.2.2\", \"dns\": \"10.0.2.3\"",
                 "{\"return\": {}}");
    assert_int_equal(fake_net.subnet, 0x0a4e0000);
    assert_int_equal(fake_net.prefix, 16);
    assert_int_equal(fake_net.address, 0x0a000214);
    assert_int_equal(fake_net.outer_prefix, 24);
    assert_int_equal(fake_net.router, 0x0a000202);
    assert_int_equal(fake_net.dns, 0x0a000203);
    assert_int_equal(fake_net.mode, SWITCH_INTERNAL);
    fake_command("set-net",
                 "\"net\": \"lan0\", \"subnet\": \"10.77.0.0/24\", \"address\": \"dhcp\", "
                 "\"dns\": \"dhcp\"",
                 "{\"return\": {}}");
    assert_int_equal(fake_net.address | fake_net.router | fake_net.dns, 0);
    fake_command("set-net", "\"net\": \"lan0\", \"mode\": \"nat\"", "{\"return\": {}}");
    fake_command("net-forward-add",
                 "\"net\": \"lan0\", \"host-port\": 2222, \"vm\": \"vm0\", \"port\": 22",
                 "{\"return\": {}}");
    assert_string_equal(fake_forward.to, "vm0");
    snprintf(fake_forward.to, sizeof(fake_forward.to), "vm0.0");
    fake_command("query-nets", "\"net\": \"lan0\"", "\"address\": \"10.0.2.15/24\"");
    assert_non_null(strstr(fake_sent, "\"subnet\": \"10.77.0.0/24\""));
    assert_non_null(strstr(fake_sent, "\"leases\": [{\"address\": \"10.77.0.2\", \"mac\": "
                                      "\"02:54:ab:00:00:00\", \"vm\": \"vm0\", \"device\": "
                                      "\"net-0\", \"expires-ns\": 60000000000}]"));
    assert_non_null(strstr(fake_sent,
                           "\"forwards\": [{\"protocol\": \"tcp\", \"host-port\": 2222, \"vm\": "
                           "\"vm0\", \"device\": \"net-0\", \"address\": \"10.77.0.2\", "
                           "\"port\": 22}]"));
    for (const char *const *bad =
             (const char *const[]){
                 "\"vm\": \"vm0\", \"port\": 22, \"host-port\": 0", "is 1 to 19999",
                 "\"vm\": \"vm0\", \"port\": 22, \"host-port\": 20000", "is 1 to 19999",
                 "\"vm\": \"vm0\", \"port\": 65536, \"host-port\": 1", "'port' is 1 to 65535",
                 "\"port\": 22, \"host-port\": 1", "either 'vm' or 'address'",
                 "\"vm\": \"v\", \"address\": \"1.2.3.4\", \"port\": 22, \"host-port\": 1",
                 "either 'vm' or 'address'",
                 "\"address\": \"1.2.3\", \"port\": 22, \"host-port\": 1", "is not like",
                 "\"vm\": \"v\", \"protocol\": \"sctp\", \"port\": 2, \"host-port\": 1", "neither",
                 "\"vm\": \"v\", \"port\": 2, \"host-port\": 1", "lan0: the port is forwarded",
                 NULL};
         *bad; bad += 2) {
        char all[200];

        snprintf(all, sizeof(all), "\"net\": \"lan0\", %s", bad[0]);
        fake_command("net-forward-add", all, bad[1]);
    }
    fake_command("net-forward-remove", "\"net\": \"lan0\", \"host-port\": 22", "not forwarded");
    fake_command("net-forward-remove", "\"net\": \"lan0\", \"host-port\": 2222",
                 "{\"return\": {}}");
    fake_command("net-forward-add",
                 "\"net\": \"lan0\", \"protocol\": \"udp\", \"host-port\": 53, \"address\": "
                 "\"10.77.0.2\", \"port\": 53",
                 "{\"return\": {}}");
    assert_int_equal(fake_forward.protocol, 17);
    fake_forward.port = 0;
    fake_net.mode = SWITCH_INTERNAL;
}

static void test_ports(void **state)
{
    (void)state;
    fake_command("set-port",
                 "\"vm\": \"vm0\", \"device\": \"net-0\", \"rate\": 5000, \"isolated\": true",
                 "{\"return\": {}}");
    fake_command("query-nets", "", "\"isolated\": true, \"rate\": 5000, ");
    fake_command("set-port", "\"vm\": \"vm0\", \"device\": \"net-0\", \"rate\": 0",
                 "{\"return\": {}}");
    assert_true(fake_isolated && !fake_rate);
    fake_command("set-port", "\"vm\": \"vm0\", \"device\": \"net-0\", \"rate\": 5",
                 "Parameter 'rate' is 0 (no limit), or 4096 to");
    fake_command("set-port", "\"vm\": \"vm0\", \"device\": \"net-7\"", "is not net-0 to net-2");
    fake_command("set-port", "\"vm\": \"vm9\", \"device\": \"net-0\"", "there is no such card");
    fake_isolated = false;
    fake_command("set_link", "\"name\": \"vm0/net-0\", \"up\": false", "{\"return\": {}}");
    assert_false(fake_link);
    fake_command("set_link", "\"name\": \"vm0/net-0\", \"up\": true", "{\"return\": {}}");
    assert_true(fake_link);
    fake_command("set_link", "\"name\": \"vm9/net-0\", \"up\": true", "no such card");
    fake_command("set_link", "\"name\": \"vm0.0\", \"up\": true", "is not like");
    fake_command("set_link", "\"name\": \"vm0/disk-0\", \"up\": true", "is not like");
}

static void send_captured(void)
{
    fake_sent_len = 0;
    qmp_send_captured(&fake_session);
    (void)qmp_flush(&fake_session);
}

static void test_capture(void **state)
{
    uint8_t bytes[60] = {1, 2, 3};
    struct net_frame f = {.head = bytes, .head_len = 60, .len = 60};
    char text[100];
    unsigned id;

    (void)state;
    qmp_capture_start(wake);
    fake_command("capture-open", "\"vm\": \"vm9\", \"device\": \"net-0\"", "no such card");
    fake_command("capture-open", "\"vm\": \"vm0\"", "either 'vm' and 'device', or");
    fake_command("capture-open", "\"net\": \"lan0\", \"port\": \"uplink\"",
                 "lan0: it has no uplink");
    fake_command("capture-open", "\"net\": \"lan9\", \"port\": \"uplink\"",
                 "no switch has this name");
    fake_command("capture-open", "\"vm\": \"vm0\", \"device\": \"net-0\", \"snaplen\": 5",
                 "'snaplen' is 64 to");
    woken = 0;
    fake_command("capture-open", "\"vm\": \"vm0\", \"device\": \"net-0\"",
                 "{\"return\": {\"capture\": ");
    assert_int_equal(woken, 1);
    id = (unsigned)atoi(strrchr(fake_sent, ':') + 1);
    fake_command("capture-open", "\"vm\": \"vm0\", \"device\": \"net-0\"",
                 "captures there already");
    capture_frame(fake_capture, &fake_captured, &f, true);
    assert_true(qmp_captured_waits(&fake_session) > 60);
    send_captured();
    assert_non_null(strstr(fake_sent, "\"event\": \"CAPTURE_DATA\""));
    assert_non_null(strstr(fake_sent, "\"data\": \"Cg0NC")); /* as its section begins */
    assert_non_null(strstr(fake_sent, "\"lost\": 0}"));
    snprintf(text, sizeof(text), "\"capture\": %u", id + 1);
    fake_command("capture-close", text, "this session has no capture");
    snprintf(text, sizeof(text), "\"capture\": %u", id);
    fake_command("capture-close", text, "{\"return\": {\"frames\": 1, \"lost\": 0}}");
    fake_command("capture-close", text, "this session has no capture");
    send_captured();
    assert_non_null(strstr(fake_sent, "\"lost\": 0, \"end\": true}"));
    /* A session that ends takes its captures along. */
    fake_command("capture-open", "\"vm\": \"vm0\", \"device\": \"net-0\"",
                 "{\"return\": {\"capture\": ");
    qmp_capture_close_all(&fake_session);
    assert_null(fake_capture);
}

static void test_base64(void **state)
{
    static const char *const pairs[][2] = {
        {"", ""},        {"f", "Zg=="},        {"fo", "Zm8="},
        {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"\xfb\xff", "+/8="}};
    char to[16];

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(pairs); i++) {
        size_t n = base64_encode(to, (const uint8_t *)pairs[i][0], strlen(pairs[i][0]));

        assert_int_equal(n, strlen(pairs[i][1]));
        assert_memory_equal(to, pairs[i][1], n);
    }
}

static void test_stats_chosen(void **state)
{
    (void)state;
    on->boots = 4;
    fake_expect(
        "{\"execute\": \"query-stats\", \"arguments\": {\"target\": \"vm\", \"vm\": \"on\", "
        "\"providers\": [{\"provider\": \"kvm\"}, {\"provider\": \"trapline\", \"names\": "
        "[\"boots\", \"cap\"]}]}}",
        "{\"return\": [{\"provider\": \"trapline\", \"vm\": \"on\", \"stats\": [{\"name\": "
        "\"cap\", \"value\": 0}, {\"name\": \"boots\", \"value\": 4}]}]}\r\n");
    fake_expect("{\"execute\": \"query-stats\", \"arguments\": {\"target\": \"vm\", "
                "\"providers\": [{\"provider\": \"kvm\"}]}}",
                "{\"return\": []}\r\n");
    fake_command("query-stats", "\"target\": \"cryptodev\"", "'target' is neither");
    fake_command("query-stats", "\"target\": \"vm\"", "\"vm\": \"dead\"");
    assert_non_null(strstr(fake_sent, "\"vm\": \"off\""));
    fake_command("query-stats-schemas", "", "{\"provider\": \"trapline\", \"target\": \"vcpu\"");
    assert_non_null(strstr(fake_sent, "{\"name\": \"ran-ns\", \"type\": \"cumulative\", \"unit\": "
                                      "\"seconds\", \"base\": 10, \"exponent\": -9}"));
    assert_non_null(strstr(fake_sent, "{\"name\": \"memory.mapped\", \"type\": \"instant\", "
                                      "\"unit\": \"bytes\", \"exponent\": 0}"));
    fake_command("query-stats-schemas", "\"provider\": \"kvm\"", "{\"return\": []}");
}

static void test_host(void **state)
{
    (void)state;
    fake_command("query-host", "",
                 "\"harts\": [{\"id\": 0, \"hart-id\": 0, \"online\": true, "
                 "\"ran-ns\": 5000000000, \"idle-ns\": 3000000000, ");
    assert_non_null(strstr(fake_sent, "\"runs\": \"idle/0\"}]"));
    assert_non_null(strstr(fake_sent, "\"total\": 67108864, \"reserve\": 1048576, "
                                      "\"promised\": 50331648, \"room\": 6"));
    assert_non_null(strstr(fake_sent, "\"overcommitted\": 0}"));
    on->config.memory = GIB(1);
    fake_command("query-host", "", "\"overcommitted\": 10");
}

static void test_log(void **state)
{
    (void)state;
    log_info("first \"line\"");
    log_info("last line");
    fake_command("query-log", "", "first \\\"line\\\"\", \"");
    fake_command("query-log", "\"lines\": 1", "last line\"]}}");
    assert_null(strstr(fake_sent, "first"));
    fake_command("query-log", "\"lines\": 0", "{\"return\": {\"lines\": []}}");
}

/* ---- shares ---- */

static void test_sched(void **state)
{
    (void)state;
    fake_command("set-sched", "\"vm\": \"on\", \"weight\": 300, \"cap\": 150, \"affinity\": [0, 5]",
                 "{\"return\": {}}");
    assert_int_equal(on->config.sched.weight, 300);
    assert_int_equal(on->config.sched.affinity, 0x21);
    fake_command("query-sched", "\"vm\": \"on\"",
                 "{\"return\": [{\"vm\": \"on\", \"weight\": 300, \"cap\": 150, \"affinity\": [0], "
                 "\"all-harts\": false}]}");
    fake_command("set-sched", "\"vm\": \"on\", \"affinity\": \"all\", \"cap\": 0",
                 "{\"return\": {}}");
    fake_command("query-sched", "",
                 "{\"vm\": \"on\", \"weight\": 300, \"cap\": 0, \"affinity\": [0], "
                 "\"all-harts\": true}, {\"vm\": \"off\", \"weight\": 100");
    for (const char *const *l =
             (const char *const[]){
                 "\"weight\": 0",          "weight is 1 to 10000", "\"weight\": 10001",
                 "weight is 1 to 10000",   "\"cap\": 201",         "at most 100 for each vCPU",
                 "\"cap\": 4294967296",    "at most 100 for each", "\"affinity\": [64]",
                 "harts are 0 to 63",      "\"affinity\": []",     "neither a list",
                 "\"affinity\": \"most\"", "neither a list",       "\"affinity\": [\"0\"]",
                 "harts are 0 to 63",      "\"affinity\": [7]",    "no hart that this machine has",
                 "\"affinity\": null",     "neither a list",       NULL};
         *l; l += 2) {
        char text[100];

        snprintf(text, sizeof(text), "\"vm\": \"on\", %s", l[0]);
        fake_command("set-sched", text, l[1]);
        assert_int_equal(on->config.sched.weight, 300); /* as it was */
    }
}

/* ---- disks ---- */

static void give_disks(void)
{
    static struct blk_backend image = {.sectors = 32768, .serial = "web", .behind = "template"},
                              ram = {.sectors = 2, .read_only = true};

    on->config.disk_count = 1;
    on->config.disk[0] = (struct vm_disk){.kind = VM_DISK_PART, .part = "web", .qcow2 = true};
    on->config.disk[0].limit.iops = 700;
    on->disk[0] = &image;
    off->config.disk_count = 2;
    off->config.disk[0] = (struct vm_disk){.image.name = "root", .read_only = true};
    off->config.disk[1] = (struct vm_disk){.kind = VM_DISK_HOST, .host_index = 0};
    off->disk[0] = off->disk[1] = &ram;
}

static void test_block(void **state)
{
    (void)state;
    give_disks();
    fake_command(
        "query-block", "\"vm\": \"on\"",
        "{\"return\": [{\"device\": \"on/disk-0\", \"type\": \"unknown\", \"removable\": false, "
        "\"locked\": false, \"inserted\": {\"file\": \"web\", \"node-name\": \"web\", \"drv\": "
        "\"qcow2\", \"ro\": false, \"serial\": \"web\", \"bps\": 0, \"bps_rd\": 0, \"bps_wr\": 0, "
        "\"iops\": 700, "
        "\"iops_rd\": 0, \"iops_wr\": 0, \"image\": {\"filename\": \"web\", \"format\": "
        "\"qcow2\", \"virtual-size\": 16777216, \"backing-filename\": \"template\"}}}]}");
    fake_command("query-block", "", "\"file\": \"root\", \"drv\": \"raw\", \"ro\": true");
    assert_non_null(strstr(fake_sent, "{\"device\": \"off/disk-1\""));
    assert_non_null(strstr(fake_sent, "\"filename\": \"host@0\""));
    fake_command("query-block", "\"vm\": \"held\"", "{\"return\": []}");
}

static void test_throttle(void **state)
{
    static const char *const refused[][2] = {
        {"\"device\": \"on/disk-1\"", "on/disk-1: there is no such disk"},
        {"\"device\": \"on/disk-01\"", "there is no such disk"},
        {"\"device\": \"on\"", "there is no such disk"},
        {"\"device\": \"0123456789012345678901234567890123456789\"",
         "no disk has a name that long"},
        {"\"device\": \"on/disk-0\", \"bps_rd\": 1", "'bps_rd': reads and writes are limited"},
        {"\"device\": \"on/disk-0\", \"iops_wr\": 1", "'iops_wr': reads and writes are"},
        {"\"device\": \"on/disk-0\", \"bps\": 65535", "bytes a second are"},
        {"\"device\": \"on/disk-0\", \"bps\": 8589934592", "bytes a second are"},
        {"\"device\": \"on/disk-0\", \"iops\": 10000001", "at most 10000000 requests"},
        {"\"device\": \"on/disk-0\", \"iops\": 4294967297", "at most 10000000 requests"},
        {"\"device\": \"on/disk-0\", \"bps_max\": 0", "Parameter 'bps_max' is unexpected"},
    };

    (void)state;
    give_disks();
    fake_command("block_set_io_throttle",
                 "\"device\": \"on/disk-0\", \"bps\": 1048576, \"bps_rd\": 0, \"bps_wr\": 0, "
                 "\"iops\": 0, \"iops_rd\": 0, \"iops_wr\": 0",
                 "{\"return\": {}}");
    assert_string_equal(fake_disk_deed, "limit web 0 1048576");
    fake_command("block_set_io_throttle", "\"device\": \"on/disk-0\", \"iops\": 40",
                 "{\"return\": {}}");
    assert_string_equal(fake_disk_deed, "limit web 40 1048576");
    fake_disk_deed[0] = '\0';
    for (unsigned i = 0; i < ARRAY_LEN(refused); i++)
        fake_command("block_set_io_throttle", refused[i][0], refused[i][1]);
    assert_string_equal(fake_disk_deed, "");
    assert_int_equal(on->config.disk[0].limit.iops, 40);
    assert_int_equal(on->config.disk[0].limit.bytes, 1 << 20);
}

static void test_images(void **state)
{
    (void)state;
    give_disks();
    fake_disk_more = 2;
    fake_command("query-images", "",
                 "{\"return\": [{\"image\": \"web\", \"format\": \"qcow2\", \"virtual-size\": "
                 "16777216, \"actual-size\": 3145728, \"backing\": \"template\", \"used-by\": "
                 "[\"on/disk-0\"], \"partition\": 20971520, \"disk\": 1}, {\"image\": "
                 "\"template\", \"format\": \"raw\", \"virtual-size\": 8388608, \"actual-size\": "
                 "0, \"used-by\": [\"on/disk-0\", \"off/disk-1\"], \"partition\": 8388608, "
                 "\"disk\": 0}, {\"image\": \"more1\"");
    fake_disk_more = 0;
    fake_disk_slow = true;
    fake_command("query-images", "\"count\": true",
                 "\"actual-size\": 3145728, \"actual-size-incomplete\": true");
    fake_command("query-images", "\"count\": false",
                 "\"virtual-size\": 16777216, \"backing\": \"template\"");
    fake_disk_slow = false;
    fake_command("query-images", "\"count\": 1", "\"error\"");
}

static void test_image_changes(void **state)
{
    static const char *const good[][3] = {
        {"image-create", "\"image\": \"a\", \"size\": 4096", "create a 4096 0 -1 -"},
        {"image-create",
         "\"image\": \"a\", \"size\": 1, \"format\": \"raw\", \"disk\": 3, \"room\": 7",
         "create a 1 7 3 raw -"},
        {"image-create", "\"image\": \"a\", \"size\": 4096, \"backing\": \"b\"",
         "create a 4096 0 -1 b"},
        {"image-clone", "\"image\": \"a\", \"from\": \"b\"", "create a 0 0 -1 b"},
        {"image-clone", "\"image\": \"a\", \"from\": \"b\", \"size\": 512", "create a 512 0 -1 b"},
        {"image-resize", "\"image\": \"a\", \"size\": 8192", "resize a 8192"},
        {"image-delete", "\"image\": \"a\"", "delete a"},
        {"image-delete", "\"image\": \"a\", \"force\": true", "delete a force"},
    };
    static const char *const bad[][3] = {
        {"image-create", "\"image\": \"busy\", \"size\": 1",
         "cannot create busy: 'busy' is in use"},
        {"image-clone", "\"image\": \"busy\", \"from\": \"b\"", "cannot create busy: "},
        {"image-resize", "\"image\": \"busy\", \"size\": 1", "cannot resize busy: "},
        {"image-delete", "\"image\": \"busy\"", "cannot delete busy: "},
    };
    static const char *const wrong[][3] = {
        {"image-create", "\"image\": \"a\", \"size\": 0", "'size': 0 bytes are no disk"},
        {"image-create", "\"image\": \"a\", \"size\": 1, \"format\": \"vmdk\"", "neither"},
        {"image-create", "\"image\": \"a\", \"size\": 1, \"format\": \"qcow2qcow2\"", "neither"},
        {"image-create", "\"image\": \"a\", \"size\": 1, \"format\": \"raw\", \"backing\": \"b\"",
         "a raw image has nothing behind it"},
        {"image-create", "\"image\": \"a\", \"size\": 1, \"room\": 1125899906842625",
         "'room': at most"},
        {"image-delete", "\"image\": \"a\\u0000b\"", "'image': a name has at most 36"},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(good); i++) {
        fake_command(good[i][0], good[i][1], "{\"return\": {}}");
        assert_string_equal(fake_disk_deed, good[i][2]);
    }
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
        fake_command(bad[i][0], bad[i][1], bad[i][2]);
    fake_disk_deed[0] = '\0';
    for (unsigned i = 0; i < ARRAY_LEN(wrong); i++)
        fake_command(wrong[i][0], wrong[i][1], wrong[i][2]);
    assert_string_equal(fake_disk_deed, "");
}

/* ---- attached consoles ---- */

#define OUTPUT(from, text, to) \
    "\"event\": \"CONSOLE_OUTPUT\", \"data\": {\"vm\": \"on\", \"position\": " #from \
    ", \"data\": \"" text "\", \"next\": " #to "}}\r\n"

/* What comes to the client that is chosen. */
static void expect_output(const char *part)
{
    fake_sent_len = 0;
    fake_sent[0] = '\0';
    qmp_send_output(&fake_session);
    fake_step(sizeof(fake_sent) - 1);
    if (part ? !strstr(fake_sent, part) : fake_sent_len != 0)
        fail_msg("got: %s, wanted: %s", fake_sent, part ? part : "nothing");
}

static void write_on(const char *text) { console_write(on->console, text, strlen(text)); }

/* Two clients, each from where it likes; neither takes anything from the other. */
static void test_attach(void **state)
{
    (void)state;
    write_on("one \xe2\x82");
    fake_command("console-attach", "\"vm\": \"on\"", "{\"return\": {\"position\": 0}}");
    assert_int_equal(qmp_output_waits(&fake_session), 6);
    fake_client = 1;
    fake_client_begin(true);
    fake_command("console-attach", "\"vm\": \"on\", \"position\": 6", "{\"position\": 6}");
    assert_int_equal(qmp_output_waits(&fake_session), 0);
    fake_client = 0;
    expect_output(OUTPUT(0, "one ", 4));
    write_on("\xac!"); /* the rest of the character */
    expect_output(OUTPUT(4, "\xe2\x82\xac!", 8));
    expect_output(NULL);
    fake_client = 1;
    expect_output(OUTPUT(6, "\\ufffd!", 8));
    fake_command("console-attach", "\"vm\": \"on\"", "attached to on already");
    fake_command("console-detach", "\"vm\": \"held\"", "not attached to held");
    fake_command("console-detach", "\"vm\": \"on\"", "{\"return\": {}}");
    write_on("x");
    expect_output(NULL);
    fake_client_end();
    fake_client = 0;
    expect_output(OUTPUT(8, "x", 9));
}

/* Watchers are woken once for what they have not looked at; others not at all. */
static void test_attached_are_woken(void **state)
{
    (void)state;
    fake_shell_wakes = 0;
    write_on("a");
    assert_int_equal(fake_shell_wakes, 0);
    fake_command("console-attach", "\"vm\": \"on\"", "\"position\": 0");
    write_on("b");
    write_on("c");
    assert_int_equal(fake_shell_wakes, 1);
    expect_output("\"data\": \"abc\"");
    write_on("d");
    assert_int_equal(fake_shell_wakes, 2);
    fake_client_end();
    write_on("e");
    expect_output(NULL);
    write_on("f");
    assert_int_equal(fake_shell_wakes, 2);
    fake_client_begin(true);
}

/* A client that does not read loses output, and sees how much; memory for it does not grow. */
static void test_attached_slow(void **state)
{
    static char line[1001];
    size_t before;

    (void)state;
    memset(line, 'y', sizeof(line) - 1);
    fake_command("console-attach", "\"vm\": \"on\"", "\"position\": 0");
    write_on("first");
    qmp_send_output(&fake_session);
    fake_step(10); /* it takes so much, then nothing */
    before = fake_session.out.len;
    for (unsigned i = 0; i < 100; i++)
        for (size_t at = 0; at < 1000;)
            at += console_write(on->console, line + at, 1000 - at);
    qmp_send_output(&fake_session);
    assert_int_equal(fake_session.out.len, before);
    assert_int_equal(qmp_output_waits(&fake_session), 0);
    fake_sent_len = 0;
    fake_step(sizeof(fake_sent) - 1);
    expect_output("\"position\": 83621, \"data\": \"yyyy"); /* 5 + 100000 - 16384 */
    assert_non_null(strstr(fake_sent, "\"next\": 100005}}\r\n"));
}

/* The VM goes, and another one of its name comes. */
static void test_attached_to_nothing(void **state)
{
    (void)state;
    fake_command("console-attach", "\"vm\": \"off\"", "\"position\": 0");
    fake_command("vm-destroy", "\"vm\": \"off\"", "{\"return\": {}}");
    off = fake_vm_add("off", 1, VM_OFF);
    console_write(off->console, "news", 4);
    assert_int_equal(qmp_output_waits(&fake_session), 0);
    expect_output(NULL);
    fake_command("console-attach", "\"vm\": \"off\"", "\"position\": 0");
    expect_output("news");
    fake_command("vm-destroy", "\"vm\": \"off\"", "{\"return\": {}}");
    expect_output(NULL);
}

/* ---- looking into a VM ---- */

static void test_registers(void **state)
{
    (void)state;
    on->guest.vcpu[1]->gpr[1] = 0xfedcba9876543210;
    fake_command("query-registers", "\"vm\": \"on\", \"vcpu\": 1",
                 "{\"return\": {\"vm\": \"on\", \"vcpu\": 1, \"status\": \"running\", \"running\": "
                 "true, \"hart\": \"started\", \"in-wfi\": false, \"registers\": {\"ra\": "
                 "\"0xfedcba9876543210\", ");
    assert_non_null(strstr(fake_sent, "\"pc\": \"0x0\""));
    fake_command("query-registers", "\"vm\": \"on\", \"vcpu\": 2", "no such vCPU");
    fake_command("query-registers", "\"vm\": \"off\"", "\"status\": \"prelaunch\"");
    fake_vcpu_stuck = true;
    fake_command("query-registers", "\"vm\": \"on\"", "does not leave its guest");
    fake_vcpu_stuck = false;
}

static void test_walk(void **state)
{
    uint64_t entry = 0x80001000ul >> 12 << 10 | 1;

    (void)state;
    /* Sv39 with its root at the beginning of RAM: a table, in which there is nothing. */
    on->guest.vcpu[0]->csr.vsatp = 8ul << 60 | 0x12ul << 44 | 0x80000000ul >> 12;
    assert_int_equal(guest_mem_write(&on->guest.s2, gpa(0x80000000), &entry, sizeof(entry)), 0);
    fake_command(
        "query-walk", "\"vm\": \"on\", \"gva\": \"0x1234\"",
        "{\"return\": {\"vm\": \"on\", \"vcpu\": 0, \"gva\": \"0x1234\", \"vsatp\": "
        "\"0x8001200000080000\", \"mode\": \"Sv39\", \"asid\": 18, \"steps\": [{\"stage\": "
        "\"vs\", \"level\": 2, \"table\": \"0x80000000\", \"index\": 0, \"pte\": "
        "\"0x20000401\", \"text\": \"----- --  table at gpa 0x80001000\"}, {\"stage\": \"g\"");
    assert_non_null(strstr(fake_sent, "\"fault\": \"no translation: the guest gets a page fault"));
    assert_null(strstr(fake_sent, "\"gpa\": "));
    on->guest.vcpu[0]->csr.vsatp = 0;
    fake_command("query-walk", "\"vm\": \"on\", \"gva\": 2147483652", "\"mode\": \"Bare\"");
    assert_non_null(strstr(fake_sent, "], \"gpa\": \"0x80000004\", \"hpa\": \"0x"));
    assert_null(strstr(fake_sent, "fault\""));
    fake_command("query-walk", "\"vm\": \"on\", \"gva\": \"0x12z\"", "'gva' is no address");
    fake_command("query-walk", "\"vm\": \"on\", \"gva\": []", "'gva' is no address");
    fake_command("query-walk", "\"vm\": \"off\", \"gva\": 0", "off is off: it has no memory");
    fake_command(
        "query-gpa", "\"vm\": \"on\", \"gpa\": \"0x80000000\"",
        "{\"return\": {\"vm\": \"on\", \"mode\": \"Sv39x4\", \"steps\": [{\"stage\": \"g\"");
    fake_command("query-gpa", "\"vm\": \"on\", \"gpa\": \"0x10002008\"",
                 "\"gpa\": \"0x10002008\", \"fault\": \"device virtio2, offset 0x8 ");
    fake_command("query-gpa", "\"vm\": \"off\", \"gpa\": 0", "off is off: it has no memory");
}

static void test_exits(void **state)
{
    (void)state;
    fake_command("set-exit-costs", "\"enable\": true", "{\"return\": {}}");
    assert_true(fake_costs);
    on->guest.vcpu[0]->exits[10] = 4;
    on->guest.vcpu[1]->exits[10] = 6;
    on->guest.vcpu[1]->exits_cost[10] = 900;
    fake_command("query-exits", "\"vm\": \"on\"",
                 "{\"return\": {\"vm\": \"on\", \"costs\": true, \"exits\": [{\"cause\": \"sbi\", "
                 "\"count\": 10, \"instructions\": 900, \"vcpus\": [4, 6]}], \"total\": 10}}");
    fake_command("query-exits", "\"vm\": \"on\", \"vcpu\": 0",
                 "\"count\": 4, \"instructions\": 0, \"vcpus\": [4]}], \"total\": 4}}");
    fake_command("query-exits", "\"vm\": \"on\", \"vcpu\": 2", "no such vCPU");
    fake_command("reset-exits", "\"vm\": \"on\"", "{\"return\": {}}");
    fake_command("query-exits", "\"vm\": \"on\"", "\"exits\": [], \"total\": 0}}");
}

static void test_texts(void **state)
{
    (void)state;
    make_tree(on);
    fake_command("query-fdt", "\"vm\": \"on\"",
                 "{\"return\": {\"source\": \"/dts-v1/;\\r\\n/ {\\r\\n    model = ");
    fake_command("query-fdt", "\"vm\": \"off\"", "has not been started yet");
    fdt_set_totalsize(on->fdt, 1 << 20);
    fdt_set_off_dt_struct(on->fdt, 7);
    fake_command("query-fdt", "\"vm\": \"on\"", "on: the tree is damaged");
    fake_command("query-report", "\"vm\": \"dead\"",
                 "{\"return\": {\"crashed\": true, \"text\": \"dead: oops\\r\\n  pc 0x1234\\r\\n");
    fake_command("query-report", "\"vm\": \"on\"", "{\"crashed\": false, \"text\": \"on: no crash");
}

static void test_nmi_and_sysrq(void **state)
{
    char typed[8];

    (void)state;
    fake_command("inject-nmi", "\"vm\": \"held\"", "held does not run");
    fake_command("inject-nmi", "\"vm\": \"on\", \"vcpu\": 9", "no such vCPU");
    on->guest.vcpu[0]->pc = 0x1234;
    on->guest.vcpu[0]->csr.vsstatus = 0;
    on->guest.vcpu[0]->sstatus = 1 << 8; /* it was in its kernel */
    fake_command("inject-nmi", "\"vm\": \"on\", \"force\": true",
                 "{\"return\": {\"text\": \"on vCPU 0");
    fake_command("sysrq", "\"vm\": \"on\", \"key\": \"l\"", "{\"return\": {}}");
    assert_int_equal(console_read(on->console, typed, sizeof(typed)), 2);
    assert_memory_equal(typed, "\x0fl", 2);
    fake_command("sysrq", "\"vm\": \"on\", \"key\": \"\"", "not one character");
    fake_command("sysrq", "\"vm\": \"on\", \"key\": \"ab\"", "not one character");
    console_type(on->console, "x", 1);
    fake_command("sysrq", "\"vm\": \"on\", \"key\": \"l\"", "does not read its console");
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bad_arguments), TEST(every_state),
        TEST(manuals),       TEST(stats),
        TEST(nets),          TEST(ports),
        TEST(capture),       TEST(base64),
        TEST(stats_chosen),  TEST(host),
        TEST(log),           TEST(sched),
        TEST(attach),        TEST(attached_are_woken),
        TEST(attached_slow), TEST(attached_to_nothing),
        TEST(registers),     TEST(walk),
        TEST(exits),         TEST(texts),
        TEST(nmi_and_sysrq), TEST(block),
        TEST(throttle),      TEST(images),
        TEST(image_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
