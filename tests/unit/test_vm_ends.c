// SPDX-License-Identifier: BSD-2-Clause
// What a guest asks of its VM, and what the manager makes of it: power off, reboot, a crash, a watchdog that
// expires; the machine goes off when nothing runs, and is kept up where that is wanted.
// units: tests/fake/life.units
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <libfdt.h>

#include "fake_life.h"
#include "mem/frame.h"
#include "vm/layout.h"
#include "vm/vm_ops.h"

static void test_twenty_reboots(void **state)
{
    struct vm *vm = life_start();
    uint64_t free_off = 0, free_on = 0;
    unsigned heap = 0;
    static const enum guest_event events[] = {GUEST_REBOOT_COLD, GUEST_REBOOT_WARM, GUEST_SHUTDOWN,
                                              GUEST_CRASHED};

    (void)state;
    life_ok(vm_stop(vm, &life_why)); /* the heap has grown as much as it will */
    for (unsigned i = 0; i < 40; i++) {
        if (!free_off) {
            free_off = frame_free_count();
            heap = fake_heap_blocks;
        }
        assert_int_equal(fake_heap_blocks, heap);
        assert_int_equal(frame_free_count(), free_off);
        assert_int_equal(life_owned(vm), 0);
        life_ok(vm_start(vm, &life_why));
        if (!free_on)
            free_on = frame_free_count();
        for (unsigned r = 0; r < 2; r++) {
            life_guest_asks(vm, events[i % 2], 0);
            life_run_manager();
            assert_int_equal(life_state_of(vm), VM_RUNNING);
            assert_int_equal(frame_free_count(), free_on);
        }
        life_guest_asks(vm, events[2 + (i / 2) % 2], 0);
        life_run_manager();
        if ((i / 2) % 2) {
            assert_int_equal(life_state_of(vm), VM_CRASHED);
            assert_true(life_owned(vm) > 0); /* to be looked at */
            life_ok(i % 2 ? vm_stop(vm, &life_why) : vm_reset(vm, &life_why));
            if (i % 2 == 0)
                life_ok(vm_stop(vm, &life_why));
        }
        assert_int_equal(life_state_of(vm), VM_OFF);
    }
    assert_null(strstr(fake_log, "not given back"));
    life_says("vm0: stopped: guest shut down (no reason given)");
    life_says("vm0: stopped: guest rebooted");
    assert_int_equal(life_srst_calls, 0);
}

static unsigned last_acts;
static void last_act(void) { assert_int_equal(life_srst_calls, last_acts++); }

static void test_power_off(void **state)
{
    struct vm *vm;

    (void)state;
    fake_host_disks = 1;
    life_config.disk_count = 1;
    life_config.disk[0].kind = VM_DISK_HOST;
    life_config.autostart = true;
    vm = life_make();
    life_ok(vm_manager_start(true));
    life_run_manager();
    assert_int_equal(life_state_of(vm), VM_RUNNING);
    assert_int_equal(life_srst_calls, 0);
    /* What a person stops does not power the machine off. */
    life_ok(vm_stop(vm, &life_why));
    life_run_manager();
    assert_int_equal(life_srst_calls, 0);
    assert_int_equal(life_state_of(vm), VM_OFF);
    life_ok(vm_start(vm, &life_why));
    fake_device_busy = 50;
    vm_before_off = last_act;
    life_guest_asks(vm, GUEST_SHUTDOWN, 1);
    life_guest_asks(vm, GUEST_CRASHED, 0); /* another vCPU is too late */
    life_run_manager();
    vm_before_off = NULL;
    life_says("vm0: stopped: guest shut down (system failure)");
    assert_int_equal(life_srst_calls, 1);
    assert_int_equal(last_acts, 1); /* before it */
    assert_int_equal(life_srst_reason, 0);
    assert_int_equal(fake_flushes, 1);
    life_says("cannot power off");
}

/* Kept up, the machine goes to its shell: at the console of a VM that is off nothing answers. */
static void test_kept_up(void **state)
{
    struct vm *a, *b;

    (void)state;
    life_config.autostart = true;
    a = life_make();
    strcpy(life_config.name, "b");
    b = life_make();
    fake_focus = a->console;
    life_ok(vm_manager_start(false));
    life_run_manager();
    life_guest_asks(a, GUEST_SHUTDOWN, 0);
    life_run_manager();
    assert_ptr_equal(fake_focus, a->console); /* b runs */
    life_guest_asks(b, GUEST_CRASHED, 0);
    life_run_manager();
    assert_null(fake_focus);
    life_says("no VM runs: ");
    assert_int_equal(life_srst_calls, 0);
}

