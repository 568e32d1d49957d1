// SPDX-License-Identifier: BSD-2-Clause
#include "fake_life.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "mem/frame.h"
#include "vcpu/sbi/sbi.h"

struct vm_config life_config;
uint8_t life_kernel[LIFE_KERNEL], life_initrd[LIFE_INITRD];
const char *life_why;
unsigned life_srst_calls;
unsigned long life_srst_reason;

static struct sbi_ret firmware(unsigned long ext, unsigned long fid, const unsigned long a[6])
{
    assert_int_equal(ext, SBI_EXT_SRST);
    assert_int_equal(fid, 0);
    assert_int_equal(a[0], 0);
    life_srst_calls++;
    life_srst_reason = a[1];
    return (struct sbi_ret){-2, 0};
}

int life_setup(void **state)
{
    (void)state;
    fake_vm_start(MIB(128));
    fake_sbi = firmware;
    life_srst_calls = 0;
    for (unsigned i = 0; i < sizeof(life_kernel); i++)
        life_kernel[i] = (uint8_t)(i * 7 + (i >> 8));
    for (unsigned i = 0; i < sizeof(life_initrd); i++)
        life_initrd[i] = (uint8_t)(i * 11 + (i >> 7));
    memset(&life_config, 0, sizeof(life_config));
    strcpy(life_config.name, "vm0");
    strcpy(life_config.bootargs, "quiet");
    life_config.vcpus = 2;
    life_config.memory = MIB(32);
    life_config.kernel = (struct vm_image){"kernel", life_kernel, sizeof(life_kernel)};
    life_config.initrd = (struct vm_image){"initrd", life_initrd, sizeof(life_initrd)};
    return 0;
}

int life_teardown(void **state)
{
    (void)state;
    for (unsigned i = 0; i < VM_MAX; i++) {
        struct vm *vm = vm_at(i);
        if (!vm)
            continue;
        fake_device_busy = 0;
        fake_park_never = false;
        if (atomic_load(&vm->state) != VM_OFF && vm_stop(vm, &life_why))
            return -1;
        if (vm_destroy(vm, &life_why))
            return -1;
    }
    fake_vm_end();
    return fake_parts != 0 || fake_heap_blocks != 0 || fake_reset_while_busy;
}

struct vm *life_make(void)
{
    struct vm *vm = NULL;
    const char *reason = "";
    if (vm_create(&life_config, &vm, &reason))
        fail_msg("vm_create: %s", reason);
    return vm;
}

struct vm *life_start(void)
{
    struct vm *vm = life_make();

    life_ok(vm_manager_start(false));
    life_run_manager();
    life_ok(vm_start(vm, &life_why));
    return vm;
}

void life_ok(int error)
{
    if (error)
        fail_msg("%d: %s", error, life_why);
}

uint64_t life_owned(struct vm *vm)
{
    uint64_t counts[FRAME_STATES], sum = 0;

    frame_count(vm->guest.id, counts);
    for (unsigned i = 0; i < FRAME_STATES; i++)
        sum += counts[i];
    return sum;
}

void life_says(const char *text)
{
    if (!strstr(fake_log, text))
        fail_msg("the log does not say '%s':\n%s", text, fake_log);
}

void life_guest_asks(struct vm *vm, enum guest_event event, uint32_t reason)
{
    vm->guest.ops->event(&vm->guest, event, reason);
}

void life_run_manager(void)
{
    while (fake_manager_run() || fake_timer_run())
        ;
}

enum vm_state life_state_of(struct vm *vm) { return (enum vm_state)atomic_load(&vm->state); }
