// SPDX-License-Identifier: BSD-2-Clause
// Every command on VMs in every state, through the shell: keys in, terminal out.
// units: tests/fake/ctl.units hyp/ctl/cmd_fault.c
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
#include "boot/platform.h"
#include "ctl/command.h"
#include "ctl/console.h"
#include "ctl/ctl.h"
#include "ctl/shell.h"
#include "stage2/guest_mem.h"
#include "vcpu/sse.h"
#include "fake_disks.h"
#include "fake_switch.h"
#include "fake_vm.h"
#include "mem/hostmap.h"
#include "sched/stack.h"
#include "sched/thread_list.h"

#define RAM 0x80000000ul
#define CSI "\x1b["

static char screen[262144];
static size_t screen_len;
static struct vm *on, *off, *held, *dead;
static bool started;

static void host_write(const char *data, size_t len)
{
    assert_true(screen_len + len < sizeof(screen));
    memcpy(screen + screen_len, data, len);
    screen_len += len;
    screen[screen_len] = '\0';
}

static void wake(void) {}

struct thread *thread_create(const char *name, void (*fn)(void *arg), void *arg)
{
    (void)name;
    (void)fn;
    (void)arg;
    return NULL;
}
void thread_wake(struct thread *t) { (void)t; }
void thread_destroy(struct thread *t) { (void)t; }

/* Types a line into the shell; screen then holds what the command wrote. */
static const char *run(const char *line)
{
    console_set_focus(NULL);
    console_host_input(line, strlen(line));
    shell_step();
    screen_len = 0;
    screen[0] = '\0';
    console_host_input("\r", 1);
    shell_step();
    return screen;
}

static void expect(const char *line, const char *what)
{
    if (!strstr(run(line), what))
        fail_msg("`%s`: no \"%s\" in:\n%s", line, what, screen);
}

static void expect_not(const char *line, const char *what)
{
    if (strstr(run(line), what))
        fail_msg("`%s`: \"%s\" in:\n%s", line, what, screen);
}

static uint64_t uart_memory(struct vdev *dev)
{
    (void)dev;
    return 1000;
}
static const struct vdev_ops ops = {.type = "ns16550a", .memory = uart_memory};
static struct vdev uart = {.ops = &ops, .name = "uart0", .size = 0x100, .reads = 3, .writes = 4};
static struct hart hart0, hart1;
static struct thread idle0, boot1, queued, vcpu;

static int setup(void **state)
{
    (void)state;
    fake_vms_start();
    fake_vms_states(&on, &off, &held, &dead);
    uart.base = gpa(0x10000000);
    uart.irq =
        (struct irq_line){.set = (void (*)(void *, uint32_t, bool))(void *)wake, .source = 10};
    assert_int_equal(bus_add(&on->guest.bus, &uart), 0);
    snprintf(dead->crash_report, sizeof(dead->crash_report), "dead: oops\n  pc 0x1234");
    snprintf(dead->end_reason, sizeof(dead->end_reason), "it went wrong");
    console_set_host(host_write);
    if (!started)
        assert_int_equal(shell_init(wake), 0);
    started = true;
    spin_init(&hart0.runq_lock, LOCK_RUNQUEUE);
    spin_init(&hart1.runq_lock, LOCK_RUNQUEUE);
    list_init(&hart0.runq.ready);
    list_init(&hart1.runq.ready);
    strcpy(idle0.name, "shell");
    strcpy(boot1.name, "idle/1");
    strcpy(queued.name, "waits");
    list_push_back(&hart0.runq.ready, &queued.fair.node);
    hart0.current = &idle0;
    thread_list_add(&idle0);
    thread_list_add(&queued);
    strcpy(vcpu.name, "on/1");
    thread_list_add(&vcpu);
    hart1.current = &boot1;
    hart1.hartid = 17;
    atomic_store(&hart0.online, true);
    harts[0] = &hart0;
    harts[1] = &hart1;
    hart_count = 2;
    platform.hart_count = 2;
    platform.hart[0].usable = true;
    platform.hart[1] = (struct platform_hart){.hartid = 33, .why_not = "no H extension"};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    console_set_focus(NULL);
    thread_list_remove(&idle0);
    thread_list_remove(&queued);
    thread_list_remove(&vcpu);
    fake_vms_end();
    return 0;
}

static void test_usage_everywhere(void **state)
{
    static const char *const one_vm[] = {"start", "stop",    "pause",   "resume",
                                         "reset", "destroy", "console", "devices",
                                         "fdt",   "report",  "regs",    "exits"};
    static const char *const none[] = {"list",   "frames", "harts", "threads",
                                       "stacks", "log",    "info",  "clear"};
    char line[64];

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(one_vm); i++) {
        snprintf(line, sizeof(line), "%s", one_vm[i]);
        expect(line, "usage: ");
        snprintf(line, sizeof(line), "%s a b c d", one_vm[i]);
        expect(line, "usage: ");
        snprintf(line, sizeof(line), "%s nobody", one_vm[i]);
        expect(line, "no VM is called nobody");
    }
    for (unsigned i = 0; i < ARRAY_LEN(none); i++) {
        snprintf(line, sizeof(line), "%s x", none[i]);
        expect(line, "usage: ");
    }
    for (const char *const *l =
             (const char *const[]){
                 "regs on x",   "regs on 0x",    "regs on 99999999999999999999999",
                 "regs on -1",  "walk on",       "walk on q",
                 "walk on 0 q", "walk on 0 0 0", "gpa on",
                 "gpa on 12z",  "gpa on 0 0",    "exits on rest",
                 "costs maybe", "costs on on",   "size 1",
                 "size 0 5",    "size 5 1000",   "poweroff never",
                 "fault",       "fault x",       "fault null x",
                 "help a b",    "send on",       NULL};
         *l; l++)
        expect(*l, "usage: ");
    for (const char *const *l = (const char *const[]){"walk no 0", "gpa no 0", "send no x", NULL};
         *l; l++)
        expect(*l, "no VM is called no");
    expect("unknown", "no command unknown");
    expect("help unknown", "no command unknown");
    expect("a b c d e f g h i", "more than 8 words");
    run("");
    run("   \t ");
    assert_null(strstr(screen, "usage"));
}

