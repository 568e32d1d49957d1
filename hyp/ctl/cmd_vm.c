// SPDX-License-Identifier: BSD-2-Clause
// Commands about whole VMs: the list, lifecycle, console, devices, device tree.
#include <errno.h>
#include <libfdt.h>
#include <string.h>

#include "base/log.h"
#include "ctl/command.h"
#include "ctl/console.h"
#include "ctl/dts.h"
#include "ctl/inspect.h"
#include "vm/vm_account.h"
#include "vm/vm_memory.h"

void command_print_promise(const struct command_out *out)
{
    char line[160];

    vm_memory_describe(line, sizeof(line));
    command_print(out, "%s", line);
}

static void list_one(const struct command_out *out, struct vm *vm)
{
    enum vm_state state = (enum vm_state)atomic_load(&vm->state);
    const char *note = state == VM_OFF || state == VM_CRASHED ? vm->end_reason : "";
    char uptime[24] = "-", mapped[24] = "-", shared[24] = "-";
    struct vm_account_memory memory;

    if (state == VM_RUNNING || state == VM_PAUSED) {
        unsigned long s = vm_account_ns(vm_account_uptime(vm)) / 1000000000;

        fmt_snprintf(uptime, sizeof(uptime), "%lu:%02lu:%02lu", s / 3600, s / 60 % 60, s % 60);
    }
    vm_account_memory(vm, &memory);
    if (state != VM_OFF) {
        fmt_snprintf(mapped, sizeof(mapped), "%lu KiB", memory.mapped >> 10);
        fmt_snprintf(shared, sizeof(shared), "%lu KiB", memory.shared >> 10);
    }
    command_print(out, "%-16s %-8s %5u %6lu MiB %12s %11s %11s %5lu  %s%s", vm->config.name,
                  vm_state_name(state), vm->config.vcpus, vm->config.memory >> 20, mapped, shared,
                  uptime, vm->boots,
                  vm->console && console_has_focus(vm->console) ? "(has the terminal) " : "", note);
}

int cmd_list(const struct command_out *out, int argc, char *const argv[])
{
    bool any = false;

    (void)argv;
    if (argc != 1)
        return COMMAND_USAGE;
    for (unsigned i = 0; i < VM_MAX; i++) {
        struct vm *vm = vm_at(i);

        if (!vm)
            continue;
        if (!any)
            command_print(out, "%-16s %-8s %5s %10s %12s %11s %11s %5s", "NAME", "STATE", "VCPUS",
                          "MEMORY", "MAPPED", "SHARED", "UPTIME", "BOOTS");
        any = true;
        list_one(out, vm);
    }
    if (any)
        command_print_promise(out);
    else
        command_print(out, "there are no VMs");
    return 0;
}

static int operate(const struct command_out *out, int argc, char *const argv[],
                   int (*operation)(struct vm *vm, const char **why))
{
    const char *why = "";
    struct vm *vm;
    int error;

    if (argc != 2)
        return COMMAND_USAGE;
    vm = command_vm(out, argv[1]);
    if (!vm)
        return -ENOENT;
    error = operation(vm, &why);
    if (error)
        return command_fail(out, error, "cannot %s %s: %s", argv[0], argv[1], why);
    return 0;
}

