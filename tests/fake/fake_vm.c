// SPDX-License-Identifier: BSD-2-Clause
#include "fake_vm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/panic.h"
#include "boot/platform.h"
#include "ctl/console.h"
#include "fake_mem.h"
#include "mem/frame.h"
#include "mem/heap.h"
#include "vcpu/exit.h"
#include "vm/vm_ops.h"

enum { LIST = 8 };
static struct vm *list[LIST];
bool fake_vm_busy, fake_vcpu_stuck, fake_costs;
const char *fake_vm_why, *fake_vm_refused;
unsigned fake_vm_claims, fake_parks, fake_machine_off, fake_destroyed;
uint64_t timer_hz = 1000;
struct platform platform;
struct hart *harts[HART_MAX];
uint64_t hart_spin_limit;
atomic_uint hart_stuck_reports;
unsigned hart_count;

void fake_vms_start(void)
{
    fake_mem_start(MIB(64));
    vmid_init(14);
    stage2_modes = 1 << STAGE2_SV39X4;
    fake_vm_busy = fake_vcpu_stuck = fake_costs = false;
    fake_vm_why = fake_vm_refused = NULL;
    fake_vm_claims = fake_parks = fake_machine_off = fake_destroyed = 0;
}

uint64_t vcpu_memory(void) { return heap_takes(sizeof(struct vcpu)); }

static void drop(unsigned i)
{
    struct vm *vm = list[i];

    list[i] = NULL;
    if (atomic_load(&vm->state) != VM_OFF)
        stage2_destroy(&vm->guest.s2);
    for (unsigned n = 0; n < vm->guest.vcpu_count; n++)
        free(vm->guest.vcpu[n]);
    console_destroy(vm->console);
    bundle_put(vm->config.bundle);
    free(vm->fdt);
    free(vm);
}

void fake_vms_end(void)
{
    for (unsigned i = 0; i < LIST; i++)
        if (list[i])
            drop(i);
    if (fake_vm_claims)
        panic("%u VMs are still claimed", fake_vm_claims);
}

struct vm *fake_vm_add(const char *name, unsigned vcpus, enum vm_state state)
{
    struct vm *vm = calloc(1, sizeof(*vm));
    unsigned i = 0;

    while (list[i])
        i++;
    list[i] = vm;
    snprintf(vm->config.name, sizeof(vm->config.name), "%s", name);
    vm->config.vcpus = vm->guest.vcpu_count = vcpus;
    vm->config.memory = MIB(16);
    vm->guest.name = vm->config.name;
    spin_init(&vm->guest.sse_lock, LOCK_IRQCHIP);
    vm->guest.id = (uint16_t)(i + 1);
    vm->console = console_create(name);
    atomic_store(&vm->state, state);
    for (unsigned n = 0; n < vcpus; n++) {
        struct vcpu *v = vm->guest.vcpu[n] = calloc(1, sizeof(*v));

        v->index = (uint16_t)n;
        v->hartid = n;
        v->guest = &vm->guest;
        snprintf(v->thread.name, sizeof(v->thread.name), "%.12s/%u", name, n);
        atomic_store(&v->thread.state, THREAD_BLOCKED);
        atomic_store(&v->loaded_hart, -1);
        atomic_store(&v->parked, state != VM_RUNNING);
    }
    if (state != VM_OFF && (stage2_create(&vm->guest.s2, vm->guest.id, GIB(4)) ||
                            stage2_add_ram(&vm->guest.s2, gpa(GIB(2)), MIB(16))))
        panic("no memory for a fake VM");
    return vm;
}

void fake_vms_states(struct vm **on, struct vm **off, struct vm **held, struct vm **dead)
{
    *on = fake_vm_add("on", 2, VM_RUNNING);
    *off = fake_vm_add("off", 1, VM_OFF);
    *held = fake_vm_add("held", 1, VM_PAUSED);
    *dead = fake_vm_add("dead", 3, VM_CRASHED);
}

int vm_create(const struct vm_config *config, struct vm **out, const char **why)
{
    if (vm_find(config->name)) {
        *why = "there is a VM of this name";
        return -EEXIST;
    }
    if (fake_vm_refused && !strcmp(fake_vm_refused, config->name)) {
        *why = "this machine lacks something";
        return -ENODEV;
    }
    *out = fake_vm_add(config->name, config->vcpus, VM_OFF);
    (*out)->config = *config;
    if (config->bundle)
        bundle_get(config->bundle);
    return 0;
}

struct vm *vm_at(unsigned index) { return index < LIST ? list[index] : NULL; }
struct vm *vm_hold(unsigned index) { return vm_at(index); } /* there is one thread */
void vm_let_go(struct vm *vm) { (void)vm; }