static void test_help_covers_all(void **state)
{
    char line[64];

    (void)state;
    for (unsigned i = 0; i < command_count; i++) {
        assert_true(commands[i].name || commands[i].qmp_name);
        assert_int_equal(!commands[i].name, !commands[i].run);
        if (commands[i].qmp_name)
            assert_ptr_equal(command_find_qmp(commands[i].qmp_name), &commands[i]);
        if (!commands[i].name)
            continue;
        snprintf(line, sizeof(line), "  %s ", commands[i].name);
        expect("help", line);
        snprintf(line, sizeof(line), "help %s", commands[i].name);
        expect(line, commands[i].help);
        assert_ptr_equal(command_find(commands[i].name), &commands[i]);
    }
}

/* All that look, on VMs in all states, several vCPUs, and while busy: an answer, and nothing stays
 * held. */
static void test_every_state(void **state)
{
    static const char *const look[] = {"list",
                                       "regs %s",
                                       "exits %s",
                                       "exits %s reset",
                                       "walk %s 0x1000",
                                       "walk %s 0xffffffffffffffff",
                                       "gpa %s 0x80000000",
                                       "gpa %s 0xffffffffffffffff",
                                       "devices %s",
                                       "fdt %s",
                                       "report %s",
                                       "console %s",
                                       "send %s x"};
    static const char *const vms[] = {"on", "off", "held", "dead"};
    char line[64];

    (void)state;
    for (int busy = 0; busy < 2; busy++) {
        fake_vm_busy = busy;
        for (unsigned i = 0; i < ARRAY_LEN(look); i++)
            for (unsigned n = 0; n < ARRAY_LEN(vms); n++) {
                snprintf(line, sizeof(line), look[i], vms[n]);
                assert_true(strlen(run(line)) > 10);
                assert_int_equal(fake_vm_claims, 0);
                assert_null(strstr(screen, "usage"));
            }
    }
    fake_vm_busy = true;
    for (const char *const *l =
             (const char *const[]){"regs on", "walk on 0", "gpa on 0", "fdt on", NULL};
         *l; l++)
        expect(*l, "on: another operation on it is under way");
}

static void test_create(void **state)
{
    (void)state;
    expect("create", "usage: create VM");
    expect("create none", "cannot create none: no bundle has a VM of this name");
    expect("create again", "again: 16 MiB when it is started\r\nVMs are promised 48 MiB");
    expect("create again", "cannot create again: there is a VM of this name");
    expect("start again", "VMs are promised 64 MiB");
}

static void test_list(void **state)
{
    (void)state;
    on->started_at = 1000;
    on->guest.s2.mapped_bytes = MIB(4);
    on->guest.s2.shared_bytes = MIB(1);
    held->started_at = 1000;
    held->paused_at = 63000;
    fake_time = 1000 + 3723000;
    run("list");
    assert_non_null(strstr(
        screen, "on               running      2     16 MiB     3072 KiB    1024 KiB     1:02:03"));
    assert_non_null(strstr(screen, "\r\nVMs are promised 48 MiB, the host has 6"));
    assert_non_null(strstr(screen, "0:01:02"));
    assert_non_null(strstr(screen, "it went wrong"));
    on->guest.s2.mapped_bytes = 0; /* read between the steps of its being freed */
    run("list");
    assert_non_null(
        strstr(screen, "on               running      2     16 MiB        0 KiB       0 KiB"));
    console_set_focus(dead->console);
    assert_non_null(strstr(run("list"), "dead"));
    on->config.memory = MIB(100);
    expect("frames", "MiB are overcommitted\r\n");
    fake_vms_end();
    expect("list", "there are no VMs");
    expect("frames", "all");
    expect("threads", "THREAD");
}

static void test_lifecycle(void **state)
{
    (void)state;
    expect_not("pause on", "cannot");
    assert_int_equal(on->state, VM_PAUSED);
    run("resume on");
    assert_int_equal(on->state, VM_RUNNING);
    expect("resume on", "cannot resume on: it is in another state");
    run("stop on");
    assert_int_equal(on->state, VM_OFF);
    run("start on");
    assert_int_equal(on->state, VM_RUNNING);
    run("reset dead");
    assert_int_equal(dead->state, VM_RUNNING);
    expect("destroy on", "cannot destroy on");
    run("destroy off");
    assert_int_equal(fake_destroyed, 1);
    expect("list", "held");
    assert_null(strstr(screen, "\noff"));
    fake_vm_why = "out of luck";
    expect("stop held", "cannot stop held: out of luck");
}

