// SPDX-License-Identifier: BSD-2-Clause
// The protocol's commands. Names and shapes are QEMU's where it has one; "vm" says which VM is meant, and may be left
// out when there is one only. What has no command of its own here the shell has: human-monitor-command.
#include <errno.h>
#include <string.h>

#include "base/arch.h"
#include "base/log.h"
#include "ctl/command.h"
#include "ctl/console.h"
#include "ctl/qmp.h"
#include "ctl/utf8.h"
#include "vm/vm.h"

enum { VERSION_MAJOR = 0, VERSION_MINOR = 1, VERSION_MICRO = 0 };
enum { CONSOLE_CHUNK = 2048, TYPED = 1024 };

void qmp_put_version(struct json_out *o, const char *key)
{
    json_begin_object(o, key);
    json_begin_object(o, "qemu");
    json_put_u64(o, "major", VERSION_MAJOR);
    json_put_u64(o, "minor", VERSION_MINOR);
    json_put_u64(o, "micro", VERSION_MICRO);
    json_end_object(o);
    json_put_string(o, "package", "Trapline");
    json_end_object(o);
}

/* The VM that "vm" names, or without it the only one there is; NULL with the description set. */
static struct vm *arg_vm(struct qmp_call *c)
{
    char name[VM_NAME_MAX + 1];
    struct vm *vm = NULL;