struct vm *vm_find(const char *name)
{
    for (unsigned i = 0; i < LIST; i++)
        if (list[i] && !strcmp(list[i]->config.name, name))
            return list[i];
    return NULL;
}

const char *vm_state_name(enum vm_state s)
{
    static const char *const names[] = {"off", "running", "paused", "crashed"};

    return names[s];
}

int vm_claim(struct vm *vm, unsigned states, const char **why)
{
    *why = "another operation on it is under way";
    if (fake_vm_busy || vm->busy || !(states & 1u << atomic_load(&vm->state)))
        return -EBUSY;
    vm->busy = true;
    fake_vm_claims++;
    return 0;
}

void vm_release(struct vm *vm)
{
    if (!vm->busy)
        panic("released a VM that nobody claimed");
    vm->busy = false;
    fake_vm_claims--;
}

static int operate(struct vm *vm, unsigned from, enum vm_state to, const char **why)
{
    *why = fake_vm_why ? fake_vm_why : "it is in another state";
    if (fake_vm_why || !(from & 1u << atomic_load(&vm->state)))
        return -EBUSY;
    atomic_store(&vm->state, to);
    return 0;
}

/* As if a bundle had a VM of the name "again". */
int vm_from_bundle(const char *name, struct vm **out, const char **why)
{
    *out = NULL;
    *why = fake_vm_why ? fake_vm_why : "no bundle has a VM of this name";
    if (fake_vm_why || strcmp(name, "again") != 0)
        return -ENOENT;
    *why = "there is a VM of this name";
    if (vm_find(name))
        return -EEXIST;
    *out = fake_vm_add(name, 1, VM_OFF);
    return 0;
}

#define UP (1u << VM_RUNNING | 1u << VM_PAUSED | 1u << VM_CRASHED)
int vm_start(struct vm *vm, const char **why)
{
    int error = operate(vm, 1u << VM_OFF, VM_RUNNING, why);

    return error ? error : stage2_create(&vm->guest.s2, vm->guest.id, GIB(4));
}
int vm_stop(struct vm *vm, const char **why)
{
    int error = operate(vm, UP, VM_OFF, why);

    if (!error)
        stage2_destroy(&vm->guest.s2);
    return error;
}
int vm_pause(struct vm *vm, const char **why)
{
    return operate(vm, 1u << VM_RUNNING, VM_PAUSED, why);
}
int vm_resume(struct vm *vm, const char **why)
{
    return operate(vm, 1u << VM_PAUSED, VM_RUNNING, why);
}
int vm_reset(struct vm *vm, const char **why) { return operate(vm, UP, VM_RUNNING, why); }
int vm_destroy(struct vm *vm, const char **why)
{
    int error = operate(vm, 1u << VM_OFF, VM_OFF, why);

    if (!error) {
        drop(vm->guest.id - 1u);
        fake_destroyed++;
    }
    return error;
}

void vm_machine_off(bool failure)
{
    if (failure)
        panic("power off by a person is no failure");
    fake_machine_off++;
}

void vcpu_request(struct vcpu *v, uint64_t bits) { atomic_fetch_or(&v->requests, bits); }
void vcpu_inject(struct vcpu *v, uint64_t cause, uint64_t tval)
{
    v->exit.cause = cause;
    v->exit.tval = tval;
}

void vcpu_park(struct vcpu *v)
{
    fake_parks++;
    atomic_fetch_or(&v->requests, VCPU_REQ_PARK);
}

void vcpu_unpark(struct vcpu *v)
{
    atomic_store(&v->parked, false);
    atomic_fetch_and(&v->requests, ~(uint64_t)VCPU_REQ_PARK);
}

bool vcpu_is_parked(struct vcpu *v) { return atomic_load(&v->parked); }

/* Time goes on; vCPUs that were asked to park do. */
void sched_point(void) {}
void (*fake_on_yield)(void);
void thread_yield(void)
{
    fake_time += 1;
    if (fake_on_yield)
        fake_on_yield();
    for (unsigned i = 0; i < LIST && !fake_vcpu_stuck; i++)
        for (unsigned n = 0; list[i] && n < list[i]->guest.vcpu_count; n++)
            if (atomic_load(&list[i]->guest.vcpu[n]->requests) & VCPU_REQ_PARK)
                atomic_store(&list[i]->guest.vcpu[n]->parked, true);
}

unsigned fake_group_changes;
void thread_group_changed(void) { fake_group_changes++; }
void exit_set_costs(bool on) { fake_costs = on; }
const char *exit_cause_name(unsigned index)
{
    return index == 10 ? "sbi" : index == 21 ? "load-guest-page" : "other";
}

__attribute__((weak)) struct vcpu_features vcpu_features;
