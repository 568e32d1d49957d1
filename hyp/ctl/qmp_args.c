// SPDX-License-Identifier: BSD-2-Clause
// What the protocol's commands have in common: arguments, which VM is meant, values.
#include <errno.h>
#include <string.h>

#include "ctl/qmp_command.h"
#include "vm/vm_ops.h"

int qmp_fail(struct qmp_call *c, int error, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fmt_vsnprintf(c->desc, sizeof(c->desc), fmt, ap);
    va_end(ap);
    return error;
}

int qmp_arg(const struct qmp_call *c, const char *name)
{
    return json_member(c->in, c->arguments, name);
}

bool qmp_arg_string(const struct qmp_call *c, const char *name, char *to, size_t size)
{
    int i = qmp_arg(c, name);

    return i >= 0 && json_string(c->in, i, to, size) >= 0;
}

bool qmp_arg_u64(const struct qmp_call *c, const char *name, uint64_t *v)
{
    int i = qmp_arg(c, name);

    return i >= 0 && !json_u64(c->in, i, v);
}

bool qmp_arg_bool(const struct qmp_call *c, const char *name, bool *v)
{
    int i = qmp_arg(c, name);

    return i >= 0 && !json_bool(c->in, i, v);
}

int qmp_arg_address(struct qmp_call *c, const char *name, uint64_t *v)
{
    char text[24];

    if (qmp_arg_u64(c, name, v) ||
        (qmp_arg_string(c, name, text, sizeof(text)) && command_number(text, v)))
        return 0;
    return qmp_fail(c, -EINVAL, "Parameter '%s' is no address: a number, or \"0x...\"", name);
}

static struct vm *named_vm(struct qmp_call *c)
{
    char name[VM_NAME_MAX + 1];
    struct vm *vm = NULL;

    if (!qmp_arg_string(c, "vm", name, sizeof(name)))
        qmp_fail(c, -ENOENT, "no VM has a name of more than %d bytes", VM_NAME_MAX - 1);
    else if (!(vm = vm_find(name)))
        qmp_fail(c, -ENOENT, "%s: no VM has this name", name);
    return vm;
}

struct vm *qmp_vm(struct qmp_call *c)
{
    struct vm *vm = NULL;

    if (qmp_arg(c, "vm") >= 0)
        return named_vm(c);
    for (unsigned i = 0; i < VM_MAX; i++) {
        if (!vm_at(i))
            continue;
        if (vm) {
            qmp_fail(c, -EINVAL, "Parameter 'vm' is missing, and there are several VMs");
            return NULL;
        }
        vm = vm_at(i);
    }
    if (!vm)
        qmp_fail(c, -ENOENT, "there are no VMs");
    return vm;
}

int qmp_vm_or_all(struct qmp_call *c, struct vm **only)
{
    *only = NULL;
    if (qmp_arg(c, "vm") < 0)
        return 0;
    *only = named_vm(c);
    return *only ? 0 : -ENOENT;
}

/* What there is to say about an inspection that has just been tried. */
static int begun(struct qmp_call *c, bool memory, struct inspect *in, int error, const char *why)
{
    const char *name = in->vm->config.name;

    if (error)
        return qmp_fail(c, error, "%s: %s", name, why);
    if (memory && vm_state(in->vm) == VM_OFF) {
        inspect_end(in);
        return qmp_fail(c, -ENOENT, "%s is off: it has no memory", name);
    }
    return 0;
}

int qmp_inspect(struct qmp_call *c, bool memory, struct inspect *in)
{
    struct vm *vm = qmp_vm(c);
    const char *why = "";
    int error;

    if (!vm)
        return -ENOENT;
    error = inspect_vm(in, vm, &why);
    return begun(c, memory, in, error, why);
}

int qmp_inspect_vcpu(struct qmp_call *c, bool memory, struct inspect *in)
{
    struct vm *vm = qmp_vm(c);
    const char *why = "";
    uint64_t index = 0;
    int error;

    if (!vm)
        return -ENOENT;
    qmp_arg_u64(c, "vcpu", &index);
    error = inspect_vcpu(in, vm, index, &why);
    return begun(c, memory, in, error, why);
}

/* ---- values ---- */

void qmp_put_address(struct json_out *o, const char *key, uint64_t v)
{
    char text[24];

    fmt_snprintf(text, sizeof(text), "%#lx", (unsigned long)v);
    json_put_string(o, key, v ? text : "0x0");
}

void qmp_vcpu_path(const struct vm *vm, unsigned index, char path[QMP_PATH])
{
    fmt_snprintf(path, QMP_PATH, "/%s/vcpu%u", vm->config.name, index);
}

static void emit_line(void *ctx, const char *line)
{
    struct json_out *o = ctx;

    json_more_string(o, line, strlen(line));
    json_more_string(o, "\r\n", 2);
}

struct command_out qmp_text(struct json_out *o) { return (struct command_out){emit_line, o, true}; }