/* It waits, can be stopped meanwhile, and is carried out when its time has come. */
static void test_reboot_at_once(void **state)
{
    struct vm *vm = life_start();

    (void)state;
    life_guest_asks(vm, GUEST_REBOOT_COLD, 0);
    while (fake_manager_run())
        ;
    assert_int_equal(vm->boots, 1);
    assert_int_equal(life_state_of(vm), VM_RUNNING);
    assert_false(vm->busy);
    assert_true(fake_timer_run());
    life_run_manager();
    assert_int_equal(vm->boots, 2);
    life_guest_asks(vm, GUEST_REBOOT_WARM, 0);
    while (fake_manager_run())
        ;
    life_ok(vm_stop(vm, &life_why));
    life_run_manager();
    assert_int_equal(life_state_of(vm), VM_OFF);
    assert_int_equal(vm->boots, 2);
    life_ok(vm_start(vm, &life_why)); /* what does not begin again does not wait */
    life_guest_asks(vm, GUEST_SHUTDOWN, 0);
    while (fake_manager_run())
        ;
    assert_int_equal(life_state_of(vm), VM_OFF);
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
    struct vm *vm = life_start();

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        life_guest_asks(vm, i % 2 ? GUEST_REBOOT_COLD : GUEST_WATCHDOG, 0);
        life_run_manager();
    }
    assert_int_equal(vm->boots, 101);
    assert_int_equal(logged_of("\n") + 1, LOG_BURST + 1);
    life_ok(vm_reset(vm, &life_why));
    assert_int_equal(logged_of("reset by command"), 1);
    for (unsigned i = 0; i < 100; i++) {
        life_guest_asks(vm, GUEST_REBOOT_WARM, 0);
        life_run_manager();
    }
    assert_int_equal(logged_of("\n"), 2 * LOG_BURST);
    life_guest_asks(vm, GUEST_SHUTDOWN, 0);
    life_run_manager();
    assert_int_equal(logged_of("stopped: guest shut down"), 1);
    life_ok(vm_start(vm, &life_why));
    assert_int_equal(logged_of("\n"), 2 * LOG_BURST + 2);
}

static void test_power_off_waits_for_the_last(void **state)
{
    struct vm *a, *b;

    (void)state;
    life_config.autostart = true;
    a = life_make();
    strcpy(life_config.name, "b");
    b = life_make();
    strcpy(life_config.name, "c");
    life_config.autostart = false;
    life_make();
    life_ok(vm_manager_start(true));
    life_run_manager();
    assert_int_equal(life_state_of(b), VM_RUNNING);
    a->guest.vcpu[1]->stop_reason = "a load that nothing handles";
    a->guest.vcpu[1]->pc = 0x1234;
    life_guest_asks(a, GUEST_CRASHED, 0);
    life_run_manager();
    assert_int_equal(life_state_of(a), VM_CRASHED);
    assert_string_equal(a->end_reason, "a load that nothing handles");
    assert_non_null(strstr(a->crash_report, "vCPU 1"));
    assert_non_null(strstr(a->crash_report, "0x1234"));
    assert_int_equal(life_srst_calls, 0);
    life_ok(vm_pause(b, &life_why));
    life_run_manager();
    assert_int_equal(life_srst_calls, 0);
    life_ok(vm_resume(b, &life_why));
    life_guest_asks(b, GUEST_SHUTDOWN, 0x1234);
    life_run_manager();
    life_says("b: stopped: guest shut down (reason 0x1234)");
    assert_int_equal(life_srst_calls, 1);
    assert_int_equal(life_srst_reason, 1); /* one has crashed */
}

static void test_none_can_start(void **state)
{
    (void)state;
    life_config.autostart = true;
    life_config.memory = MIB(2);
    life_make();
    life_ok(vm_manager_start(true));
    life_run_manager();
    life_says("vm0: cannot start: memory: 2048 KiB of RAM cannot hold");
    assert_int_equal(life_srst_calls, 1);
    assert_int_equal(life_srst_reason, 1);
}

static void test_nothing_to_run(void **state)
{
    (void)state;
    life_ok(vm_manager_start(true));
    life_run_manager();
    assert_int_equal(life_srst_calls, 1);
    assert_int_equal(life_srst_reason, 0);
}

