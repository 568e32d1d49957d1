// SPDX-License-Identifier: BSD-2-Clause
// The life of VMs over fakes: what a start puts where, every operation in every state, guests that
// shut down, reboot and crash, vCPUs and disks that do not answer, memory and parts running out at
// every step, and not one frame lost by it.
// units: hyp/vm/vm.c hyp/vm/vm_sched.c hyp/vm/vm_devices.c hyp/vm/vm_watchdog.c vdev/watchdog.c hyp/vm/vm_load.c hyp/vm/lifecycle.c hyp/vm/manager.c
// units: hyp/vm/poweroff.c hyp/vm/layout.c hyp/vm/guest_fdt.c vdev/bus.c vdev/ramdisk.c
// units: hyp/vm/vm_memory.c hyp/vm/vm_relief.c hyp/vm/vm_account.c hyp/vm/vm_from_bundle.c hyp/vm/bundle.c hyp/vm/bundle_net.c hyp/net/net_text.c hyp/vm/fit.c hyp/vm/hash.c hyp/vm/event.c hyp/vm/bundle_memory.c hyp/mem/frame_run.c
// units: hyp/base/state.c hyp/mem/frame.c hyp/mem/frame_boot.c hyp/mem/frame_ref.c tests/fake/fake_vcpu.c tests/fake/fake_base.c
// units: tests/fake/fake_mem.c hyp/sched/fair.c
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

#include "fake_mem.h"
#include "fake_vcpu.h"
#include "mem/frame.h"
#include "vcpu/sbi/sbi.h"
#include "vm/layout.h"
#include "vm/vm_ops.h"
#include "vdev/backend.h"

static struct vm_config config;
static uint8_t kernel[300000], initrd[70000];
static const char *why;
static unsigned srst_calls;
static unsigned long srst_reason;

static struct sbi_ret firmware(unsigned long ext, unsigned long fid, const unsigned long a[6])
{
    assert_int_equal(ext, SBI_EXT_SRST);
    assert_int_equal(fid, 0);
    assert_int_equal(a[0], 0);
    srst_calls++;
    srst_reason = a[1];
    return (struct sbi_ret){-2, 0};
}

static int setup(void **state)
{
    (void)state;
    fake_vm_start(MIB(128));
    fake_sbi = firmware;
    srst_calls = 0;
    for (unsigned i = 0; i < sizeof(kernel); i++)
        kernel[i] = (uint8_t)(i * 7 + (i >> 8));
    for (unsigned i = 0; i < sizeof(initrd); i++)
        initrd[i] = (uint8_t)(i * 11 + (i >> 7));
    memset(&config, 0, sizeof(config));
    strcpy(config.name, "vm0");
    strcpy(config.bootargs, "quiet");
    config.vcpus = 2;
    config.memory = MIB(32);
    config.kernel = (struct vm_image){"kernel", kernel, sizeof(kernel)};
    config.initrd = (struct vm_image){"initrd", initrd, sizeof(initrd)};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (unsigned i = 0; i < VM_MAX; i++) {
        struct vm *vm = vm_at(i);
        if (!vm)
            continue;
        fake_device_busy = 0;
        fake_park_never = false;
        if (atomic_load(&vm->state) != VM_OFF && vm_stop(vm, &why))
            return -1;
        if (vm_destroy(vm, &why))
            return -1;
    }
    fake_vm_end();
    return fake_parts != 0 || fake_heap_blocks != 0 || fake_reset_while_busy;
}

static struct vm *make(void)
{
    struct vm *vm = NULL;
    const char *reason = "";
    if (vm_create(&config, &vm, &reason))
        fail_msg("vm_create: %s", reason);
    return vm;
}

static void ok(int error)
{
    if (error)
        fail_msg("%d: %s", error, why);
}

static uint64_t owned(struct vm *vm)
{
    uint64_t counts[FRAME_STATES], sum = 0;

    frame_count(vm->guest.id, counts);
    for (unsigned i = 0; i < FRAME_STATES; i++)
        sum += counts[i];
    return sum;
}

static void says(const char *text)
{
    if (!strstr(fake_log, text))
        fail_msg("the log does not say '%s':\n%s", text, fake_log);
}

static void guest_asks(struct vm *vm, enum guest_event event, uint32_t reason)
{
    vm->guest.ops->event(&vm->guest, event, reason);
}

static void run_manager(void)
{
    while (fake_manager_run() || fake_timer_run())
        ;
}

static enum vm_state state_of(struct vm *vm) { return (enum vm_state)atomic_load(&vm->state); }

static void test_create(void **state)
{
    struct vm *vm, *other;

    (void)state;
    vm = make();
    assert_ptr_equal(vm_find("vm0"), vm);
    assert_null(vm_find("vm1"));
    assert_ptr_equal(vm_at(0), vm);
    assert_null(vm_at(VM_MAX));
    assert_int_equal(vm->guest.id, 1);
    assert_int_equal(vm->guest.vcpu_count, 2);
    assert_int_equal(vm->guest.bus.count, 4);
    assert_int_equal(state_of(vm), VM_OFF);
    assert_int_equal(owned(vm), 0);
    assert_int_equal(vm_create(&config, &other, &why), -EEXIST);
    assert_non_null(why);
    assert_int_equal(vm->guest.ops->console_write(&vm->guest, "abc", 3), 3);
    for (unsigned i = 1; i < VM_MAX; i++) {
        snprintf(config.name, sizeof(config.name), "v%u", i);
        config.vcpus = 1;
        make();
    }
    strcpy(config.name, "one-too-many");
    assert_int_equal(vm_create(&config, &other, &why), -ENOSPC);
    assert_null(other);
    /* A place that is free again is used again. */
    ok(vm_destroy(vm_find("v7"), &why));
    assert_null(vm_find("v7"));
    assert_int_equal(make()->guest.id, 8);
}