static void test_regs(void **state)
{
    struct vcpu *v = on->guest.vcpu[1];

    (void)state;
    v->gpr[10] = 0x1122334455667788;
    v->csr.vsatp = 0x8000000000080200;
    v->in_wfi = true;
    expect("regs on 1", "on vCPU 1 of 2: VM running, hart started, in WFI");
    assert_non_null(strstr(screen, "  a0 1122334455667788"));
    assert_non_null(strstr(screen, "     vsatp 8000000000080200"));
    for (unsigned i = 0; i < vcpu_reg_count; i++)
        assert_non_null(strstr(screen, vcpu_regs[i].name));
    assert_int_equal(fake_parks, 1);
    assert_int_equal(v->requests, 0); /* goes on */
    assert_false(v->parked);
    expect("regs on 2", "it has no such vCPU");
    expect("regs on 0xffffffffffffffff", "it has no such vCPU");
    run("regs held");
    run("regs dead 2");
    run("regs off");
    assert_int_equal(fake_parks, 1); /* those are parked anyway, and stay so */
    assert_true(held->guest.vcpu[0]->parked);
    fake_vcpu_stuck = true;
    expect("regs on 0", "does not leave its guest");
    assert_int_equal(on->guest.vcpu[0]->requests, 0);
    assert_int_equal(fake_vm_claims, 0);
    dead->guest.vcpu[0]->stop_reason = "a reason";
    expect("regs dead", "crashed, hart started: a reason");
}

static unsigned printing;
static void print_more(void)
{
    if (printing && printing--)
        on->guest.bus.dev[0]->writes++;
}

/* Not in the middle of what a guest prints, where it would wait for itself; but if it prints for ever, all the same. */
static void test_kick_waits_for_devices(void **state)
{
    uint64_t begun = fake_time, writes = on->guest.bus.dev[0]->writes;

    (void)state;
    on->guest.vcpu[1]->sstatus = SSTATUS_SPP;
    on->guest.vcpu[1]->pc = RAM;
    fake_on_yield = print_more;
    printing = 100;
    expect("kick on 1", "hardware-error");
    assert_int_equal(printing, 0);
    assert_in_range(fake_time - begun, 120, 130); /* ms; 20 of them nothing was printed */
    printing = 100000;
    begun = fake_time;
    expect("kick on 1", "hardware-error");
    assert_in_range(fake_time - begun, 1000, 1010);
    fake_on_yield = NULL;
    on->guest.bus.dev[0]->writes = writes;
    on->guest.vcpu[1]->requests = 0;
}

static void test_kick(void **state)
{
    struct vcpu *v = on->guest.vcpu[1];

    (void)state;
    v->sstatus = 0;
    expect("kick on 1", "runs a user program");
    v->sstatus = SSTATUS_SPP;
    v->in_wfi = true;
    expect("kick on 1", "waits for an interrupt");
    v->in_wfi = false;
    v->pc = RAM + 4; /* translation is off: read there */
    assert_int_equal(guest_mem_write(&on->guest.s2, gpa(RAM), "\x73\0\x50\x10", 4), 0);
    expect("kick on 1", "waits for an interrupt");
    v->pc = RAM;
    expect("kick on 1", "waits for an interrupt");
    assert_int_equal(v->requests, 0);
    expect("kick on 1 now", "hardware-error exception at pc 0x80000000");
    assert_int_equal(v->requests, VCPU_REQ_KICK);
    v->requests = 0;
    v->pc = RAM + 8;
    expect("kick on 1", "hardware-error exception at pc 0x80000008");
    v->requests = 0;
    v->csr.vsstatus = SSTATUS_SUM;
    expect("kick on 1", "if nothing comes, again");
    v->csr.vsstatus = 0;
    v->requests = 0;
    v->sse.event[SSE_KICK].attr[SSE_STATUS] = SSE_ENABLED;
    expect("kick on 1", "the software event waits");
    v->sse.unmasked = true;
    expect("kick on 1", "gets the software event");
    assert_int_equal(v->requests, VCPU_REQ_SSE);
    v->requests = 0;
    expect("kick on 1 now", "hardware-error exception");
    v->requests = 0;
    atomic_store(&v->hsm, HSM_STOPPED);
    expect("kick on 1 now", "is stopped or suspended");
    atomic_store(&v->hsm, HSM_STARTED);
    expect("kick held", "does not run");
    expect("kick dead", "does not run");
    expect("kick on 9", "no such vCPU");
    expect("kick on now now", "usage: kick");
    expect("kick", "usage: kick");
    expect("sysrq on", "usage: sysrq");
    expect("sysrq on ll", "usage: sysrq");
}

static void test_exits_and_costs(void **state)
{
    struct vcpu **v = on->guest.vcpu;

    (void)state;
    v[0]->exits[10] = 100;
    v[1]->exits[10] = 20;
    v[1]->exits[21] = 5;
    expect("exits on", "sbi                           120          -  0:100 1:20\r\n");
    assert_non_null(strstr(screen, "total                         125"));
    assert_non_null(strstr(screen, "`costs on`"));
    expect("costs", "costs are not counted");
    expect("costs on", "began anew");
    assert_true(fake_costs);
    assert_int_equal(v[0]->exits[10], 0);
    v[0]->exits[10] = 4;
    v[0]->exits_cost[10] = 600;
    expect("exits on", "sbi                             4        150  0:4");
    expect("costs on", "began anew"); /* on already: nothing is lost */
    assert_int_equal(v[0]->exits[10], 4);
    run("exits on reset");
    assert_int_equal(v[0]->exits[10] + v[0]->exits_cost[10], 0);
    expect("exits on", "total                           0");
    run("costs off");
    assert_false(fake_costs);
    for (unsigned i = 0; i < EXIT_CAUSES; i++)
        v[0]->exits[i] = v[1]->exits[i] = ~0ul / 2;
    run("exits on"); /* wide numbers stay within their lines */
}

