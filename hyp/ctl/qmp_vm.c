// SPDX-License-Identifier: BSD-2-Clause
// The protocol's commands about whole VMs: the list, states, lifecycle. Names and shapes are QEMU's where it has one.
#include <errno.h>
#include <string.h>

#include "ctl/qmp_command.h"
#include "vm/vm_account.h"
#include "vm/vm_ops.h"

static int operate(struct qmp_call *c, int (*operation)(struct vm *vm, const char **why))
{
    struct vm *vm = qmp_vm(c);
    const char *why = "";
    int error;

    if (!vm)
        return -ENOENT;
    error = operation(vm, &why);
    return error ? qmp_fail(c, error, "%s: %s", vm->config.name, why) : 0;
}

#define OPERATION(verb) \
    int qmp_##verb(struct qmp_call *c) { return operate(c, vm_##verb); }
OPERATION(stop)
OPERATION(pause)
OPERATION(resume)
OPERATION(reset)
OPERATION(destroy)

/* What a program should know after it has asked for memory. */
static void put_promise(struct json_out *o)
{
    json_begin_object(o, NULL);
    qmp_put_memory(o);
    json_end_object(o);
}

int qmp_start(struct qmp_call *c)
{
    int error = operate(c, vm_start);

    if (!error)
        put_promise(c->out);
    return error;
}

int qmp_create(struct qmp_call *c)
{
    char name[VM_NAME_MAX + 1];
    const char *why = "";
    struct vm *vm;
    int error;

    if (!qmp_arg_string(c, "vm", name, sizeof(name)))
        return qmp_fail(c, -EINVAL, "a VM's name has 1 to 31 characters");
    error = vm_from_bundle(name, &vm, &why);
    if (error)
        return qmp_fail(c, error, "%s: %s", name, why);
    put_promise(c->out);
    return 0;
}

/* QEMU's RunState, as far as we have the state. */
static const char *run_state(struct vm *vm)
{
    switch (vm_state(vm)) {
    case VM_RUNNING:
        return "running";
    case VM_PAUSED:
        return "paused";
    case VM_CRASHED:
        return "guest-panicked";
    case VM_OFF:
        break;
    }
    return vm->boots ? "shutdown" : "prelaunch";
}

void qmp_put_status(struct json_out *o, struct vm *vm)
{
    const char *state = run_state(vm);

    json_put_string(o, "status", state);
    json_put_bool(o, "running", !strcmp(state, "running"));
}

int qmp_query_status(struct qmp_call *c)
{
    struct vm *vm = qmp_vm(c);

    if (!vm)
        return -ENOENT;
    json_begin_object(c->out, NULL);
    qmp_put_status(c->out, vm);
    json_end_object(c->out);
    return 0;
}

static void put_vm(struct json_out *o, struct vm *vm)
{
    enum vm_state state = vm_state(vm);
    struct vm_account_memory memory;

    vm_account_memory(vm, &memory);
    json_begin_object(o, NULL);
    json_put_string(o, "name", vm->config.name);
    qmp_put_status(o, vm);
    json_put_u64(o, "vcpus", vm->config.vcpus);
    json_put_u64(o, "memory", vm->config.memory);
    json_put_u64(o, "mapped", memory.mapped + memory.shared);
    json_put_u64(o, "shared", memory.shared);
    json_put_u64(o, "boots", vm->boots);
    if (state == VM_RUNNING || state == VM_PAUSED)
        json_put_u64(o, "uptime", vm_account_ns(vm_account_uptime(vm)) / 1000000000);
    else
        json_put_string(o, "reason", vm->end_reason);
    json_end_object(o);
}

int qmp_query_vms(struct qmp_call *c)
{
    json_begin_array(c->out, NULL);
    for (unsigned i = 0; i < VM_MAX; i++)
        if (vm_at(i))
            put_vm(c->out, vm_at(i));
    json_end_array(c->out);
    return 0;
}

int qmp_query_cpus_fast(struct qmp_call *c)
{
    struct vm *vm = qmp_vm(c);
    char path[QMP_PATH];

    if (!vm)
        return -ENOENT;
    json_begin_array(c->out, NULL);
    for (unsigned i = 0; i < vm->guest.vcpu_count; i++) {
        qmp_vcpu_path(vm, i, path);
        json_begin_object(c->out, NULL);
        json_put_u64(c->out, "cpu-index", i);
        json_put_string(c->out, "qom-path", path);
        json_put_u64(c->out, "thread-id", i);
        json_put_string(c->out, "target", "riscv64");
        json_end_object(c->out);
    }
    json_end_array(c->out);
    return 0;
}