/* A VM keeps the bundle that it came from; the last one that goes frees it. */
static void test_keeps_its_bundle(void **state)
{
    struct bundle *b, *gone;
    struct vm *first, *second;

    (void)state;
    assert_int_equal(bundle_alloc(MIB(3), &b), 0);
    memcpy(b->data, kernel, sizeof(kernel));
    config.bundle = b;
    config.kernel.data = b->data;
    first = make();
    assert_int_equal(vm_create(&config, &second, &why), -EEXIST);
    strcpy(config.name, "second");
    second = make();
    bundle_put(b); /* as whoever sent it */
    ok(vm_destroy(first, &why));
    gone = bundle_from(b->id);
    assert_ptr_equal(gone, b);
    bundle_put(gone);
    ok(vm_start(second, &why));
    ok(vm_stop(second, &why));
    ok(vm_destroy(second, &why));
    assert_null(bundle_from(0));
}

static void test_create_refused(void **state)
{
    struct vm *vm;
    struct vm_config good = config;

    (void)state;
#define REFUSED(change) \
    do { \
        config = good; \
        change; \
        why = NULL; \
        assert_int_equal(vm_create(&config, &vm, &why), -EINVAL); \
        assert_non_null(why); \
        assert_null(vm); \
    } while (0)
    REFUSED(config.name[0] = 0);
    REFUSED(memset(config.name, 'x', VM_NAME_MAX));
    REFUSED(config.vcpus = 0);
    REFUSED(config.vcpus = GUEST_MAX_VCPUS + 1);
    REFUSED(config.memory = 0);
    REFUSED(config.memory = MIB(1) + 1);
    REFUSED(config.memory = 1ull << 41);
    REFUSED(config.kernel.size = 0);
    REFUSED(config.disk_count = VM_MAX_DISKS + 1);
    REFUSED(config.net_count = VM_MAX_NETS + 1);
    assert_null(vm_at(0));
}

/* Whatever cannot be made, nothing of the VM stays. */
static void test_create_out_of_parts(void **state)
{
    struct vm *vm;
    unsigned failures = 0;

    (void)state;
    fake_host_disks = 1;
    config.disk_count = 2;
    config.disk[0].kind = VM_DISK_HOST;
    config.disk[1].kind = VM_DISK_RAM;
    config.disk[1].image = config.initrd;
    config.net_count = 1;
    strcpy(config.net[0].network.name, "lan0");
    for (int left = 0;; left++, failures++) {
        fake_creates_left = left;
        why = NULL;
        if (vm_create(&config, &vm, &why) == 0)
            break;
        assert_non_null(why);
        assert_null(vm_at(0));
        assert_int_equal(fake_parts, 0);
    }
    /* console, vCPUs, devices, disks (the RAM disk is real), port and card */
    assert_int_equal(failures, 1 + 2 + 4 + 3 + 2);
    assert_string_equal(fake_last_port.name, "vm0.0");
    assert_memory_equal(fake_last_port.mac, "\x02\x54\x69\xdb\xe9\x5a", 6);
    ok(vm_destroy(vm, &why));
    fake_creates_left = -1;
    for (fake_heap_left = 0;; failures++) {
        int left = fake_heap_left;
        if (vm_create(&config, &vm, &why) == 0)
            break;
        assert_int_equal(fake_parts, 0);
        assert_int_equal(fake_heap_blocks, 0);
        fake_heap_left = left + 1;
    }
    fake_heap_left = -1;
    assert_true(failures >= 10 + 2);
    assert_int_equal(vm->guest.bus.count, 7);
    config.net_count = 0;
    assert_string_equal(vm->guest.bus.dev[5]->name, "virtio3");
    assert_int_equal(vm->guest.bus.dev[5]->base.v, 0x10004000);
    assert_int_equal(vm->guest.bus.dev[5]->irq.source, 4);
    strcpy(config.name, "second");
    config.disk_count = 1;
    assert_int_equal(vm_create(&config, &vm, &why), -ENODEV);
    assert_non_null(strstr(why, "another VM"));
    config.disk[0].host_index = 1;
    assert_int_equal(vm_create(&config, &vm, &why), -ENODEV);
    assert_non_null(strstr(why, "no such host disk"));
    config.disk[0].kind = VM_DISK_PART;
    strcpy(config.disk[0].part, "home");
    assert_int_equal(vm_create(&config, &vm, &why), -ENOENT);
    assert_non_null(strstr(why, "no such partition"));
}