static void poke(struct vm *vm, uint64_t g, uint64_t v)
{
    assert_int_equal(guest_mem_write(&vm->guest.s2, gpa(g), &v, 8), 0);
}

static void test_walk(void **state)
{
    struct vcpu *v = on->guest.vcpu[1];

    (void)state;
    expect("walk on 0x80000000", "vsatp 0 (Bare, ASID 0)");
    assert_non_null(strstr(screen, "gpa 0x80000000\r\n"));
    assert_non_null(strstr(screen, "RAM that was not touched yet"));
    v->csr.vsatp = 8ul << 60 | 5ul << 44 | (RAM + 0x1000) >> 12;
    poke(on, RAM + 0x1000 + 8 * 510, (RAM + 0x2000) >> 2 | PTE_V);
    poke(on, RAM + 0x2000, (RAM + 0x200000) >> 2 | 0xCF);
    poke(on, RAM + 0x200000, 1);
    poke(on, RAM + 0x2000 + 8, (0x10000000 >> 2) | 0x40000000000000C7);
    poke(on, RAM + 0x2000 + 16, (RAM + 0x1000) >> 2 | PTE_V | PTE_W);
    poke(on, RAM + 0x2000 + 24, 0x7000000 >> 2 | PTE_V);
    expect("walk on 0xffffffff80000123 1", "(Sv39, ASID 5)");
    assert_non_null(strstr(screen, "VS level 2  table gpa 0x000080001000 [ 510]  0000000020000801  "
                                   "----- --  table at gpa 0x80002000"));
    assert_non_null(strstr(screen, "VS level 1  table gpa 0x000080002000 [   0]  00000000200800cf  "
                                   "rwx-- ad  2 MiB page at gpa 0x80200000"));
    assert_non_null(strstr(screen, "    G  level 2  table hpa 0x"));
    assert_non_null(strstr(screen, "rwxu- ad  "));
    assert_non_null(strstr(screen, "gpa 0x80200123\r\n"));
    assert_non_null(strstr(strstr(screen, "gpa 0x80200123"), "    = hpa 0x"));
    expect("walk on 0xffffffff80200004 1", "device uart0, offset 0x4");
    assert_non_null(strstr(screen, "rw--- ad  2 MiB page at gpa 0x10000000, io"));
    expect("walk on 0xffffffff80400000 1", "reserved: w without r");
    assert_non_null(strstr(screen, "no translation: the guest gets a page fault"));
    expect("walk on 0xffffffff80600000 1", "cannot be read: the table is not in RAM");
    expect("walk on 0xffffffff90000000 1", "not valid");
    expect("walk on 0xff00000000000000 1", "not canonical");
    v->csr.vsatp = 3ul << 60;
    expect("walk on 0 1", "an unknown mode");
    expect("walk off 0", "off is off: it has no memory");
    expect("walk on 0 7", "no such vCPU");
    assert_int_equal(on->guest.vcpu[1]->requests, 0);
}

static void test_gpa(void **state)
{
    (void)state;
    poke(held, RAM, 7);
    expect("gpa held 0x80000008", "    = hpa 0x8");
    expect("gpa held 0x80900000", "not touched yet");
    expect("gpa on 0x100000ff", "device uart0, offset 0xff");
    expect("gpa held 0x20000000", "nothing: an access here stops");
    expect("gpa held 0x20000000000", "beyond the 41 bits of Sv39x4");
    expect("gpa held 2147483648", "    = hpa 0x8");
    expect("gpa off 0", "it has no memory");
}

static void make_tree(struct vm *vm)
{
    static const uint8_t bytes[] = {1, 2, 3};
    void *fdt = calloc(1, 8192);
    char list[200];
    int node;

    assert_int_equal(fdt_create_empty_tree(fdt, 8192), 0);
    assert_int_equal(fdt_setprop_string(fdt, 0, "compatible", "riscv-virtio"), 0);
    assert_int_equal(fdt_setprop_u32(fdt, 0, "#address-cells", 2), 0);
    node = fdt_add_subnode(fdt, 0, "soc");
    assert_int_equal(fdt_setprop(fdt, node, "ranges", NULL, 0), 0);
    assert_int_equal(fdt_setprop(fdt, node, "bytes", bytes, 3), 0);
    assert_int_equal(fdt_setprop_u64(fdt, node, "reg", 0x80000000), 0);
    assert_int_equal(fdt_setprop(fdt, node, "quote", "a\"b\0c\\d", 8), 0);
    memset(list, 'w', sizeof(list));
    for (unsigned i = 9; i < sizeof(list); i += 10)
        list[i] = '\0';
    assert_int_equal(fdt_setprop(fdt, node, "many", list, sizeof(list)), 0);
    node = fdt_add_subnode(fdt, node, "uart@10000000");
    assert_int_equal(fdt_setprop_string(fdt, node, "status", "okay"), 0);
    assert_int_equal(fdt_setprop_string(fdt, fdt_add_subnode(fdt, 0, "chosen"), "bootargs", "a=b"),
                     0);
    vm->fdt = fdt;
}