/* An event that comes while a person's command is under way is not lost, nor carried out twice. */
static void test_event_during_operation(void **state)
{
    struct vm *vm = life_start();

    (void)state;
    life_run_manager();
    vm->busy = true;
    life_guest_asks(vm, GUEST_SHUTDOWN, 0);
    life_run_manager();
    assert_int_equal(life_state_of(vm), VM_RUNNING);
    vm->busy = false;
    life_ok(vm_pause(vm, &life_why)); /* its end wakes the manager */
    life_run_manager();
    assert_int_equal(life_state_of(vm), VM_OFF);
    /* Stopped faster than the manager looked: the next boot is not shut down by it. */
    life_ok(vm_start(vm, &life_why));
    life_guest_asks(vm, GUEST_SHUTDOWN, 0);
    life_ok(vm_reset(vm, &life_why));
    life_run_manager();
    assert_int_equal(life_state_of(vm), VM_RUNNING);
}

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
    life_config.watchdog = true;
    vm = life_make();
    life_ok(vm_manager_start(false));
    life_run_manager();
    life_ok(vm_start(vm, &life_why));
    assert_int_equal(vm_virtio_count(vm), 2); /* it is not taken for one */
    assert_true(fdt_node_offset_by_compatible(vm->fdt, -1, "allwinner,sun20i-d1-wdt") > 0);
    watchdog_write(vm, 0x18, 0x16aa0051);
    from = fake_time;
    fake_time += timer_us(4000000);
    watchdog_write(vm, 0x10, 0x14af);
    assert_int_equal(vm->watchdog.backend.left(vm), 5000000);
    /* Paused, it does not run out, whatever the timer does. */
    fake_time += timer_us(2000000);
    life_ok(vm_pause(vm, &life_why));
    left = vm->watchdog.backend.left(vm);
    assert_in_range(left, 2900000, 3000000); /* parking takes time, too */
    assert_true(fake_timer_run());
    assert_true(fake_time >= from + timer_us(9000000));
    assert_int_equal(vm->watchdog.backend.left(vm), left);
    life_run_manager();
    assert_int_equal(life_state_of(vm), VM_PAUSED);
    life_ok(vm_resume(vm, &life_why));
    assert_int_equal(vm->watchdog.backend.left(vm), left);
    from = fake_time;
    life_run_manager();
    assert_int_equal(vm->boots, 2);
    assert_true(fake_time >= from + timer_us(left));
    assert_int_equal(life_state_of(vm), VM_RUNNING);
    life_says("vm0: stopped: its watchdog expired");
    /* After the reset it is off, and so it is after a stop. */
    assert_false(fake_timer_run());
    watchdog_write(vm, 0x18, 0x16aa0051);
    life_ok(vm_stop(vm, &life_why));
    assert_false(fake_timer_run());
    assert_int_equal(vm->boots, 2);
}

/* The VM has a clock of the day where the host has one; it is not taken for a virtio device. */
static void test_clock(void **state)
{
    struct mmio_access low = {.gpa = gpa(GUEST_RTC_BASE), .width = 4};
    struct vm *vm;

    (void)state;
    vm = life_make();
    life_ok(vm_start(vm, &life_why));
    assert_int_equal(bus_access(&vm->guest.bus, &low), MMIO_UNHANDLED);
    assert_true(fdt_node_offset_by_compatible(vm->fdt, -1, "google,goldfish-rtc") < 0);
    life_ok(vm_stop(vm, &life_why));
    life_ok(vm_destroy(vm, &life_why));

    fake_host_rtc = true;
    vm = life_make();
    life_ok(vm_start(vm, &life_why));
    assert_int_equal(vm_virtio_count(vm), 2);
    assert_true(fdt_node_offset_by_compatible(vm->fdt, -1, "google,goldfish-rtc") > 0);
    assert_int_equal(bus_access(&vm->guest.bus, &low), MMIO_OK);
    assert_int_equal(low.value, (uint32_t)(fake_time * 1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_twenty_reboots, life_setup, life_teardown),
        cmocka_unit_test_setup_teardown(test_power_off, life_setup, life_teardown),
        cmocka_unit_test_setup_teardown(test_kept_up, life_setup, life_teardown),
        cmocka_unit_test_setup_teardown(test_reboot_at_once, life_setup, life_teardown),
        cmocka_unit_test_setup_teardown(test_reboots_do_not_fill_the_log, life_setup,
                                        life_teardown),
        cmocka_unit_test_setup_teardown(test_power_off_waits_for_the_last, life_setup,
                                        life_teardown),
        cmocka_unit_test_setup_teardown(test_none_can_start, life_setup, life_teardown),
        cmocka_unit_test_setup_teardown(test_nothing_to_run, life_setup, life_teardown),
        cmocka_unit_test_setup_teardown(test_event_during_operation, life_setup, life_teardown),
        cmocka_unit_test_setup_teardown(test_watchdog, life_setup, life_teardown),
        cmocka_unit_test_setup_teardown(test_clock, life_setup, life_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