static void test_start(void **state)
{
    static uint8_t back[300000];
    struct vm *vm = make();
    uint64_t fdt, base;
    const fdt64_t *p;
    int len;

    (void)state;
    ok(vm_start(vm, &why));
    assert_int_equal(state_of(vm), VM_RUNNING);
    says("vm0: started");
    assert_int_equal(vm->guest.vcpu[0]->pc, 0x80200000);
    assert_int_equal(atomic_load(&vm->guest.vcpu[0]->hsm), HSM_STARTED);
    assert_int_equal(atomic_load(&vm->guest.vcpu[1]->hsm), HSM_STOPPED);
    for (unsigned i = 0; i < 2; i++)
        assert_false(atomic_load(&vm->guest.vcpu[i]->parked));
    assert_int_equal(vm->guest.time_delta + fake_time, 0);
    fake_guest_read(vm, 0x80200000, back, sizeof(kernel));
    assert_memory_equal(back, kernel, sizeof(kernel));
    fdt = vm->guest.vcpu[0]->gpr[11];
    fake_guest_read(vm, fdt, back, 65536);
    assert_int_equal(fdt_check_full(back, 65536), 0);
    assert_memory_equal(back, vm->fdt, fdt_totalsize(vm->fdt));
    p = fdt_getprop(back, fdt_path_offset(back, "/chosen"), "linux,initrd-start", &len);
    assert_int_equal(len, 8);
    base = fdt64_ld(p);
    assert_true(base > fdt && base + sizeof(initrd) <= 0x80000000 + MIB(32));
    fake_guest_read(vm, base, back, sizeof(initrd));
    assert_memory_equal(back, initrd, sizeof(initrd));
    /* kernel, initrd, device tree: never more than their own 2 MiB pieces */
    assert_true(fake_mem_writes <= 4);
    assert_int_equal(vm->boots, 1);
}

/* Which operation works in which state; the others change nothing and say why. */
static void test_every_operation_in_every_state(void **state)
{
    static int (*const op[])(struct vm *, const char **) = {vm_start, vm_stop, vm_pause, vm_resume,
                                                            vm_reset};
    static const bool allowed[4][5] = {
        [VM_OFF] = {true, false, false, false, false},
        [VM_RUNNING] = {false, true, true, false, true},
        [VM_PAUSED] = {false, true, false, true, true},
        [VM_CRASHED] = {false, true, false, false, true},
    };
    static const enum vm_state after[] = {VM_RUNNING, VM_OFF, VM_PAUSED, VM_RUNNING, VM_RUNNING};
    struct vm *vm = make();

    (void)state;
    ok(vm_manager_start(false));
    run_manager();
    for (unsigned s = 0; s < 4; s++)
        for (unsigned o = 0; o < 5; o++) {
            if (state_of(vm) != VM_OFF)
                ok(vm_stop(vm, &why));
            if (s != VM_OFF)
                ok(vm_start(vm, &why));
            if (s == VM_PAUSED)
                ok(vm_pause(vm, &why));
            if (s == VM_CRASHED) {
                guest_asks(vm, GUEST_CRASHED, 0);
                run_manager();
            }
            assert_int_equal(state_of(vm), s);
            why = NULL;
            if (allowed[s][o]) {
                ok(op[o](vm, &why));
                assert_int_equal(state_of(vm), after[o]);
            } else {
                assert_int_equal(op[o](vm, &why), -EBUSY);
                assert_non_null(why);
                assert_int_equal(state_of(vm), s);
            }
            /* And while something else is under way, none. */
            vm->busy = true;
            assert_int_equal(op[o](vm, &why), -EBUSY);
            assert_non_null(strstr(why, "another operation"));
            assert_int_equal(vm_destroy(vm, &why), -EBUSY);
            vm->busy = false;
        }
    ok(vm_stop(vm, &why));
    ok(vm_start(vm, &why));
    assert_int_equal(vm_destroy(vm, &why), -EBUSY);
}

static void test_twenty_reboots(void **state)
{
    struct vm *vm = make();
    uint64_t free_off = 0, free_on = 0;
    unsigned heap = 0;
    static const enum guest_event events[] = {GUEST_REBOOT_COLD, GUEST_REBOOT_WARM, GUEST_SHUTDOWN,
                                              GUEST_CRASHED};

    (void)state;
    ok(vm_manager_start(false));
    run_manager();
    ok(vm_start(vm, &why));
    ok(vm_stop(vm, &why)); /* the heap has grown as much as it will */
    for (unsigned i = 0; i < 40; i++) {
        if (!free_off) {
            free_off = frame_free_count();
            heap = fake_heap_blocks;
        }
        assert_int_equal(fake_heap_blocks, heap);
        assert_int_equal(frame_free_count(), free_off);
        assert_int_equal(owned(vm), 0);
        ok(vm_start(vm, &why));
        if (!free_on)
            free_on = frame_free_count();
        for (unsigned r = 0; r < 2; r++) {
            guest_asks(vm, events[i % 2], 0);
            run_manager();
            assert_int_equal(state_of(vm), VM_RUNNING);
            assert_int_equal(frame_free_count(), free_on);
        }
        guest_asks(vm, events[2 + (i / 2) % 2], 0);
        run_manager();
        if ((i / 2) % 2) {
            assert_int_equal(state_of(vm), VM_CRASHED);
            assert_true(owned(vm) > 0); /* to be looked at */
            ok(i % 2 ? vm_stop(vm, &why) : vm_reset(vm, &why));
            if (i % 2 == 0)
                ok(vm_stop(vm, &why));
        }
        assert_int_equal(state_of(vm), VM_OFF);
    }
    assert_null(strstr(fake_log, "not given back"));
    says("vm0: stopped: guest shut down (no reason given)");
    says("vm0: stopped: guest rebooted");
    assert_int_equal(srst_calls, 0);
}

