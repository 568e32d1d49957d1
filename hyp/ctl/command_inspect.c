// SPDX-License-Identifier: BSD-2-Clause
// How most commands that look into a VM begin: find it by its name, hold it, say why not.
#include <errno.h>

#include "ctl/command.h"
#include "ctl/inspect.h"
#include "vm/vm_ops.h"

struct vm *command_vm(const struct command_out *out, const char *name)
{
    struct vm *vm = vm_find(name);

    if (!vm)
        command_print(out, "no VM is called %.40s: see `list`", name);
    return vm;
}

int command_console(const struct command_out *out, const char *name, struct console **console)
{
    struct vm *vm = command_vm(out, name);

    if (!vm)
        return -ENOENT;
    *console = vm->console;
    return *console ? 0 : command_fail(out, -EBUSY, "%s is still being made", name);
}

/* What there is to say about an inspection that has just been tried. */
static int begun(const struct command_out *out, bool memory, struct inspect *in, int error,
                 const char *why)
{
    const char *name = in->vm->config.name;

    if (error)
        return command_fail(out, error, "%s: %s", name, why);
    if (memory && vm_state(in->vm) == VM_OFF) {
        inspect_end(in);
        return command_fail(out, -ENOENT, "%s is off: it has no memory", name);
    }
    return 0;
}

int command_inspect(const struct command_out *out, const char *name, bool memory,
                    struct inspect *in)
{
    struct vm *vm = command_vm(out, name);
    const char *why = "";
    int error;

    if (!vm)
        return -ENOENT;
    error = inspect_vm(in, vm, &why);
    return begun(out, memory, in, error, why);
}

int command_inspect_vcpu(const struct command_out *out, const char *name, uint64_t index,
                         bool memory, struct inspect *in)
{
    struct vm *vm = command_vm(out, name);
    const char *why = "";
    int error;

    if (!vm)
        return -ENOENT;
    error = inspect_vcpu(in, vm, index, &why);
    return begun(out, memory, in, error, why);
}
