// SPDX-License-Identifier: BSD-2-Clause
// The life of VMs over fakes: what a start puts where, every operation in every state, vCPUs and disks
// that do not answer, memory and parts running out at every step, and not one frame lost by it.
// units: tests/fake/life.units
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <libfdt.h>

#include "fake_life.h"
#include "fake_mem.h"
#include "mem/frame.h"
#include "vm/layout.h"
#include "vm/vm_ops.h"

static void test_create(void **state)
{
    struct vm *vm, *other;

    (void)state;
    vm = life_make();
    assert_ptr_equal(vm_find("vm0"), vm);
    assert_null(vm_find("vm1"));
    assert_ptr_equal(vm_at(0), vm);
    assert_null(vm_at(VM_MAX));
    assert_int_equal(vm->guest.id, 1);
    assert_int_equal(vm->guest.vcpu_count, 2);
    assert_int_equal(vm->guest.bus.count, 4);
    assert_int_equal(life_state_of(vm), VM_OFF);
    assert_int_equal(life_owned(vm), 0);
    assert_int_equal(vm_create(&life_config, &other, &life_why), -EEXIST);
    assert_non_null(life_why);
    assert_int_equal(vm->guest.ops->console_write(&vm->guest, "abc", 3), 3);
    for (unsigned i = 1; i < VM_MAX; i++) {
        snprintf(life_config.name, sizeof(life_config.name), "v%u", i);
        life_config.vcpus = 1;
        life_make();
    }
    strcpy(life_config.name, "one-too-many");
    assert_int_equal(vm_create(&life_config, &other, &life_why), -ENOSPC);
    assert_null(other);
    /* A place that is free again is used again. */
    life_ok(vm_destroy(vm_find("v7"), &life_why));
    assert_null(vm_find("v7"));
    assert_int_equal(life_make()->guest.id, 8);
}

/* A VM keeps the bundle that it came from; the last one that goes frees it. */
static void test_keeps_its_bundle(void **state)
{
    struct bundle *b, *gone;
    struct vm *first, *second;

    (void)state;
    assert_int_equal(bundle_alloc(MIB(3), &b), 0);
    memcpy(b->data, life_kernel, sizeof(life_kernel));
    life_config.bundle = b;
    life_config.kernel.data = b->data;
    first = life_make();
    assert_int_equal(vm_create(&life_config, &second, &life_why), -EEXIST);
    strcpy(life_config.name, "second");
    second = life_make();
    bundle_put(b); /* as whoever sent it */
    life_ok(vm_destroy(first, &life_why));
    gone = bundle_from(b->id);
    assert_ptr_equal(gone, b);
    bundle_put(gone);
    life_ok(vm_start(second, &life_why));
    life_ok(vm_stop(second, &life_why));
    life_ok(vm_destroy(second, &life_why));
    assert_null(bundle_from(0));
}

static void test_create_refused(void **state)
{
    struct vm *vm;
    struct vm_config good = life_config;

    (void)state;
#define REFUSED(change) \
    do { \
        life_config = good; \
        change; \
        life_why = NULL; \
        assert_int_equal(vm_create(&life_config, &vm, &life_why), -EINVAL); \
        assert_non_null(life_why); \
        assert_null(vm); \
    } while (0)
    REFUSED(life_config.name[0] = 0);
    REFUSED(memset(life_config.name, 'x', VM_NAME_MAX));
    REFUSED(life_config.vcpus = 0);
    REFUSED(life_config.vcpus = GUEST_MAX_VCPUS + 1);
    REFUSED(life_config.memory = 0);
    REFUSED(life_config.memory = MIB(1) + 1);
    REFUSED(life_config.memory = 1ull << 41);
    REFUSED(life_config.kernel.size = 0);
    REFUSED(life_config.disk_count = VM_MAX_DISKS + 1);
    REFUSED(life_config.net_count = VM_MAX_NETS + 1);
    assert_null(vm_at(0));
}