static void test_fdt(void **state)
{
    (void)state;
    expect("fdt on", "has not been started yet");
    make_tree(on);
    run("fdt on");
    assert_non_null(strstr(screen, "/dts-v1/;\r\n/ {\r\n    #address-cells = <0x2>;\r\n"));
    assert_non_null(strstr(screen, "    compatible = \"riscv-virtio\";\r\n"));
    assert_non_null(strstr(screen, "        ranges;\r\n"));
    assert_non_null(strstr(screen, "        bytes = [01 02 03];\r\n"));
    assert_non_null(strstr(screen, "        reg = <0x0 0x80000000>;\r\n"));
    assert_non_null(strstr(screen, "        quote = \"a\\\"b\", \"c\\\\d\";\r\n"));
    assert_non_null(strstr(
        screen,
        "        uart@10000000 {\r\n            status = \"okay\";\r\n        };\r\n    };\r\n"));
    assert_non_null(strstr(screen, "        many = \"wwwwwwwww\", "));
    assert_non_null(strstr(screen, "};\r\n")); /* all closed */
    unsigned open = 0, close = 0;
    for (const char *s = screen; *s; s++) {
        open += *s == '{';
        close += *s == '}';
    }
    assert_int_equal(open, close);
    for (char *line = strtok(screen, "\r\n"); line; line = strtok(NULL, "\r\n"))
        assert_true(strlen(line) <= 110);
    memset((char *)on->fdt + 64, 0xFF, 40); /* damaged: said, and nothing worse */
    expect("fdt on", "damaged");
}

static void test_disk(void **state)
{
    (void)state;
    expect("disk", "   1 web                         20 qcow2         16 in use  template");
    expect("disk create web 10G", "");
    assert_string_equal(fake_disk_deed, "create web 10737418240 0 -1 -");
    expect("disk create web 4096 raw on=2 room=1T", "");
    assert_string_equal(fake_disk_deed, "create web 4096 1099511627776 2 raw -");
    expect("disk clone base web", "");
    assert_string_equal(fake_disk_deed, "create web 0 0 -1 base");
    expect("disk clone base web 20M room=5M", "");
    assert_string_equal(fake_disk_deed, "create web 20971520 5242880 -1 base");
    expect("disk resize web 0x10K", "");
    assert_string_equal(fake_disk_deed, "resize web 16384");
    expect("disk delete web", "");
    assert_string_equal(fake_disk_deed, "delete web");
    expect("disk delete web force", "");
    assert_string_equal(fake_disk_deed, "delete web force");
    on->config.disk_count = 2;
    on->disk[0] = on->disk[1] = &(struct blk_backend){.serial = "on-0"};
    expect("disk limit on/disk-1 iops=500 bytes=2M", "");
    assert_string_equal(fake_disk_deed, "limit on-0 500 2097152");
    assert_int_equal(on->config.disk[1].limit.iops, 500);
    expect("disk limit on/disk-1 iops=off", "");
    assert_string_equal(fake_disk_deed, "limit on-0 0 2097152");
    fake_disk_deed[0] = 0;
    expect("disk limit on/disk-2 iops=1", "no VM has a disk on/disk-2");
    expect("disk limit nobody/disk-0 iops=1", "no VM has a disk");
    expect("disk limit disk-0 iops=1", "no VM has a disk");
    expect("disk limit on/disk-0 bytes=60K", "cannot limit on/disk-0: bytes a second are");
    expect("disk limit on/disk-0 iops=4G", "cannot limit on/disk-0: at most 10000000 requests");
    expect("disk limit on/disk-0", "usage: disk");
    expect("disk limit on/disk-0 iops=", "usage: disk");
    expect("disk limit on/disk-0 ops=1", "usage: disk");
    assert_string_equal(fake_disk_deed, "");
    assert_int_equal(on->config.disk[1].limit.iops, 0);
    assert_int_equal(on->config.disk[0].limit.bytes, 0);
    expect("disk delete busy", "cannot delete busy: 'busy' is in use");
    expect("disk resize busy 1G", "cannot resize busy: 'busy' is in use");
    expect("disk create busy 1G", "cannot create busy: 'busy' is in use");
    fake_disk_deed[0] = 0;
    static const char *const wrong[] = {
        "disk web",
        "disk create",
        "disk create web",
        "disk create web G",
        "disk create web 0",
        "disk create web 1X",
        "disk create web 2000T",
        "disk create web 1 thin",
        "disk create web 1 on=x",
        "disk clone web",
        "disk clone a b 1 raw",
        "disk resize web",
        "disk resize web 1 2",
        "disk delete",
        "disk delete web now",
        "disk delete web force now",
        "disk create web 11111111111111111111111111",
    };
    for (unsigned i = 0; i < ARRAY_LEN(wrong); i++)
        expect(wrong[i], "usage: disk");
    assert_string_equal(fake_disk_deed, "");
}

