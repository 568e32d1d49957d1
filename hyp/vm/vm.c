// SPDX-License-Identifier: BSD-2-Clause
#include "vm/vm.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "ctl/console.h"
#include "mem/heap.h"
#include "vcpu/features.h"
#include "vm/layout.h"
#include "vm/event.h"
#include "vm/vm_ops.h"
#include "vm/vm_relief.h"

#define CLAIM_PATIENCE_US 1000000

static struct spinlock list_lock = SPINLOCK_INIT(LOCK_VM);
static struct vm *list[VM_MAX];

const char *vm_state_name(enum vm_state s)
{
    static const char *const names[] = {"off", "running", "paused", "crashed"};
    return (unsigned)s < ARRAY_LEN(names) ? names[s] : "?";
}

int vm_fail(struct vm *vm, const char **why, int error, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fmt_vsnprintf(vm->why, sizeof(vm->why), fmt, ap);
    va_end(ap);
    if (why)
        *why = vm->why;
    return error;
}

/* Whether it was claimed; else *busy: another operation has it. */
static bool try_claim(struct vm *vm, unsigned states, bool *busy)
{
    bool mine;

    spin_lock(&list_lock);
    *busy = vm->busy;
    mine = !*busy && states & (1u << vm_state(vm));
    if (mine)
        vm->busy = true;
    spin_unlock(&list_lock);
    return mine;
}

/* Somebody who has just read in the log that a VM has stopped may start it before the thread that said so lets go. */
int vm_claim(struct vm *vm, unsigned states, const char **why)
{
    /* Constant text: vm->why belongs to whoever has the claim. */
    static const char *const is[] = {"it is off", "it is running", "it is paused",
                                     "it has crashed: stop or reset it"};
    uint64_t start = arch_time();
    bool busy;

    while (!try_claim(vm, states, &busy)) {
        if (!why)
            return -EBUSY;
        if (!busy || arch_time() - start > timer_us(CLAIM_PATIENCE_US)) {
            *why = busy ? "another operation on it is under way" : is[vm_state(vm)];
            return -EBUSY;
        }
        thread_yield();
    }
    return 0;
}

void vm_release(struct vm *vm)
{
    spin_lock(&list_lock);
    vm->busy = false;
    spin_unlock(&list_lock);
    manager_wake();
}

static struct vm *find_locked(const char *name)
{
    for (unsigned i = 0; i < VM_MAX; i++)
        if (list[i] && !strcmp(list[i]->config.name, name))
            return list[i];
    return NULL;
}

struct vm *vm_find(const char *name)
{
    struct vm *vm;

    spin_lock(&list_lock);
    vm = find_locked(name);
    spin_unlock(&list_lock);
    return vm;
}

struct vm *vm_at(unsigned index)
{
    return index < VM_MAX ? __atomic_load_n(&list[index], __ATOMIC_ACQUIRE) : NULL;
}

struct vm *vm_hold(unsigned index)
{
    struct vm *vm;

    spin_lock(&list_lock);
    vm = index < VM_MAX ? list[index] : NULL;
    if (vm)
        vm->holders++;
    spin_unlock(&list_lock);
    return vm;
}

void vm_let_go(struct vm *vm)
{
    spin_lock(&list_lock);
    vm->holders--;
    spin_unlock(&list_lock);
}

bool vm_any_active(void)
{
    bool active = false;

    spin_lock(&list_lock);
    for (unsigned i = 0; i < VM_MAX && !active; i++)
        active = list[i] && (list[i]->busy || vm_state(list[i]) == VM_RUNNING ||
                             vm_state(list[i]) == VM_PAUSED);
    spin_unlock(&list_lock);
    return active;
}

/* Gives the VM a place in the list, and with it its id; it is claimed until it is complete. */
static int list_add(struct vm *vm, const char **why)
{
    int error = -ENOSPC;

    spin_lock(&list_lock);
    if (find_locked(vm->config.name)) {
        error = -EEXIST;
    } else {
        for (unsigned i = 0; i < VM_MAX && error; i++) {
            if (list[i])
                continue;
            vm->guest.id = (uint16_t)(i + 1);
            vm->busy = true;
            __atomic_store_n(&list[i], vm, __ATOMIC_RELEASE);
            error = 0;
        }
    }
    spin_unlock(&list_lock);
    if (error)
        *why = error == -EEXIST ? "there is a VM of this name" : "there are as many VMs as can be";
    return error;
}

static bool is_held(const struct vm *vm)
{
    bool held;

    spin_lock(&list_lock);
    held = vm->holders > 0;
    spin_unlock(&list_lock);
    return held;
}