/* Whatever cannot be made, nothing of the VM stays. */
static void test_create_out_of_parts(void **state)
{
    struct vm *vm;
    unsigned failures = 0;

    (void)state;
    fake_host_disks = 1;
    life_config.disk_count = 2;
    life_config.disk[0].kind = VM_DISK_HOST;
    life_config.disk[1].kind = VM_DISK_RAM;
    life_config.disk[1].image = life_config.initrd;
    life_config.net_count = 1;
    strcpy(life_config.net[0].network.name, "lan0");
    for (int left = 0;; left++, failures++) {
        fake_creates_left = left;
        life_why = NULL;
        if (vm_create(&life_config, &vm, &life_why) == 0)
            break;
        assert_non_null(life_why);
        assert_null(vm_at(0));
        assert_int_equal(fake_parts, 0);
    }
    /* console, vCPUs, devices, disks (the RAM disk is real), their limits, port and card */
    assert_int_equal(failures, 1 + 2 + 4 + 3 + 2 + 2);
    assert_string_equal(fake_last_port.name, "vm0.0");
    assert_memory_equal(fake_last_port.mac, "\x02\x54\x69\xdb\xe9\x5a", 6);
    life_ok(vm_destroy(vm, &life_why));
    fake_creates_left = -1;
    for (fake_heap_left = 0;; failures++) {
        int left = fake_heap_left;
        if (vm_create(&life_config, &vm, &life_why) == 0)
            break;
        assert_int_equal(fake_parts, 0);
        assert_int_equal(fake_heap_blocks, 0);
        fake_heap_left = left + 1;
    }
    fake_heap_left = -1;
    assert_true(failures >= 10 + 2);
    assert_int_equal(vm->guest.bus.count, 7);
    life_config.net_count = 0;
    assert_string_equal(vm->guest.bus.dev[5]->name, "virtio3");
    assert_int_equal(vm->guest.bus.dev[5]->base.v, 0x10004000);
    assert_int_equal(vm->guest.bus.dev[5]->irq.source, 4);
    strcpy(life_config.name, "second");
    life_config.disk_count = 1;
    assert_int_equal(vm_create(&life_config, &vm, &life_why), -ENODEV);
    assert_non_null(strstr(life_why, "another VM"));
    life_config.disk[0].host_index = 1;
    assert_int_equal(vm_create(&life_config, &vm, &life_why), -ENODEV);
    assert_non_null(strstr(life_why, "no such host disk"));
    life_config.disk[0].kind = VM_DISK_PART;
    strcpy(life_config.disk[0].part, "home");
    assert_int_equal(vm_create(&life_config, &vm, &life_why), -ENOENT);
    assert_non_null(strstr(life_why, "no such partition"));
}

static void test_start(void **state)
{
    static uint8_t back[300000];
    struct vm *vm = life_make();
    uint64_t fdt, base;
    const fdt64_t *p;
    int len;

    (void)state;
    life_ok(vm_start(vm, &life_why));
    assert_int_equal(life_state_of(vm), VM_RUNNING);
    life_says("vm0: started");
    assert_int_equal(vm->guest.vcpu[0]->pc, 0x80200000);
    assert_int_equal(atomic_load(&vm->guest.vcpu[0]->hsm), HSM_STARTED);
    assert_int_equal(atomic_load(&vm->guest.vcpu[1]->hsm), HSM_STOPPED);
    for (unsigned i = 0; i < 2; i++)
        assert_false(atomic_load(&vm->guest.vcpu[i]->parked));
    assert_int_equal(vm->guest.time_delta + fake_time, 0);
    fake_guest_read(vm, 0x80200000, back, sizeof(life_kernel));
    assert_memory_equal(back, life_kernel, sizeof(life_kernel));
    fdt = vm->guest.vcpu[0]->gpr[11];
    fake_guest_read(vm, fdt, back, 65536);
    assert_int_equal(fdt_check_full(back, 65536), 0);
    assert_memory_equal(back, vm->fdt, fdt_totalsize(vm->fdt));
    p = fdt_getprop(back, fdt_path_offset(back, "/chosen"), "linux,initrd-start", &len);
    assert_int_equal(len, 8);
    base = fdt64_ld(p);
    assert_true(base > fdt && base + sizeof(life_initrd) <= 0x80000000 + MIB(32));
    fake_guest_read(vm, base, back, sizeof(life_initrd));
    assert_memory_equal(back, life_initrd, sizeof(life_initrd));
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
    struct vm *vm = life_make();

    (void)state;
    life_ok(vm_manager_start(false));
    life_run_manager();
    for (unsigned s = 0; s < 4; s++)
        for (unsigned o = 0; o < 5; o++) {
            if (life_state_of(vm) != VM_OFF)
                life_ok(vm_stop(vm, &life_why));
            if (s != VM_OFF)
                life_ok(vm_start(vm, &life_why));
            if (s == VM_PAUSED)
                life_ok(vm_pause(vm, &life_why));
            if (s == VM_CRASHED) {
                life_guest_asks(vm, GUEST_CRASHED, 0);
                life_run_manager();
            }
            assert_int_equal(life_state_of(vm), s);
            life_why = NULL;
            if (allowed[s][o]) {
                life_ok(op[o](vm, &life_why));
                assert_int_equal(life_state_of(vm), after[o]);
            } else {
                assert_int_equal(op[o](vm, &life_why), -EBUSY);
                assert_non_null(life_why);
                assert_int_equal(life_state_of(vm), s);
            }
            /* And while something else is under way, none. */
            vm->busy = true;
            assert_int_equal(op[o](vm, &life_why), -EBUSY);
            assert_non_null(strstr(life_why, "another operation"));
            assert_int_equal(vm_destroy(vm, &life_why), -EBUSY);
            vm->busy = false;
        }
    life_ok(vm_stop(vm, &life_why));
    life_ok(vm_start(vm, &life_why));
    assert_int_equal(vm_destroy(vm, &life_why), -EBUSY);
}

