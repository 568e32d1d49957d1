// SPDX-License-Identifier: BSD-2-Clause
// Memory that ends: one VM is stopped by the rule, the others go on, whatever else is under way.
// units: tests/fake/life.units hyp/blk/limit.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake_life.h"
#include "mem/frame.h"
#include "vdev/backend.h"
#include "vm/vm_memory.h"
#include "vm/vm_ops.h"

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

    snprintf(life_config.name, sizeof(life_config.name), "%s", name);
    life_config.sched.weight = weight;
    vm = life_make();
    life_ok(vm_start(vm, &life_why));
    vm->guest.s2.mapped_bytes = bytes; /* as if */
    vm->guest.s2.shared_bytes = MIB(1);
    vm->guest.s2.mapped_bytes += MIB(1);
    return vm;
}

/* What VMs are promised and have not got is not for bundles. */
static void test_spare_memory(void **state)
{
    uint64_t spare = vm_memory_spare(), promise = align_down(spare / 2, PAGE_SIZE) + MIB(1);
    struct vm *first, *second;

    (void)state;
    life_ok(vm_manager_start(false));
    life_run_manager();
    life_config.memory = promise;
    snprintf(life_config.name, sizeof(life_config.name), "first");
    first = life_make();
    life_ok(vm_start(first, &life_why));
    life_run_manager();
    assert_in_range(spare - vm_memory_spare(), promise,
                    promise + MIB(3)); /* and what it is made of */
    snprintf(life_config.name, sizeof(life_config.name), "second");
    second = life_make();
    life_ok(vm_start(second, &life_why));
    life_run_manager();
    assert_int_equal(vm_memory_spare(), 0);
    life_ok(vm_stop(first, &life_why));
    life_run_manager();
    assert_true(vm_memory_spare() > 0);
}

/* One VM is stopped, which holds most for its weight; the others go on. */
static void test_memory_ends(void **state)
{
    struct vm *small, *heavy, *hog;

    (void)state;
    life_ok(vm_manager_start(false));
    life_run_manager();
    small = make_holding("small", MIB(8), 0);
    heavy = make_holding("heavy", MIB(40), 300);
    hog = make_holding("hog", MIB(20), 100);
    life_run_manager();
    assert_int_equal(life_state_of(hog), VM_RUNNING); /* nothing is wrong yet */
    use_up();
    assert_true(small->guest.ops->no_memory(&small->guest)); /* though it is another that asked */
    life_run_manager();
    assert_int_equal(life_state_of(hog), VM_OFF);
    assert_int_equal(life_owned(hog), 0);
    assert_int_equal(life_state_of(small), VM_RUNNING);
    assert_int_equal(life_state_of(heavy), VM_RUNNING);
    assert_string_equal(hog->end_reason, "the host had no memory left, and it held most: 20 MiB");
    assert_non_null(strstr(hog->crash_report, "the most of all VMs for its weight"));
    life_says("memory: none is left but");
    life_says("memory: heavy holds 40 MiB of its own, weight 300");
    life_says("hog: stopped: the host had no memory left");
    assert_false(atomic_load(&small->guest.s2.starved));
    /* The next: 40 / 300 is more than 8 / 100. A paused one can go too. */
    life_ok(vm_pause(heavy, &life_why));
    use_up();
    assert_true(small->guest.ops->no_memory(&small->guest));
    life_run_manager();
    assert_int_equal(life_state_of(heavy), VM_OFF);
    assert_int_equal(life_state_of(small), VM_RUNNING);
    give_back();
    /* It starts as if nothing had been. */
    life_ok(vm_start(hog, &life_why));
    assert_int_equal(hog->crash_report[0], 0);
    assert_false(atomic_load(&hog->guest.s2.starved));
}

/* Whoever has the VM keeps it until his operation ends; then it goes, unless there is memory again. */
static void test_memory_ends_while_busy(void **state)
{
    struct vm *hog;

    (void)state;
    life_ok(vm_manager_start(false));
    life_run_manager();
    hog = make_holding("hog", MIB(20), 100);
    use_up();
    hog->busy = true;
    assert_true(hog->guest.ops->no_memory(&hog->guest));
    life_run_manager();
    assert_int_equal(life_state_of(hog), VM_RUNNING);
    assert_true(atomic_load(&hog->guest.s2.starved));
    give_back();
    vm_release(hog);
    life_run_manager();
    assert_int_equal(life_state_of(hog), VM_RUNNING);
    assert_false(atomic_load(&hog->guest.s2.starved));
    use_up();
    hog->busy = true;
    assert_true(hog->guest.ops->no_memory(&hog->guest));
    life_run_manager();
    vm_release(hog);
    life_run_manager();
    assert_int_equal(life_state_of(hog), VM_OFF);
    give_back();
}

