// SPDX-License-Identifier: BSD-2-Clause
// Commands that make a guest which hangs say where: kick and sysrq.
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "ctl/cmd_kick.h"
#include "ctl/command.h"
#include "ctl/console.h"
#include "vcpu/kick.h"
#include "vm/vm_ops.h"

#define SYSRQ_TIMEOUT_US 1000000
#define QUIET_US 20000
#define QUIET_PATIENCE_US 1000000

static int say(char *text, size_t size, const struct vcpu *v, enum kick_result result)
{
    const char *vm = v->guest->name;

    switch (result) {
    case KICK_EVENT:
        fmt_snprintf(text, size, "%s vCPU %u: its kernel gets the software event", vm, v->index);
        return 0;
    case KICK_MASKED:
        fmt_snprintf(text, size,
                     "%s vCPU %u: the software event waits, as the hart takes none now; `kick %s "
                     "%u now` gives an exception instead",
                     vm, v->index, vm, v->index);
        return 0;
    case KICK_EXCEPTION:
        /* Linux looks for a fixup of user access whatever the exception is. */
        fmt_snprintf(text, size,
                     "%s vCPU %u: its kernel gets a hardware-error exception at pc %#lx%s", vm,
                     v->index, (unsigned long)v->pc,
                     v->csr.vsstatus & SSTATUS_SUM
                         ? "; it is copying from or to a program, and may take it for a fault of "
                           "that: if nothing comes, again"
                         : "");
        return 0;
    case KICK_USER:
        fmt_snprintf(text, size,
                     "%s vCPU %u runs a user program, so its kernel does not hang: try `sysrq "
                     "%s l`; `kick %s %u now` ends that program",
                     vm, v->index, vm, vm, v->index);
        return -EAGAIN;
    case KICK_IDLE:
        fmt_snprintf(text, size,
                     "%s vCPU %u waits for an interrupt: try `sysrq %s l` or another vCPU; "
                     "`kick %s %u now` makes its kernel panic",
                     vm, v->index, vm, vm, v->index);
        return -EAGAIN;
    default:
        fmt_snprintf(text, size, "%s vCPU %u is stopped or suspended", vm, v->index);
        return -EAGAIN;
    }
}

static uint64_t device_accesses(const struct vm *vm)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < vm->guest.bus.count; i++)
        n += vm->guest.bus.dev[i]->reads + vm->guest.bus.dev[i]->writes;
    return n;
}

void kick_wait(struct vm *vm)
{
    uint64_t begun = arch_time(), last = begun, now, accesses = device_accesses(vm), n;

    while (vm_state(vm) == VM_RUNNING) {
        thread_yield();
        now = arch_time();
        n = device_accesses(vm);
        if (n != accesses)
            last = now;
        accesses = n;
        if (now - last >= timer_us(QUIET_US) || now - begun >= timer_us(QUIET_PATIENCE_US))
            break;
    }
}

int kick_inspected(struct inspect *in, bool now, char text[KICK_TEXT])
{
    if (vm_state(in->vm) == VM_RUNNING)
        return say(text, KICK_TEXT, in->v, kick_vcpu(in->v, now));
    fmt_snprintf(text, KICK_TEXT, "%s does not run", in->vm->config.name);
    return -EINVAL;
}

int cmd_kick(const struct command_out *out, int argc, char *const argv[])
{
    bool now = argc > 2 && !strcmp(argv[argc - 1], "now");
    int words = argc - now, error;
    char text[KICK_TEXT];
    uint64_t index = 0;
    struct inspect in;
    struct vm *vm;

    if (words < 2 || words > 3 || (words == 3 && !command_number(argv[2], &index)))
        return COMMAND_USAGE;
    vm = command_vm(out, argv[1]);
    if (!vm)
        return -ENOENT;
    kick_wait(vm);
    error = command_inspect_vcpu(out, argv[1], index, false, &in);
    if (error)
        return error;
    error = kick_inspected(&in, now, text);
    inspect_end(&in);
    out->emit(out->ctx, text);
    return error;
}

/* What was typed just before may still be on its way. */
bool kick_sysrq(struct console *c, char key)
{
    uint64_t start = arch_time(), patience = timer_us(SYSRQ_TIMEOUT_US);

    while (!console_sysrq(c, key)) {
        if (arch_time() - start > patience)
            return false;
        thread_yield();
    }
    return true;
}

int cmd_sysrq(const struct command_out *out, int argc, char *const argv[])
{
    struct console *console;
    int error;

    if (argc != 3 || strlen(argv[2]) != 1)
        return COMMAND_USAGE;
    error = command_console(out, argv[1], &console);
    if (error)
        return error;
    if (!kick_sysrq(console, argv[2][0]))
        return command_fail(
            out, -EAGAIN, "%s does not read its console, so nothing comes through there: `kick %s`",
            argv[1], argv[1]);
    return 0;
}