static void test_power_off(void **state)
{
    struct vm *vm;

    (void)state;
    fake_host_disks = 1;
    config.disk_count = 1;
    config.disk[0].kind = VM_DISK_HOST;
    config.autostart = true;
    vm = make();
    ok(vm_manager_start(true));
    run_manager();
    assert_int_equal(state_of(vm), VM_RUNNING);
    assert_int_equal(srst_calls, 0);
    /* What a person stops does not power the machine off. */
    ok(vm_stop(vm, &why));
    run_manager();
    assert_int_equal(srst_calls, 0);
    assert_int_equal(state_of(vm), VM_OFF);
    ok(vm_start(vm, &why));
    fake_device_busy = 50;
    guest_asks(vm, GUEST_SHUTDOWN, 1);
    guest_asks(vm, GUEST_CRASHED, 0); /* another vCPU is too late */
    run_manager();
    says("vm0: stopped: guest shut down (system failure)");
    assert_int_equal(srst_calls, 1);
    assert_int_equal(srst_reason, 0);
    assert_int_equal(fake_flushes, 1);
    says("cannot power off");
}

/* Kept up, the machine goes to its shell: at the console of a VM that is off nothing answers. */
static void test_kept_up(void **state)
{
    struct vm *a, *b;

    (void)state;
    config.autostart = true;
    a = make();
    strcpy(config.name, "b");
    b = make();
    fake_focus = a->console;
    ok(vm_manager_start(false));
    run_manager();
    guest_asks(a, GUEST_SHUTDOWN, 0);
    run_manager();
    assert_ptr_equal(fake_focus, a->console); /* b runs */
    guest_asks(b, GUEST_CRASHED, 0);
    run_manager();
    assert_null(fake_focus);
    says("no VM runs: ");
    assert_int_equal(srst_calls, 0);
}

/* It waits, can be stopped meanwhile, and is carried out when its time has come. */
static void test_reboot_at_once(void **state)
{
    struct vm *vm = make();

    (void)state;
    ok(vm_manager_start(false));
    run_manager();
    ok(vm_start(vm, &why));
    guest_asks(vm, GUEST_REBOOT_COLD, 0);
    while (fake_manager_run())
        ;
    assert_int_equal(vm->boots, 1);
    assert_int_equal(state_of(vm), VM_RUNNING);
    assert_false(vm->busy);
    assert_true(fake_timer_run());
    run_manager();
    assert_int_equal(vm->boots, 2);
    guest_asks(vm, GUEST_REBOOT_WARM, 0);
    while (fake_manager_run())
        ;
    ok(vm_stop(vm, &why));
    run_manager();
    assert_int_equal(state_of(vm), VM_OFF);
    assert_int_equal(vm->boots, 2);
    ok(vm_start(vm, &why)); /* what does not begin again does not wait */
    guest_asks(vm, GUEST_SHUTDOWN, 0);
    while (fake_manager_run())
        ;
    assert_int_equal(state_of(vm), VM_OFF);
}

static unsigned logged_of(const char *what)
{
    unsigned n = 0;

    for (const char *at = fake_log; (at = strstr(at, what)); at++)
        n++;
    return n;
}

/* A guest that does nothing but reboot does not fill the log; what a person does is always there, and the end too. */
static void test_reboots_do_not_fill_the_log(void **state)
{
    struct vm *vm = make();

    (void)state;
    ok(vm_manager_start(false));
    run_manager();
    ok(vm_start(vm, &why));
    for (unsigned i = 0; i < 100; i++) {
        guest_asks(vm, i % 2 ? GUEST_REBOOT_COLD : GUEST_WATCHDOG, 0);
        run_manager();
    }
    assert_int_equal(vm->boots, 101);
    assert_int_equal(logged_of("\n") + 1, LOG_BURST + 1);
    ok(vm_reset(vm, &why));
    assert_int_equal(logged_of("reset by command"), 1);
    for (unsigned i = 0; i < 100; i++) {
        guest_asks(vm, GUEST_REBOOT_WARM, 0);
        run_manager();
    }
    assert_int_equal(logged_of("\n"), 2 * LOG_BURST);
    guest_asks(vm, GUEST_SHUTDOWN, 0);
    run_manager();
    assert_int_equal(logged_of("stopped: guest shut down"), 1);
    ok(vm_start(vm, &why));
    assert_int_equal(logged_of("\n"), 2 * LOG_BURST + 2);
}