static void test_net(void **state)
{
    (void)state;
    expect("net", "lan0: internal, MTU 1500, 2 ports, 3 addresses learnt");
    expect("net", "  vm1.0            02:54:ab:00:00:01 up           7");
    expect("net", "dropped: 0 malformed, 1 of other addresses");
    expect("net link vm0.0 down", "");
    assert_false(fake_link);
    expect("net", "  vm0.0            02:54:ab:00:00:00 down");
    expect("net link vm0.0 up", "");
    assert_true(fake_link);
    expect("net link vm9.0 up", "no port is called vm9.0");
    expect("net link vm0.0", "usage: net");
    expect("net link vm0.0 sideways", "usage: net");
    expect("net pull vm0.0 up", "usage: net");
    expect("net set lan0 mode=nat", "");
    expect("net", "lan0: nat");
    expect("net set lan9 mode=nat", "lan9: no switch has this name");
    expect("net set lan0 mode=odd", "usage: net");
    expect("net set lan0 mode", "usage: net");
    expect("net set lan0 color=red", "usage: net");
    expect("net set lan0 a-word-that-is-as-long-as-that=1", "usage: net");
    expect("net set lan0 mode=bridge subnet=10.78.0.0/33", "usage: net");
    expect("net", "lan0: nat");
    expect("net set lan0 mode=bridge subnet=10.78.0.0/24 dns=10.0.2.3", "");
    assert_int_equal(fake_net.mode, SWITCH_BRIDGE);
    assert_int_equal(fake_net.subnet, 0x0a4e0000);
    assert_int_equal(fake_net.dns, 0x0a000203);
    expect("net set lan0 mode=nat subnet=10.77.0.0/24 dns=dhcp", "");
    expect("net port vm0.0 rate=2M isolated=on", "");
    expect("net", "    sends at most 2097152 bytes a second");
    expect("net", "    isolated");
    expect("net port vm0.0 rate=off isolated=off", "");
    assert_null(strstr(run("net"), "isolated"));
    expect("net port vm0.0 rate=2M rate=off", ""); /* the last one counts */
    assert_null(strstr(run("net"), "sends at most"));
    expect("net port vm0.0 rate=5", "usage: net");
    expect("net port vm9.0 isolated=on", "no card is called vm9.0");
    expect("net port vm0.0 isolated=maybe", "usage: net");
    expect("net forward add lan0 tcp:2222:vm0:22", "");
    expect("net", "  tcp port 2222 goes to vm0.0 port 22, 10.77.0.2");
    expect("net forward add lan0 udp:2222:vm0:22", "lan0: the port is forwarded already");
    expect("net forward rm lan0 udp:2222", "lan0: this port is not forwarded");
    expect("net forward rm lan0 tcp:2222", "");
    expect("net forward add lan0 2222", "usage: net");
    expect("net forward rm lan0 tcp:0", "usage: net");
    expect("net set lan0 mode=internal", "");
}

static void test_devices_report_frames(void **state)
{
    (void)state;
    expect("devices on",
           "uart0      ns16550a       0x10000000      0x100    10            3            4");
    dead->guest.vcpu[2]->gpr[1] = 0xABC;
    dead->guest.vcpu[1]->last_exit = 18; /* two of the ring's 16 are lost */
    dead->guest.vcpu[1]->last_exits[2] = (struct exit_record){.pc = 0x2222, .row = 21};
    dead->guest.vcpu[1]->last_exits[1] = (struct exit_record){.pc = 0x1111, .row = 23, .htval = 5};
    expect("report dead", "dead: oops\r\n  pc 0x1234\r\n");
    assert_non_null(
        strstr(screen, "dead vCPU 2 of 3: VM crashed, hart started\r\n  ra 0000000000000abc"));
    assert_non_null(strstr(screen, "last 16 exits of vCPU 1, oldest first:\r\n"));
    char *oldest = strstr(screen, "pc 0000000000002222"),
         *newest = strstr(screen, "pc 0000000000001111 stval 0000000000000000 htval 5");
    assert_true(oldest && newest && oldest < newest);
    expect("report on", "no crash since its last start");
    expect("frames", "no VM");
    assert_non_null(strstr(screen, "\ndead "));
    expect("harts", "   1       17 offline       0  idle/1");
    assert_non_null(strstr(screen, "33 not used      -  no H extension"));
    expect("threads", "on/1");
    assert_non_null(strstr(screen, "waits"));
    atomic_store(&vcpu.state, THREAD_RUNNING);
    atomic_store(&vcpu.on_hart, true);
    fake_time += 5000;
    vcpu.time[THREAD_RAN] = 1000;
    vcpu.since = fake_time - 2345;
    expect("threads", "running     0        3.345 s"); /* what is not accounted for yet, too */
    atomic_store(&vcpu.on_hart, false);
    expect("threads",
           "running     0        1.000 s"); /* an idle thread while others have its hart */
    atomic_store(&vcpu.state, THREAD_READY);
    expect("info", "no banner");
}