/* Nobody finds it any more, and nobody looks at it when this returns. */
static void list_drop(struct vm *vm)
{
    spin_lock(&list_lock);
    __atomic_store_n(&list[vm->guest.id - 1], NULL, __ATOMIC_RELEASE);
    spin_unlock(&list_lock);
    while (is_held(vm))
        thread_yield();
}

static size_t guest_console_write(struct guest *g, const char *data, size_t len)
{
    return console_write(guest_to_vm(g)->console, data, len);
}

static size_t guest_console_read(struct guest *g, char *to, size_t max)
{
    return console_read(guest_to_vm(g)->console, to, max);
}

static const struct guest_ops guest_ops = {
    .event = manager_event,
    .console_write = guest_console_write,
    .console_read = guest_console_read,
    .no_memory = vm_relief_wait,
};

static int check_config(const struct vm_config *c, const char **why)
{
    *why = NULL;
    if (!c->name[0] || strnlen(c->name, VM_NAME_MAX) == VM_NAME_MAX)
        *why = "a VM's name has 1 to 31 characters";
    else if (!c->vcpus || c->vcpus > GUEST_MAX_VCPUS)
        *why = "a VM has 1 to 32 vCPUs";
    else if (!c->memory || !is_aligned(c->memory, PAGE_SIZE) || c->memory > BIT(40))
        *why = "a VM's memory is whole 4 KiB pages, at most 1 TiB";
    else if (!c->kernel.size)
        *why = "a VM needs a kernel";
    else if (c->disk_count > VM_MAX_DISKS)
        *why = "a VM has at most 4 disks";
    else if (c->net_count > VM_MAX_NETS)
        *why = "a VM has at most 3 network cards";
    if (*why)
        return -EINVAL;
    return vm_sched_check(&c->sched, c->vcpus, why);
}

/* Frees a VM that is not in the list, or is going; whatever of it was made. */
static void vm_free(struct vm *vm)
{
    if (vm->console)
        console_detach(vm->console); /* input no longer reaches devices that go */
    vm_devices_free(vm);
    for (unsigned i = 0; i < vm->guest.vcpu_count; i++)
        if (vm->guest.vcpu[i])
            vcpu_destroy(vm->guest.vcpu[i]);
    if (vm->console)
        console_destroy(vm->console);
    heap_free(vm->fdt);
    bundle_put(vm->config.bundle);
    heap_free(vm);
}

static int make_parts(struct vm *vm, const char **why)
{
    struct guest *g = &vm->guest;

    g->name = g->log.of = vm->config.name;
    g->ops = &guest_ops;
    spin_init(&g->sse_lock, LOCK_IRQCHIP);
    g->vcpu_count = vm->config.vcpus;
    g->fast_mmio_end = vcpu_features.htval ? GUEST_RAM_BASE : 0;
    fair_group_init(&g->sched);
    vm_sched_apply(vm);
    features_apply(g);
    vm->console = console_create(vm->config.name);
    if (!vm->console)
        goto no_memory;
    for (unsigned i = 0; i < g->vcpu_count; i++) {
        g->vcpu[i] = vcpu_create(g, i);
        if (!g->vcpu[i])
            goto no_memory;
    }
    return vm_devices_make(vm, why);

no_memory:
    *why = "out of memory";
    return -ENOMEM;
}

int vm_create(const struct vm_config *config, struct vm **out, const char **why)
{
    uint64_t begin = arch_time();
    struct vm *vm;
    int error = check_config(config, why);

    *out = NULL;
    if (error)
        return error;
    vm = heap_alloc(sizeof(*vm));
    if (!vm) {
        *why = "out of memory";
        return -ENOMEM;
    }
    vm->config = *config;
    if (config->bundle)
        bundle_get(config->bundle);
    atomic_store(&vm->state, VM_OFF);
    error = list_add(vm, why);
    if (error) {
        bundle_put(config->bundle);
        heap_free(vm);
        return error;
    }
    error = make_parts(vm, why);
    if (error) {
        list_drop(vm);
        vm_free(vm);
        return error;
    }
    vm->made_in = arch_time() - begin;
    vm_event(vm, VM_EVENT_CREATED, false);
    vm_release(vm);
    *out = vm;
    return 0;
}

int vm_destroy(struct vm *vm, const char **why)
{
    int error = vm_claim(vm, 1u << VM_OFF | 1u << VM_CRASHED, why);

    if (error)
        return error;
    if (vm_state(vm) == VM_CRASHED) {
        error = vm_stop_claimed(vm, vm->end_reason, why);
        if (error) {
            vm_release(vm);
            return error;
        }
    }
    vm_event(vm, VM_EVENT_DESTROYED, false);
    list_drop(vm);
    vm_free(vm);
    manager_wake(); /* as vm_release: it may have wanted this VM's memory */
    return 0;
}