static void test_power_off_waits_for_the_last(void **state)
{
    struct vm *a, *b;

    (void)state;
    config.autostart = true;
    a = make();
    strcpy(config.name, "b");
    b = make();
    strcpy(config.name, "c");
    config.autostart = false;
    make();
    ok(vm_manager_start(true));
    run_manager();
    assert_int_equal(state_of(b), VM_RUNNING);
    a->guest.vcpu[1]->stop_reason = "a load that nothing handles";
    a->guest.vcpu[1]->pc = 0x1234;
    guest_asks(a, GUEST_CRASHED, 0);
    run_manager();
    assert_int_equal(state_of(a), VM_CRASHED);
    assert_string_equal(a->end_reason, "a load that nothing handles");
    assert_non_null(strstr(a->crash_report, "vCPU 1"));
    assert_non_null(strstr(a->crash_report, "0x1234"));
    assert_int_equal(srst_calls, 0);
    ok(vm_pause(b, &why));
    run_manager();
    assert_int_equal(srst_calls, 0);
    ok(vm_resume(b, &why));
    guest_asks(b, GUEST_SHUTDOWN, 0x1234);
    run_manager();
    says("b: stopped: guest shut down (reason 0x1234)");
    assert_int_equal(srst_calls, 1);
    assert_int_equal(srst_reason, 1); /* one has crashed */
}

static void test_none_can_start(void **state)
{
    (void)state;
    config.autostart = true;
    config.memory = MIB(2);
    make();
    ok(vm_manager_start(true));
    run_manager();
    says("vm0: cannot start: memory: 2048 KiB of RAM cannot hold");
    assert_int_equal(srst_calls, 1);
    assert_int_equal(srst_reason, 1);
}

static void test_nothing_to_run(void **state)
{
    (void)state;
    ok(vm_manager_start(true));
    run_manager();
    assert_int_equal(srst_calls, 1);
    assert_int_equal(srst_reason, 0);
}

static void test_flush_that_never_ends(void **state)
{
    (void)state;
    fake_host_disks = 1;
    config.disk_count = 1;
    config.disk[0].kind = VM_DISK_HOST;
    make();
    fake_flush_lost = true;
    vm_machine_off(false);
    says("disk host0: could not be flushed");
    fake_flush_ends();
    assert_int_equal(srst_calls, 1);
}

/* An event that comes while a person's command is under way is not lost, nor carried out twice. */
static void test_event_during_operation(void **state)
{
    struct vm *vm = make();

    (void)state;
    ok(vm_manager_start(false));
    run_manager();
    ok(vm_start(vm, &why));
    run_manager();
    vm->busy = true;
    guest_asks(vm, GUEST_SHUTDOWN, 0);
    run_manager();
    assert_int_equal(state_of(vm), VM_RUNNING);
    vm->busy = false;
    ok(vm_pause(vm, &why)); /* its end wakes the manager */
    run_manager();
    assert_int_equal(state_of(vm), VM_OFF);
    /* Stopped faster than the manager looked: the next boot is not shut down by it. */
    ok(vm_start(vm, &why));
    guest_asks(vm, GUEST_SHUTDOWN, 0);
    ok(vm_reset(vm, &why));
    run_manager();
    assert_int_equal(state_of(vm), VM_RUNNING);
}

/* ---- memory that ends ---- */

static void ignore_done(struct blk_request *r) { (void)r; }

static pa_t hoard[40000];
static unsigned hoarded;

/* The hypervisor takes all that guests could still have. */
static void use_up(void)
{
    while (frame_guests_may_have(1, false))
        assert_int_equal(frame_alloc(FRAME_ORDER_4K, FRAME_HYP, OWNER_HYP, &hoard[hoarded++]), 0);
}

static void give_back(void)
{
    while (hoarded)
        frame_put(hoard[--hoarded]);
}

static struct vm *make_holding(const char *name, uint64_t bytes, unsigned weight)
{
    struct vm *vm;

    snprintf(config.name, sizeof(config.name), "%s", name);
    config.sched.weight = weight;
    vm = make();
    ok(vm_start(vm, &why));
    vm->guest.s2.mapped_bytes = bytes; /* as if */
    vm->guest.s2.shared_bytes = MIB(1);
    vm->guest.s2.mapped_bytes += MIB(1);
    return vm;
}

/* One VM is stopped, which holds most for its weight; the others go on. */
static void test_memory_ends(void **state)
{
    struct vm *small, *heavy, *hog;

    (void)state;
    ok(vm_manager_start(false));
    run_manager();
    small = make_holding("small", MIB(8), 0);
    heavy = make_holding("heavy", MIB(40), 300);
    hog = make_holding("hog", MIB(20), 100);
    run_manager();
    assert_int_equal(state_of(hog), VM_RUNNING); /* nothing is wrong yet */
    use_up();
    assert_true(small->guest.ops->no_memory(&small->guest)); /* though it is another that asked */
    run_manager();
    assert_int_equal(state_of(hog), VM_OFF);
    assert_int_equal(owned(hog), 0);
    assert_int_equal(state_of(small), VM_RUNNING);
    assert_int_equal(state_of(heavy), VM_RUNNING);
    assert_string_equal(hog->end_reason, "the host had no memory left, and it held most: 20 MiB");
    assert_non_null(strstr(hog->crash_report, "the most of all VMs for its weight"));
    says("memory: none is left but");
    says("memory: heavy holds 40 MiB of its own, weight 300");
    says("hog: stopped: the host had no memory left");
    assert_false(atomic_load(&small->guest.s2.starved));
    /* The next: 40 / 300 is more than 8 / 100. A paused one can go too. */
    ok(vm_pause(heavy, &why));
    use_up();
    assert_true(small->guest.ops->no_memory(&small->guest));
    run_manager();
    assert_int_equal(state_of(heavy), VM_OFF);
    assert_int_equal(state_of(small), VM_RUNNING);
    give_back();
    /* It starts as if nothing had been. */
    ok(vm_start(hog, &why));
    assert_int_equal(hog->crash_report[0], 0);
    assert_false(atomic_load(&hog->guest.s2.starved));
}