static void test_flush_that_never_ends(void **state)
{
    (void)state;
    fake_host_disks = 1;
    life_config.disk_count = 1;
    life_config.disk[0].kind = VM_DISK_HOST;
    life_make();
    fake_flush_lost = true;
    vm_machine_off(false);
    life_says("disk host0: could not be flushed");
    fake_flush_ends();
    assert_int_equal(life_srst_calls, 1);
}

static struct vm *held;

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
    struct vm *vm = life_make();

    (void)state;
    held = vm_hold(vm->guest.id - 1u);
    assert_ptr_equal(held, vm);
    fake_steps = 0;
    fake_step = let_go_late;
    life_ok(vm_destroy(vm, &life_why));
    assert_int_equal(fake_steps, 5);
    fake_step = NULL;
    assert_null(vm_hold(0));
    assert_null(vm_hold(VM_MAX));
}

static void test_pause_stops_the_clock(void **state)
{
    struct vm *vm = life_make();
    uint64_t guest_time;

    (void)state;
    life_ok(vm_start(vm, &life_why));
    fake_time += 1000000;
    life_ok(vm_pause(vm, &life_why));
    guest_time = fake_time + vm->guest.time_delta;
    assert_int_equal(guest_time, fake_time - vm->started_at);
    fake_time += 123456789;
    vm->guest.vcpu[0]->wake_at = guest_time + 5;
    life_ok(vm_resume(vm, &life_why));
    assert_int_equal(fake_time + vm->guest.time_delta, guest_time);
    assert_int_equal(fake_timers_set, 2); /* timers in host time are set again */
    assert_int_equal(vm->guest.vcpu[0]->wake_at, guest_time + 5);
    for (unsigned i = 0; i < 2; i++)
        assert_false(atomic_load(&vm->guest.vcpu[i]->parked));
    life_ok(vm_stop(vm, &life_why));
    vm->guest.sstc = true;
    life_ok(vm_start(vm, &life_why));
    life_ok(vm_pause(vm, &life_why));
    life_ok(vm_resume(vm, &life_why));
    assert_int_equal(fake_timers_set, 2);
}

static void test_vcpu_does_not_park(void **state)
{
    struct vm *vm = life_start();

    (void)state;
    fake_park_never = true;
    assert_int_equal(vm_stop(vm, &life_why), -ETIMEDOUT);
    assert_non_null(strstr(life_why, "vCPU"));
    assert_int_equal(life_state_of(vm), VM_RUNNING);
    assert_int_equal(vm_pause(vm, &life_why), -ETIMEDOUT);
    assert_int_equal(life_state_of(vm), VM_RUNNING);
    assert_true(life_owned(vm) > 0);
    fake_park_never = false;
    life_ok(vm_stop(vm, &life_why));
    assert_int_equal(life_owned(vm), 0);
}

static void test_disk_does_not_answer(void **state)
{
    struct vm *vm;

    (void)state;
    fake_host_disks = 1;
    life_config.disk_count = 1;
    life_config.disk[0].kind = VM_DISK_HOST;
    vm = life_make();
    life_ok(vm_manager_start(false));
    life_run_manager();
    life_ok(vm_start(vm, &life_why));
    fake_device_busy = 1000000;
    assert_int_equal(vm_stop(vm, &life_why), -ETIMEDOUT);
    assert_non_null(strstr(life_why, "disk"));
    assert_int_equal(life_state_of(vm), VM_CRASHED);
    assert_true(life_owned(vm) > 0); /* DMA may still go there */
    assert_int_equal(vm_destroy(vm, &life_why), -ETIMEDOUT);
    assert_false(vm->busy);
    fake_device_busy = 20;
    life_ok(vm_stop(vm, &life_why));
    assert_int_equal(life_state_of(vm), VM_OFF);
    assert_int_equal(life_owned(vm), 0);
    assert_false(fake_reset_while_busy);
}