#define OPERATION(verb) \
    int cmd_##verb(const struct command_out *out, int argc, char *const argv[]) \
    { \
        return operate(out, argc, argv, vm_##verb); \
    }
OPERATION(stop)
OPERATION(pause)
OPERATION(resume)
OPERATION(reset)
OPERATION(destroy)

int cmd_start(const struct command_out *out, int argc, char *const argv[])
{
    int result = operate(out, argc, argv, vm_start);

    if (!result)
        command_print_promise(out);
    return result;
}

int cmd_create(const struct command_out *out, int argc, char *const argv[])
{
    const char *why = "";
    struct vm *vm;
    int error;

    if (argc != 2)
        return COMMAND_USAGE;
    error = vm_from_bundle(argv[1], &vm, &why);
    if (error)
        return command_fail(out, error, "cannot create %s: %s", argv[1], why);
    command_print(out, "%s: %lu MiB when it is started", argv[1],
                  (unsigned long)(vm->config.memory >> 20));
    command_print_promise(out);
    return 0;
}

int cmd_console(const struct command_out *out, int argc, char *const argv[])
{
    struct console *console;
    int error;

    if (argc != 2)
        return COMMAND_USAGE;
    error = command_console(out, argv[1], &console);
    if (error)
        return error;
    console_set_focus(console);
    return 0;
}

/* In place; the length, or -EINVAL. */
static int unescape(char *text)
{
    static const struct {
        char name, means;
    } escapes[] = {{'r', '\r'}, {'n', '\n'}, {'t', '\t'}, {'e', 0x1B}, {'\\', '\\'}};
    int n = 0;

    for (const char *from = text; *from; from++) {
        unsigned i = 0;

        if (*from != '\\') {
            text[n++] = *from;
            continue;
        }
        from++;
        if (*from == 'x') {
            int high = hex_digit(from[1]), low = high < 0 ? -1 : hex_digit(from[2]);

            if (low < 0)
                return -EINVAL;
            text[n++] = (char)(high << 4 | low);
            from += 2;
            continue;
        }
        while (i < ARRAY_LEN(escapes) && escapes[i].name != *from)
            i++;
        if (i == ARRAY_LEN(escapes))
            return -EINVAL;
        text[n++] = escapes[i].means;
    }
    return n;
}

int cmd_send(const struct command_out *out, int argc, char *const argv[])
{
    char text[256];
    size_t at = 0, taken;
    struct console *console;
    int error, len;

    if (argc < 3)
        return COMMAND_USAGE;
    error = command_console(out, argv[1], &console);
    if (error)
        return error;
    for (int i = 2; i < argc; i++) {
        at += (size_t)fmt_snprintf(text + at, sizeof(text) - at, "%s%s", i > 2 ? " " : "", argv[i]);
        if (at >= sizeof(text))
            return command_fail(out, -E2BIG, "the text is too long");
    }
    len = unescape(text);
    if (len < 0)
        return command_fail(out, len, "an escape is one of \\r \\n \\t \\e \\\\ \\xHH");
    taken = console_type(console, text, (size_t)len);
    if (taken < (size_t)len)
        return command_fail(out, -ENOSPC,
                            "%s does not read its console: %lu of %d bytes are waiting", argv[1],
                            (unsigned long)taken, len);
    return 0;
}

int cmd_devices(const struct command_out *out, int argc, char *const argv[])
{
    struct vm *vm;

    if (argc != 2)
        return COMMAND_USAGE;
    vm = command_vm(out, argv[1]);
    if (!vm)
        return -ENOENT;
    command_print(out, "%-10s %-14s %-12s %8s %5s %12s %12s", "NAME", "TYPE", "BASE", "SIZE", "IRQ",
                  "READS", "WRITES");
    for (unsigned i = 0; i < vm->guest.bus.count; i++) {
        const struct vdev *dev = vm->guest.bus.dev[i];
        char irq[12] = "-";

        if (dev->irq.set)
            fmt_snprintf(irq, sizeof(irq), "%u", dev->irq.source);
        command_print(out, "%-10s %-14s %#-12lx %#8lx %5s %12lu %12lu", dev->name, dev->ops->type,
                      (unsigned long)dev->base.v, (unsigned long)dev->size, irq,
                      (unsigned long)dev->reads, (unsigned long)dev->writes);
    }
    return 0;
}

int cmd_fdt(const struct command_out *out, int argc, char *const argv[])
{
    struct inspect in;
    int error;

    if (argc != 2)
        return COMMAND_USAGE;
    error = command_inspect(out, argv[1], false, &in);
    if (error)
        return error;
    if (!in.vm->fdt)
        error = command_fail(out, -ENOENT, "%s has not been started yet: its tree is made then",
                             argv[1]);
    else if (dts_print(in.vm->fdt, fdt_totalsize(in.vm->fdt), out->emit, out->ctx))
        error = command_fail(out, -EINVAL, "%s: the rest of the tree is damaged", argv[1]);
    inspect_end(&in);
    return error;
}