/* Whoever has the VM keeps it until his operation ends; then it goes, unless there is memory again. */
static void test_memory_ends_while_busy(void **state)
{
    struct vm *hog;

    (void)state;
    ok(vm_manager_start(false));
    run_manager();
    hog = make_holding("hog", MIB(20), 100);
    use_up();
    hog->busy = true;
    assert_true(hog->guest.ops->no_memory(&hog->guest));
    run_manager();
    assert_int_equal(state_of(hog), VM_RUNNING);
    assert_true(atomic_load(&hog->guest.s2.starved));
    give_back();
    vm_release(hog);
    run_manager();
    assert_int_equal(state_of(hog), VM_RUNNING);
    assert_false(atomic_load(&hog->guest.s2.starved));
    use_up();
    hog->busy = true;
    assert_true(hog->guest.ops->no_memory(&hog->guest));
    run_manager();
    vm_release(hog);
    run_manager();
    assert_int_equal(state_of(hog), VM_OFF);
    give_back();
}

/* One whose disk never answers keeps its memory: the next goes. With none left, the vCPU crashes its VM. */
static void test_memory_ends_and_nobody_can_go(void **state)
{
    struct vm *stuck, *other;

    (void)state;
    ok(vm_manager_start(false));
    run_manager();
    fake_host_disks = 1;
    config.disk_count = 1;
    config.disk[0].kind = VM_DISK_HOST;
    stuck = make_holding("stuck", MIB(30), 100);
    config.disk_count = 0;
    other = make_holding("other", MIB(20), 100);
    use_up();
    fake_device_busy = 1000000;
    assert_true(other->guest.ops->no_memory(&other->guest));
    run_manager();
    says("stuck: cannot be stopped for its memory");
    assert_int_equal(state_of(stuck), VM_CRASHED);
    assert_int_equal(state_of(other), VM_RUNNING);
    fake_device_busy = 0;
    assert_true(other->guest.ops->no_memory(&other->guest));
    run_manager();
    assert_int_equal(state_of(other), VM_OFF);
    use_up();
    assert_true(stuck->guest.ops->no_memory(&stuck->guest));
    run_manager();
    assert_int_equal(state_of(stuck), VM_CRASHED);
    assert_false(stuck->guest.ops->no_memory(&stuck->guest));
    give_back();
}

/* What was written to RAM disks is memory too, and outlives a stop. */
static void test_memory_ends_by_disks(void **state)
{
    char page[PAGE_SIZE];
    struct blk_segment seg = {page, sizeof(page)};
    struct blk_request r = {.op = BLK_WRITE, .sectors = 8, .seg = &seg, .seg_count = 1};
    struct vm *writer, *other;

    (void)state;
    ok(vm_manager_start(false));
    run_manager();
    config.disk_count = 1;
    config.disk[0].kind = VM_DISK_RAM;
    config.disk[0].image = config.initrd;
    strcpy(config.name, "writer");
    writer = make();
    r.done = ignore_done;
    memset(page, 7, sizeof(page));
    for (r.sector = 0; r.sector < 16 * 8; r.sector += 8)
        assert_int_equal(writer->disk[0]->submit(writer->disk[0]->ctx, &r), 0);
    assert_int_equal(r.result, 0);
    config.disk_count = 0;
    other = make_holding("other", 0, 100);
    other->guest.s2.table_frames = 0;
    use_up();
    assert_true(other->guest.ops->no_memory(&other->guest));
    run_manager();
    says("writer: what it had written to its RAM disks is dropped");
    assert_int_equal(state_of(writer), VM_OFF);
    assert_int_equal(state_of(other), VM_RUNNING);
    r.op = BLK_READ;
    r.sector = 0;
    assert_int_equal(writer->disk[0]->submit(writer->disk[0]->ctx, &r), 0);
    assert_memory_equal(page, initrd, sizeof(page));
    give_back();
}

static struct vm *beside, *held;

static void manager_looks(void)
{
    fake_step = NULL;
    use_up();
    assert_true(beside->guest.ops->no_memory(&beside->guest));
    run_manager();
}

/* The manager wants the memory of a VM that is being destroyed. Its end wakes the manager, as that of any operation:
 * else nothing would, when memory ends again. */