/* Paint that is left shows how deep a stack was used, by kind; what ended is remembered. */
static void test_dump(void **state)
{
    static char text[] = "Sixteen of these, then one\n";
    struct stage2 *s2 = &dead->guest.s2;
    char line[64];

    (void)state;
    expect("dump dead 0 16", "0 is not RAM");
    expect("dump dead 0x80000000 0", "usage");
    expect("dump dead 0x80000000 0xffffffffffffffff", "usage");
    expect("dump off", "it has no memory");
    expect("dump dead", "(16384 KiB were never touched: zeroes)");
    /* An image's bytes are there before anybody has touched them. */
    assert_int_equal(stage2_add_image(s2, gpa(RAM + MIB(4) + 8), text, sizeof(text)), 0);
    expect("gpa dead 0x80400008", "not touched yet: an image's");
    expect("dump dead 0x80400000 0x20", "00 00 00 00 00 00 00 00  53 69 78 74 65 65 6e 20");
    expect("gpa dead 0x80400008", "= hpa");
    assert_int_equal(guest_mem_write(s2, gpa(RAM + 0x2ff8), text, sizeof(text)), 0);
    snprintf(line, sizeof(line), "dump dead %#lx 0x30", RAM + 0x2ffc);
    expect(
        line,
        "0000000080002ff0  00 00 00 00 00 00 00 00  53 69 78 74 65 65 6e 20  |........Sixteen |\r\n"
        "0000000080003000  6f 66 20 74 68 65 73 65  2c 20 74 68 65 6e 20 6f  |of these, then o|\r\n"
        "0000000080003010  6e 65 0a 00 00 00 00 00  00 00 00 00 00 00 00 00  |ne..............|\r\n"
        "0000000080003020  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\r\n"
        "0000000080003030\r\n");
    snprintf(line, sizeof(line), "dump dead %#lx 0x2000", RAM + 0x2000);
    expect(
        line,
        "0000000080002000  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\r\n"
        "*\r\n"
        "0000000080002ff0  00");
    assert_non_null(strstr(
        screen,
        "0000000080003020  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\r\n"
        "*\r\n"
        "0000000080004000\r\n"));
}

static void test_stacks(void **state)
{
    uint64_t words[THREAD_STACK_SIZE / 8];

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(words); i++)
        words[i] = STACK_PAINT;
    words[ARRAY_LEN(words) - 100] = 0;
    words[ARRAY_LEN(words) - 1] = 7;
    vcpu.stack = words;
    vcpu.switch_in = (void (*)(struct thread *))(void *)wake;
    expect("stacks", "vCPUs                          1     800    7392");
    expect("stacks", "well: of 8192 bytes, 1024 are to stay unused");
    expect("threads", "    800\r\n");
    stack_check(&vcpu);
    words[STACK_MARGIN / 8 - 1] = 0;
    expect("stacks", "TOO DEEP");
    expect_assert_failure(stack_check(&vcpu));
    words[0] = 1;
    assert_int_equal(stack_deepest(words), THREAD_STACK_SIZE);
    stack_note_end(&vcpu);
    vcpu.stack = NULL;
    vcpu.switch_in = NULL;
    expect("stacks", "vCPUs                          0    8192       0");
}

static void test_shares(void **state)
{
    (void)state;
    fair_group_init(&on->guest.sched);
    fake_group_changes = 0;
    expect("set on", "on: weight 100, cap -, affinity all");
    expect("set on weight=250 cap=150 affinity=0-1", "on: weight 250, cap 150%, affinity 0-1");
    assert_int_equal(fake_group_changes, 2);
    assert_int_equal(on->guest.sched.weight, 250);
    assert_int_equal(on->guest.sched.cap, 150);
    assert_int_equal(on->guest.sched.affinity, 3);
    expect("top", "250 150% 0-1");
    expect("set on affinity=1,0 cap=off", "weight 250, cap -, affinity 0-1");
    expect("set on affinity=all", "affinity all");
    assert_int_equal(on->guest.sched.affinity, FAIR_ALL_HARTS);
    /* What is wrong changes nothing. */
    static const char *const wrong[] = {
        "weight=0",    "weight=10001",   "weight=",      "cap=201",     "cap=x",
        "affinity=",   "affinity=64",    "affinity=1-0", "affinity=0,", "affinity=7",
        "affinity=0-", "affinity=0-1-2", "speed=3",
    };
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char line[64];

        snprintf(line, sizeof(line), "set on weight=7 %s", wrong[i]);
        run(line);
        assert_null(strstr(screen, ", cap "));
        assert_int_equal(on->config.sched.weight, 250);
    }
    expect("set on cap=201", "at most 100 for each vCPU");
    expect("set on affinity=7", "no hart that this machine has");
    expect("set on speed=3", "'speed=3' is none of");
    on->guest.vcpu[1]->thread.time[THREAD_CAPPED] =
        1500; /* ms: the clock of this machine has 1000 Hz */
    expect("top on", "  vCPU 1");
    assert_non_null(strstr(screen, "1.500"));
    expect("top nobody", "no VM is called nobody");
}

static void test_console_and_send(void **state)
{
    char in[64];

    (void)state;
    run("console on");
    assert_true(console_has_focus(on->console));
    run("send on ls -l\\r\\x1D\\\\");
    assert_int_equal(console_read(on->console, in, sizeof(in)), 8);
    assert_memory_equal(in, "ls -l\r\x1d\\", 8);
    run("send on \"a  b\" c");
    assert_int_equal(console_read(on->console, in, sizeof(in)), 6);
    assert_memory_equal(in, "a  b c", 6);
    expect("send on \\q", "an escape is one of");
    expect("send on \\x1", "an escape is one of");
    expect("send on \\", "an escape is one of");
    for (int i = 0; i < 8; i++)
        run("send on "
            "0123456789012345678901234567890123456789012345678901234567890123456789012345678"
            "901234567890123456789012345678901234567890123456789");
    expect("send on xx", "xx" + 2);
    expect("size 100 40", "100 columns, 40 rows");
    expect("size", "100 columns, 40 rows");
    run("size 80 24");
    run("clear");
    assert_non_null(strstr(screen, CSI "2J"));
}