/* One whose disk never answers keeps its memory: the next goes. With none left, the vCPU crashes its VM. */
static void test_memory_ends_and_nobody_can_go(void **state)
{
    struct vm *stuck, *other;

    (void)state;
    life_ok(vm_manager_start(false));
    life_run_manager();
    fake_host_disks = 1;
    life_config.disk_count = 1;
    life_config.disk[0].kind = VM_DISK_HOST;
    stuck = make_holding("stuck", MIB(30), 100);
    life_config.disk_count = 0;
    other = make_holding("other", MIB(20), 100);
    use_up();
    fake_device_busy = 1000000;
    assert_true(other->guest.ops->no_memory(&other->guest));
    life_run_manager();
    life_says("stuck: cannot be stopped for its memory");
    assert_int_equal(life_state_of(stuck), VM_CRASHED);
    assert_int_equal(life_state_of(other), VM_RUNNING);
    fake_device_busy = 0;
    assert_true(other->guest.ops->no_memory(&other->guest));
    life_run_manager();
    assert_int_equal(life_state_of(other), VM_OFF);
    use_up();
    assert_true(stuck->guest.ops->no_memory(&stuck->guest));
    life_run_manager();
    assert_int_equal(life_state_of(stuck), VM_CRASHED);
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
    life_ok(vm_manager_start(false));
    life_run_manager();
    life_config.disk_count = 1;
    life_config.disk[0].kind = VM_DISK_RAM;
    life_config.disk[0].image = life_config.initrd;
    strcpy(life_config.name, "writer");
    writer = life_make();
    r.done = ignore_done;
    memset(page, 7, sizeof(page));
    for (r.sector = 0; r.sector < 16 * 8; r.sector += 8)
        assert_int_equal(writer->disk[0]->submit(writer->disk[0]->ctx, &r), 0);
    assert_int_equal(r.result, 0);
    life_config.disk_count = 0;
    other = make_holding("other", 0, 100);
    other->guest.s2.table_frames = 0;
    use_up();
    assert_true(other->guest.ops->no_memory(&other->guest));
    life_run_manager();
    life_says("writer: what it had written to its RAM disks is dropped");
    assert_int_equal(life_state_of(writer), VM_OFF);
    assert_int_equal(life_state_of(other), VM_RUNNING);
    r.op = BLK_READ;
    r.sector = 0;
    assert_int_equal(writer->disk[0]->submit(writer->disk[0]->ctx, &r), 0);
    assert_memory_equal(page, life_initrd, sizeof(page));
    give_back();
}

static struct vm *beside;

static void manager_looks(void)
{
    fake_step = NULL;
    use_up();
    assert_true(beside->guest.ops->no_memory(&beside->guest));
    life_run_manager();
}

/* The manager wants the memory of a VM that is being destroyed. Its end wakes the manager, as that of any operation:
 * else nothing would, when memory ends again. */
static void test_memory_ends_while_destroyed(void **state)
{
    struct vm *hog;

    (void)state;
    life_ok(vm_manager_start(false));
    life_run_manager();
    beside = make_holding("beside", MIB(2), 100);
    fake_host_disks = 1;
    life_config.disk_count = 1;
    life_config.disk[0].kind = VM_DISK_HOST;
    hog = make_holding("hog", MIB(20), 100);
    manager_event(&hog->guest, GUEST_CRASHED, 0);
    life_run_manager();
    assert_int_equal(life_state_of(hog), VM_CRASHED);
    fake_device_busy = 3;
    fake_step = manager_looks;
    life_ok(vm_destroy(hog, &life_why));
    assert_null(vm_find("hog"));
    assert_int_equal(life_state_of(beside), VM_RUNNING);
    life_run_manager();
    use_up();
    assert_true(beside->guest.ops->no_memory(&beside->guest));
    life_run_manager();
    assert_int_equal(life_state_of(beside), VM_OFF);
    give_back();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_spare_memory, life_setup, life_teardown),
        cmocka_unit_test_setup_teardown(test_memory_ends, life_setup, life_teardown),
        cmocka_unit_test_setup_teardown(test_memory_ends_while_busy, life_setup, life_teardown),
        cmocka_unit_test_setup_teardown(test_memory_ends_and_nobody_can_go, life_setup,
                                        life_teardown),
        cmocka_unit_test_setup_teardown(test_memory_ends_by_disks, life_setup, life_teardown),
        cmocka_unit_test_setup_teardown(test_memory_ends_while_destroyed, life_setup,
                                        life_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