static void test_memory_ends_while_destroyed(void **state)
{
    struct vm *hog;

    (void)state;
    ok(vm_manager_start(false));
    run_manager();
    beside = make_holding("beside", MIB(2), 100);
    fake_host_disks = 1;
    config.disk_count = 1;
    config.disk[0].kind = VM_DISK_HOST;
    hog = make_holding("hog", MIB(20), 100);
    manager_event(&hog->guest, GUEST_CRASHED, 0);
    run_manager();
    assert_int_equal(state_of(hog), VM_CRASHED);
    fake_device_busy = 3;
    fake_step = manager_looks;
    ok(vm_destroy(hog, &why));
    assert_null(vm_find("hog"));
    assert_int_equal(state_of(beside), VM_RUNNING);
    run_manager();
    use_up();
    assert_true(beside->guest.ops->no_memory(&beside->guest));
    run_manager();
    assert_int_equal(state_of(beside), VM_OFF);
    give_back();
}

static void let_go_late(void)
{
    assert_string_equal(held->config.name, "vm0"); /* it is there, though no longer in the list */
    assert_null(vm_find("vm0"));
    if (fake_steps == 5)
        vm_let_go(held);
}

/* What the manager looks at on another hart is not freed meanwhile. */
static void test_destroy_waits_for_who_looks(void **state)
{
    struct vm *vm = make();

    (void)state;
    held = vm_hold(vm->guest.id - 1u);
    assert_ptr_equal(held, vm);
    fake_steps = 0;
    fake_step = let_go_late;
    ok(vm_destroy(vm, &why));
    assert_int_equal(fake_steps, 5);
    fake_step = NULL;
    assert_null(vm_hold(0));
    assert_null(vm_hold(VM_MAX));
}

static void test_pause_stops_the_clock(void **state)
{
    struct vm *vm = make();
    uint64_t guest_time;

    (void)state;
    ok(vm_start(vm, &why));
    fake_time += 1000000;
    ok(vm_pause(vm, &why));
    guest_time = fake_time + vm->guest.time_delta;
    assert_int_equal(guest_time, fake_time - vm->started_at);
    fake_time += 123456789;
    vm->guest.vcpu[0]->wake_at = guest_time + 5;
    ok(vm_resume(vm, &why));
    assert_int_equal(fake_time + vm->guest.time_delta, guest_time);
    assert_int_equal(fake_timers_set, 2); /* timers in host time are set again */
    assert_int_equal(vm->guest.vcpu[0]->wake_at, guest_time + 5);
    for (unsigned i = 0; i < 2; i++)
        assert_false(atomic_load(&vm->guest.vcpu[i]->parked));
    ok(vm_stop(vm, &why));
    vm->guest.sstc = true;
    ok(vm_start(vm, &why));
    ok(vm_pause(vm, &why));
    ok(vm_resume(vm, &why));
    assert_int_equal(fake_timers_set, 2);
}

static void test_vcpu_does_not_park(void **state)
{
    struct vm *vm = make();

    (void)state;
    ok(vm_manager_start(false));
    run_manager();
    ok(vm_start(vm, &why));
    fake_park_never = true;
    assert_int_equal(vm_stop(vm, &why), -ETIMEDOUT);
    assert_non_null(strstr(why, "vCPU"));
    assert_int_equal(state_of(vm), VM_RUNNING);
    assert_int_equal(vm_pause(vm, &why), -ETIMEDOUT);
    assert_int_equal(state_of(vm), VM_RUNNING);
    assert_true(owned(vm) > 0);
    fake_park_never = false;
    ok(vm_stop(vm, &why));
    assert_int_equal(owned(vm), 0);
}

static void test_disk_does_not_answer(void **state)
{
    struct vm *vm;

    (void)state;
    fake_host_disks = 1;
    config.disk_count = 1;
    config.disk[0].kind = VM_DISK_HOST;
    vm = make();
    ok(vm_manager_start(false));
    run_manager();
    ok(vm_start(vm, &why));
    fake_device_busy = 1000000;
    assert_int_equal(vm_stop(vm, &why), -ETIMEDOUT);
    assert_non_null(strstr(why, "disk"));
    assert_int_equal(state_of(vm), VM_CRASHED);
    assert_true(owned(vm) > 0); /* DMA may still go there */
    assert_int_equal(vm_destroy(vm, &why), -ETIMEDOUT);
    assert_false(vm->busy);
    fake_device_busy = 20;
    ok(vm_stop(vm, &why));
    assert_int_equal(state_of(vm), VM_OFF);
    assert_int_equal(owned(vm), 0);
    assert_false(fake_reset_while_busy);
}

/* With any number of frames left, a start that runs out of memory leaves nothing behind. */
static void test_start_out_of_memory(void **state)
{
    unsigned failures = 0;

    (void)state;
    for (uint64_t left = 0; left < 1024; left = left < 128 ? left + 1 : left + 32) {
        struct vm *vm = make();
        pa_t p;
        int error;

        fake_mem_start(MIB(16));
        stage2_modes = 1u << STAGE2_SV39X4;
        while (frame_free_count() > left)
            assert_int_equal(frame_alloc(FRAME_ORDER_4K, FRAME_HYP, OWNER_HYP, &p), 0);
        for (unsigned again = 0, settled = 0; again < 3; again++) {
            error = vm_start(vm, &why);
            if (error) {
                assert_int_equal(error, -ENOMEM);
                assert_non_null(strstr(why, "out of memory"));
                failures++;
            } else {
                assert_int_equal(vm_start(vm, &why), -EBUSY);
                ok(vm_stop(vm, &why));
            }
            assert_int_equal(state_of(vm), VM_OFF);
            assert_int_equal(owned(vm), 0);
            if (again == 0) /* frame.c may keep a page to describe a block that was split */
                settled = (unsigned)frame_free_count();
            assert_int_equal(frame_free_count(), settled);
            assert_true(settled + 4 >= left);
        }
        ok(vm_destroy(vm, &why));
    }
    assert_true(failures > 100);
    assert_null(strstr(fake_log, "not given back"));
}