/* With any number of frames left, a start that runs out of memory leaves nothing behind. */
static void test_start_out_of_memory(void **state)
{
    unsigned failures = 0;

    (void)state;
    for (uint64_t left = 0; left < 1024; left = left < 128 ? left + 1 : left + 32) {
        struct vm *vm = life_make();
        pa_t p;
        int error;

        fake_mem_start(MIB(16));
        stage2_modes = 1u << STAGE2_SV39X4;
        while (frame_free_count() > left)
            assert_int_equal(frame_alloc(FRAME_ORDER_4K, FRAME_HYP, OWNER_HYP, &p), 0);
        for (unsigned again = 0, settled = 0; again < 3; again++) {
            error = vm_start(vm, &life_why);
            if (error) {
                assert_int_equal(error, -ENOMEM);
                assert_non_null(strstr(life_why, "out of memory"));
                failures++;
            } else {
                assert_int_equal(vm_start(vm, &life_why), -EBUSY);
                life_ok(vm_stop(vm, &life_why));
            }
            assert_int_equal(life_state_of(vm), VM_OFF);
            assert_int_equal(life_owned(vm), 0);
            if (again == 0) /* frame.c may keep a page to describe a block that was split */
                settled = (unsigned)frame_free_count();
            assert_int_equal(frame_free_count(), settled);
            assert_true(settled + 4 >= left);
        }
        life_ok(vm_destroy(vm, &life_why));
    }
    assert_true(failures > 100);
    assert_null(strstr(fake_log, "not given back"));
}

static void test_more_than_stage2_can(void **state)
{
    struct vm *vm;

    (void)state;
    stage2_modes = 0;
    vm = life_make();
    assert_int_equal(vm_start(vm, &life_why), -EINVAL);
    assert_non_null(strstr(life_why, "more than this machine can translate"));
    assert_int_equal(life_state_of(vm), VM_OFF);
}

static void test_stats(void **state)
{
    struct vm *vm = life_make();

    (void)state;
    fake_options[0] = "stats";
    life_ok(vm_start(vm, &life_why));
    vm->guest.vcpu[0]->exits[10] = 40;
    vm->guest.vcpu[1]->exits[10] = 2;
    vm->guest.vcpu[1]->exits[21] = 100;
    life_ok(vm_stop(vm, &life_why));
    life_says("vm0: exits total=142 a-cause-of-exits-10:42 a-cause-of-exits-21:100\n");
    life_ok(vm_start(vm, &life_why)); /* counted from 0 again; and when there are many causes */
    for (unsigned i = 0; i < EXIT_CAUSES; i++)
        vm->guest.vcpu[0]->exits[i] = UINT64_MAX / EXIT_CAUSES;
    life_ok(vm_stop(vm, &life_why));
    life_says("vm0: exits (more) ");
    life_says("a-cause-of-exits-63:288230376151711743\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_create, life_setup, life_teardown),
        cmocka_unit_test_setup_teardown(test_keeps_its_bundle, life_setup, life_teardown),
        cmocka_unit_test_setup_teardown(test_create_refused, life_setup, life_teardown),
        cmocka_unit_test_setup_teardown(test_create_out_of_parts, life_setup, life_teardown),
        cmocka_unit_test_setup_teardown(test_start, life_setup, life_teardown),
        cmocka_unit_test_setup_teardown(test_every_operation_in_every_state, life_setup,
                                        life_teardown),
        cmocka_unit_test_setup_teardown(test_flush_that_never_ends, life_setup, life_teardown),
        cmocka_unit_test_setup_teardown(test_destroy_waits_for_who_looks, life_setup,
                                        life_teardown),
        cmocka_unit_test_setup_teardown(test_pause_stops_the_clock, life_setup, life_teardown),
        cmocka_unit_test_setup_teardown(test_vcpu_does_not_park, life_setup, life_teardown),
        cmocka_unit_test_setup_teardown(test_disk_does_not_answer, life_setup, life_teardown),
        cmocka_unit_test_setup_teardown(test_start_out_of_memory, life_setup, life_teardown),
        cmocka_unit_test_setup_teardown(test_more_than_stage2_can, life_setup, life_teardown),
        cmocka_unit_test_setup_teardown(test_stats, life_setup, life_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