static void test_poweroff(void **state)
{
    (void)state;
    expect("poweroff", "on is running");
    assert_non_null(strstr(screen, "held is paused"));
    assert_non_null(strstr(screen, "poweroff now"));
    assert_int_equal(fake_machine_off, 0);
    expect("poweroff now", "the firmware did not power off");
    assert_int_equal(fake_machine_off, 1);
    assert_int_equal(on->state, VM_OFF);
    assert_int_equal(held->state, VM_OFF);
    run("poweroff");
    assert_int_equal(fake_machine_off, 2);
}

static void test_fault_drill(void **state)
{
    (void)state;
    expect("fault", "kinds: null, stack, text, rodata, data, panic");
    assert_non_null(strstr(run("fault ro\tx"), "kinds: "));
    expect("fault undefined", "only a debug build");
    expect("fault stuck", "the watchdog is switched off");
    hart_spin_limit = 1;
    expect("fault deadlock", "nobody noticed, which is a defect"); /* no thread can be made */
    hart_count = 1;
    expect("fault deadlock", "with one hart there is nobody to see it");
    hart_spin_limit = 0;
    expect_assert_failure(run("fault panic"));
}

static void test_completion(void **state)
{
    (void)state;
    run("pau\tdea\t");
    assert_non_null(strstr(screen, "cannot pause dead"));
    run("pause o\tn"); /* off, on: nothing unique */
    assert_int_equal(on->state, VM_PAUSED);
    assert_non_null(strstr(run("he\tpow\t"), "power off the machine"));
    run("exits on re\t");
    assert_null(strstr(screen, "usage"));
    console_host_input("re\t", 3);
    screen_len = 0;
    console_host_input("\t", 1);
    shell_step();
    assert_non_null(strstr(screen, "resume"));
    assert_non_null(strstr(screen, "regs"));
    assert_non_null(strstr(screen, "trapline> re"));
    console_host_input("\x03", 1);
    shell_step();
    screen_len = 0;
    console_host_input("\x04", 1);
    shell_step();
    assert_non_null(strstr(screen, "Ctrl-] leaves this shell"));
}

/* What only the protocol has: messages, one a line, all of one session. */
static void test_qmp(void **state)
{
    (void)state;
    expect("qmp", "usage: ");
    expect("qmp {\"execute\": \"query-status\", \"arguments\": {\"vm\": \"held\"}}",
           "{\"return\": {\"status\": \"paused\", \"running\": false}}\r\n");
    expect("qmp {\"execute\": \"query-version\", \"id\": \"cut", "Invalid JSON syntax");
    expect("qmp {\"execute\": \"query-version\"}", "{\"return\": {\"qemu\"");
    expect("qmp {\"execute\": \"a\"}{\"execute\": \"b\"}", "The command b has not been found");
    expect("qmp nonsense", "Invalid JSON syntax");
    expect("qmp {\"execute\": \"console-attach\", \"arguments\": {\"vm\": \"on\"}}",
           "gets no events: `console on`");
    expect("qmp {\"execute\": \"human-monitor-command\", \"arguments\": {\"command-line\": "
           "\"qmp {}\"}}",
           "this is the protocol already");
}

/* What a guest or bundle can name must not drive the terminal. */
static void test_output_is_printable(void **state)
{
    (void)state;
    snprintf(dead->end_reason, sizeof(dead->end_reason), "evil " CSI "2J\a\r\n\xff");
    run("list");
    assert_null(strstr(screen, CSI "2J"));
    assert_null(strchr(screen, '\a'));
    assert_null(strchr(screen, '\xff'));
    srand(9);
    for (int i = 0; i < 3000; i++) { /* lines of noise and of true words */
        static const char *const words[] = {"walk", "on",    "off", "0x80000000", "1",    "regs",
                                            "\"",   "exits", "gpa", "dead",       "help", "held",
                                            "\t",   "send",  "\\",  "fdt"};
        char line[150] = "";
        for (int n = rand() % 9; n > 0; n--) {
            strcat(line, words[rand() % 16]);
            strcat(line, rand() % 4 ? " " : "");
        }
        run(line);
        assert_int_equal(fake_vm_claims, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_usage_everywhere, setup, teardown),
        cmocka_unit_test_setup_teardown(test_help_covers_all, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_state, setup, teardown),
        cmocka_unit_test_setup_teardown(test_create, setup, teardown),
        cmocka_unit_test_setup_teardown(test_list, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lifecycle, setup, teardown),
        cmocka_unit_test_setup_teardown(test_regs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kick, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kick_waits_for_devices, setup, teardown),
        cmocka_unit_test_setup_teardown(test_exits_and_costs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_walk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gpa, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fdt, setup, teardown),
        cmocka_unit_test_setup_teardown(test_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_net, setup, teardown),
        cmocka_unit_test_setup_teardown(test_devices_report_frames, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dump, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stacks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_shares, setup, teardown),
        cmocka_unit_test_setup_teardown(test_console_and_send, setup, teardown),
        cmocka_unit_test_setup_teardown(test_poweroff, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fault_drill, setup, teardown),
        cmocka_unit_test_setup_teardown(test_completion, setup, teardown),
        cmocka_unit_test_setup_teardown(test_qmp, setup, teardown),
        cmocka_unit_test_setup_teardown(test_output_is_printable, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