static void test_more_than_stage2_can(void **state)
{
    struct vm *vm;

    (void)state;
    stage2_modes = 0;
    vm = make();
    assert_int_equal(vm_start(vm, &why), -EINVAL);
    assert_non_null(strstr(why, "more than this machine can translate"));
    assert_int_equal(state_of(vm), VM_OFF);
}

/* Switches the watchdog on, for 5 s, or feeds it. */
static void watchdog_write(struct vm *vm, unsigned reg, uint32_t v)
{
    struct mmio_access a = {
        .gpa = gpa(GUEST_WATCHDOG_BASE + reg), .width = 4, .write = true, .value = v};

    assert_int_equal(bus_access(&vm->guest.bus, &a), MMIO_OK);
}

static void test_watchdog(void **state)
{
    struct vm *vm;
    uint64_t from, left;

    (void)state;
    config.watchdog = true;
    vm = make();
    ok(vm_manager_start(false));
    run_manager();
    ok(vm_start(vm, &why));
    assert_int_equal(vm_virtio_count(vm), 2); /* it is not taken for one */
    assert_true(fdt_node_offset_by_compatible(vm->fdt, -1, "allwinner,sun20i-d1-wdt") > 0);
    watchdog_write(vm, 0x18, 0x16aa0051);
    from = fake_time;
    fake_time += timer_us(4000000);
    watchdog_write(vm, 0x10, 0x14af);
    assert_int_equal(vm->watchdog.backend.left(vm), 5000000);
    /* Paused, it does not run out, whatever the timer does. */
    fake_time += timer_us(2000000);
    ok(vm_pause(vm, &why));
    left = vm->watchdog.backend.left(vm);
    assert_in_range(left, 2900000, 3000000); /* parking takes time, too */
    assert_true(fake_timer_run());
    assert_true(fake_time >= from + timer_us(9000000));
    assert_int_equal(vm->watchdog.backend.left(vm), left);
    run_manager();
    assert_int_equal(state_of(vm), VM_PAUSED);
    ok(vm_resume(vm, &why));
    assert_int_equal(vm->watchdog.backend.left(vm), left);
    from = fake_time;
    run_manager();
    assert_int_equal(vm->boots, 2);
    assert_true(fake_time >= from + timer_us(left));
    assert_int_equal(state_of(vm), VM_RUNNING);
    says("vm0: stopped: its watchdog expired");
    /* After the reset it is off, and so it is after a stop. */
    assert_false(fake_timer_run());
    watchdog_write(vm, 0x18, 0x16aa0051);
    ok(vm_stop(vm, &why));
    assert_false(fake_timer_run());
    assert_int_equal(vm->boots, 2);
}

static void test_stats(void **state)
{
    struct vm *vm = make();

    (void)state;
    fake_options[0] = "stats";
    ok(vm_start(vm, &why));
    vm->guest.vcpu[0]->exits[10] = 40;
    vm->guest.vcpu[1]->exits[10] = 2;
    vm->guest.vcpu[1]->exits[21] = 100;
    ok(vm_stop(vm, &why));
    says("vm0: exits total=142 a-cause-of-exits-10:42 a-cause-of-exits-21:100\n");
    ok(vm_start(vm, &why)); /* counted from 0 again; and when there are many causes */
    for (unsigned i = 0; i < EXIT_CAUSES; i++)
        vm->guest.vcpu[0]->exits[i] = UINT64_MAX / EXIT_CAUSES;
    ok(vm_stop(vm, &why));
    says("vm0: exits (more) ");
    says("a-cause-of-exits-63:288230376151711743\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_create, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keeps_its_bundle, setup, teardown),
        cmocka_unit_test_setup_teardown(test_create_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_create_out_of_parts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_start, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_operation_in_every_state, setup, teardown),
        cmocka_unit_test_setup_teardown(test_twenty_reboots, setup, teardown),
        cmocka_unit_test_setup_teardown(test_power_off, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kept_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reboot_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reboots_do_not_fill_the_log, setup, teardown),
        cmocka_unit_test_setup_teardown(test_power_off_waits_for_the_last, setup, teardown),
        cmocka_unit_test_setup_teardown(test_none_can_start, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_to_run, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flush_that_never_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(test_event_during_operation, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory_ends_while_busy, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory_ends_and_nobody_can_go, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory_ends_by_disks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory_ends_while_destroyed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_destroy_waits_for_who_looks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pause_stops_the_clock, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vcpu_does_not_park, setup, teardown),
        cmocka_unit_test_setup_teardown(test_disk_does_not_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_start_out_of_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_more_than_stage2_can, setup, teardown),
        cmocka_unit_test_setup_teardown(test_watchdog, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stats, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