    if (json_member(c->in, c->arguments, "vm") >= 0) {
        if (!qmp_arg_string(c, "vm", name, sizeof(name)) || !(vm = vm_find(name)))
            qmp_fail(c, -ENOENT, "no VM has this name: query-vms lists them");
        return vm;
    }
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

static int operate(struct qmp_call *c, int (*operation)(struct vm *vm, const char **why))
{
    struct vm *vm = arg_vm(c);
    const char *why = "";
    int error;

    if (!vm)
        return -ENOENT;
    error = operation(vm, &why);
    return error ? qmp_fail(c, error, "%s: %s", vm->config.name, why) : 0;
}

#define OPERATION(verb) \
    static int run_##verb(struct qmp_call *c) { return operate(c, vm_##verb); }
OPERATION(start)
OPERATION(stop)
OPERATION(pause)
OPERATION(resume)
OPERATION(reset)
OPERATION(destroy)

/* QEMU's RunState, as far as we have the state. */
static const char *run_state(struct vm *vm)
{
    switch ((enum vm_state)atomic_load(&vm->state)) {
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

static void put_status(struct qmp_call *c, struct vm *vm)
{
    const char *state = run_state(vm);

    json_put_string(c->out, "status", state);
    json_put_bool(c->out, "running", !strcmp(state, "running"));
}

static int run_query_status(struct qmp_call *c)
{
    struct vm *vm = arg_vm(c);

    if (!vm)
        return -ENOENT;
    json_begin_object(c->out, NULL);
    put_status(c, vm);
    json_end_object(c->out);
    return 0;
}

static void put_vm(struct qmp_call *c, struct vm *vm)
{
    enum vm_state state = (enum vm_state)atomic_load(&vm->state);
    bool alive = state == VM_RUNNING || state == VM_PAUSED;
    uint64_t end = state == VM_PAUSED ? vm->paused_at : arch_time();

    json_begin_object(c->out, NULL);
    json_put_string(c->out, "name", vm->config.name);
    put_status(c, vm);
    json_put_u64(c->out, "vcpus", vm->config.vcpus);
    json_put_u64(c->out, "memory", vm->config.memory);
    json_put_u64(c->out, "mapped", state == VM_OFF ? 0 : vm->guest.s2.mapped_bytes);
    json_put_u64(c->out, "boots", vm->boots);
    if (alive)
        json_put_u64(c->out, "uptime", timer_hz ? (end - vm->started_at) / timer_hz : 0);
    else
        json_put_string(c->out, "reason", vm->end_reason);
    json_end_object(c->out);
}

static int run_query_vms(struct qmp_call *c)
{
    json_begin_array(c->out, NULL);
    for (unsigned i = 0; i < VM_MAX; i++)
        if (vm_at(i))
            put_vm(c, vm_at(i));
    json_end_array(c->out);
    return 0;
}

static int run_query_cpus_fast(struct qmp_call *c)
{
    struct vm *vm = arg_vm(c);
    char path[64];

    if (!vm)
        return -ENOENT;
    json_begin_array(c->out, NULL);
    for (unsigned i = 0; i < vm->guest.vcpu_count; i++) {
        fmt_snprintf(path, sizeof(path), "/%s/vcpu%u", vm->config.name, i);
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

static int run_query_version(struct qmp_call *c)
{
    qmp_put_version(c->out, NULL);
    return 0;
}

static int run_query_commands(struct qmp_call *c)
{
    json_begin_array(c->out, NULL);
    for (unsigned i = 0; i < qmp_command_count; i++) {
        json_begin_object(c->out, NULL);
        json_put_string(c->out, "name", qmp_commands[i].name);
        json_end_object(c->out);
    }
    json_end_array(c->out);
    return 0;
}

static void emit_line(void *ctx, const char *line)
{
    struct json_out *o = ctx;

    json_more_string(o, line, strlen(line));
    json_more_string(o, "\r\n", 2);
}

/* As in QEMU: what the command prints is the value, its complaints too. */
static int run_human_monitor_command(struct qmp_call *c)
{
    struct command_out out = {emit_line, c->out};
    char line[COMMAND_LINE];

    if (!qmp_arg_string(c, "command-line", line, sizeof(line)))
        return qmp_fail(c, -EINVAL, "Parameter 'command-line' is not a line of at most %d bytes",
                        COMMAND_LINE - 1);
    json_begin_string(c->out, NULL);
    (void)command_run(&out, line);
    json_end_string(c->out);
    return 0;
}

/* Each reader keeps its own position: where it wants to go on. */
static int run_console_read(struct qmp_call *c)
{
    struct vm *vm = arg_vm(c);
    char text[CONSOLE_CHUNK];
    uint64_t at = 0, wanted;
    size_t len;

    if (!vm)
        return -ENOENT;
    if (!vm->console)
        return qmp_fail(c, -EBUSY, "%s is still being made", vm->config.name);
    qmp_arg_u64(c, "position", &at);
    wanted = at;
    len = utf8_whole(text, console_history(vm->console, &at, text, sizeof(text)));
    json_begin_object(c->out, NULL);
    json_put_bytes(c->out, "data", text, len);
    json_put_u64(c->out, "position", at + len);
    json_put_u64(c->out, "lost", at > wanted ? at - wanted : 0);
    json_end_object(c->out);
    return 0;
}

static int run_console_write(struct qmp_call *c)
{
    struct vm *vm = arg_vm(c);
    char text[TYPED + 1];
    size_t taken;

    if (!vm)
        return -ENOENT;
    if (!vm->console)
        return qmp_fail(c, -EBUSY, "%s is still being made", vm->config.name);
    if (!qmp_arg_string(c, "data", text, sizeof(text)))
        return qmp_fail(c, -EINVAL, "Parameter 'data' is longer than %d bytes, or has a NUL",
                        TYPED);
    taken = console_type(vm->console, text, strlen(text));
    json_begin_object(c->out, NULL);
    json_put_u64(c->out, "written", taken); /* the rest found no room: the guest does not read */
    json_end_object(c->out);
    return 0;
}

static int run_quit(struct qmp_call *c)
{
    vm_machine_off(false);
    return qmp_fail(c, -EIO, "the firmware cannot power this machine off");
}

#define VM_ARG {"vm", QMP_STRING, true}

const struct qmp_command qmp_commands[] = {
    {"qmp_capabilities", NULL, {{0}}},
    {"query-commands", run_query_commands, {{0}}},
    {"query-version", run_query_version, {{0}}},
    {"query-vms", run_query_vms, {{0}}},
    {"query-status", run_query_status, {VM_ARG}},
    {"query-cpus-fast", run_query_cpus_fast, {VM_ARG}},
    {"stop", run_pause, {VM_ARG}},
    {"cont", run_resume, {VM_ARG}},
    {"system_reset", run_reset, {VM_ARG}},
    {"vm-start", run_start, {VM_ARG}},
    {"vm-stop", run_stop, {VM_ARG}},
    {"vm-destroy", run_destroy, {VM_ARG}},
    {"console-read", run_console_read, {VM_ARG, {"position", QMP_INT, true}}},
    {"console-write", run_console_write, {VM_ARG, {"data", QMP_STRING, false}}},
    {"human-monitor-command",
     run_human_monitor_command,
     {{"command-line", QMP_STRING, false}, {"cpu-index", QMP_INT, true}}},
    {"quit", run_quit, {{0}}},
};
const unsigned qmp_command_count = ARRAY_LEN(qmp_commands);
