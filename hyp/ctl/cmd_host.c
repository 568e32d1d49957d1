// SPDX-License-Identifier: BSD-2-Clause
// Commands about the machine and the hypervisor itself.
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "ctl/command.h"
#include "ctl/console.h"
#include "ctl/ctl.h"
#include "sched/stack.h"
#include "sched/thread_list.h"
#include "vm/vm.h"

int cmd_log(const struct command_out *out, int argc, char *const argv[])
{
    (void)argv;
    if (argc != 1)
        return COMMAND_USAGE;
    log_dump(out->emit, out->ctx);
    return 0;
}

int cmd_info(const struct command_out *out, int argc, char *const argv[])
{
    (void)argv;
    if (argc != 1)
        return COMMAND_USAGE;
    if (!ctl_banner)
        return command_fail(out, -ENOENT, "this build has no banner");
    ctl_banner(&platform, out->emit, out->ctx);
    command_print_promise(out);
    return 0;
}

int cmd_harts(const struct command_out *out, int argc, char *const argv[])
{
    (void)argv;
    if (argc != 1)
        return COMMAND_USAGE;
    command_print(out, "%4s %8s %-8s %6s  %s", "HART", "HART ID", "STATE", "QUEUED", "RUNS");
    for (unsigned i = 0; i < hart_count; i++) {
        const struct hart *h = harts[i];

        command_print(out, "%4u %8lu %-8s %6u  %s", i, (unsigned long)h->hartid,
                      atomic_load(&h->online) ? "online" : "offline", h->runq.length,
                      h->current ? h->current->name : "-");
    }
    for (unsigned i = 0; i < platform.hart_count; i++)
        if (!platform.hart[i].usable)
            command_print(out, "%4s %8lu %-8s %6s  %s", "-", (unsigned long)platform.hart[i].hartid,
                          "not used", "-",
                          platform.hart[i].why_not ? platform.hart[i].why_not : "");
    return 0;
}

static void print_thread(const struct command_out *out, const struct thread_info *t)
{
    static const char *const states[] = {"ready", "running", "blocked", "dead"};
    uint64_t ms = timer_hz ? t->run_time / (timer_hz / 1000 ? timer_hz / 1000 : 1) : 0;

    command_print(out, "%-24s %-8s %4u %8lu.%03lu s %7u", t->name,
                  t->state < ARRAY_LEN(states) ? states[t->state] : "?", t->hart,
                  (unsigned long)(ms / 1000), (unsigned long)(ms % 1000), t->deepest);
}

int cmd_threads(const struct command_out *out, int argc, char *const argv[])
{
    struct thread_info t = {.id = 0};

    (void)argv;
    if (argc != 1)
        return COMMAND_USAGE;
    command_print(out, "%-24s %-8s %4s %14s %7s", "THREAD", "STATE", "HART", "RUN TIME", "STACK");
    while (thread_list_next(&t))
        print_thread(out, &t);
    return 0;
}

int cmd_stacks(const struct command_out *out, int argc, char *const argv[])
{
    struct stack_kind kinds[STACK_KINDS];
    unsigned n, worst = 0;

    (void)argv;
    if (argc != 1)
        return COMMAND_USAGE;
    n = stack_kinds(kinds);
    command_print(out, "%-24s %7s %7s %7s", "KIND", "THREADS", "DEEPEST", "LEFT");
    for (unsigned i = 0; i < n; i++) {
        command_print(out, "%-24s %7u %7u %7u", kinds[i].name, kinds[i].threads, kinds[i].deepest,
                      THREAD_STACK_SIZE - kinds[i].deepest);
        worst = kinds[i].deepest > worst ? kinds[i].deepest : worst;
    }
    command_print(out, "%s: of %u bytes, %u are to stay unused",
                  THREAD_STACK_SIZE - worst < STACK_MARGIN ? "TOO DEEP" : "well", THREAD_STACK_SIZE,
                  STACK_MARGIN);
    return 0;
}

int cmd_size(const struct command_out *out, int argc, char *const argv[])
{
    uint64_t columns, rows;
    uint16_t now[2];

    if (argc != 1 && argc != 3)
        return COMMAND_USAGE;
    if (argc == 3) {
        if (!command_number(argv[1], &columns) || !command_number(argv[2], &rows) || !columns ||
            !rows || columns > 999 || rows > 999)
            return COMMAND_USAGE;
        console_set_size((uint16_t)columns, (uint16_t)rows);
    }
    console_get_size(&now[0], &now[1]);
    command_print(out, "%u columns, %u rows", now[0], now[1]);
    return 0;
}

int cmd_clear(const struct command_out *out, int argc, char *const argv[])
{
    (void)out;
    (void)argv;
    if (argc != 1)
        return COMMAND_USAGE;
    console_clear_screen();
    return 0;
}

/* How many VMs would lose their power; with stop set, they are stopped first. */
static unsigned active_vms(const struct command_out *out, bool stop)
{
    unsigned n = 0;

    for (unsigned i = 0; i < VM_MAX; i++) {
        struct vm *vm = vm_at(i);
        const char *why = "";
        unsigned state = vm ? atomic_load(&vm->state) : VM_OFF;

        if (state != VM_RUNNING && state != VM_PAUSED)
            continue;
        if (stop && !vm_stop(vm, &why))
            continue;
        n++;
        if (stop)
            command_print(out, "cannot stop %s: %s", vm->config.name, why);
        else
            command_print(out, "%s is %s", vm->config.name, vm_state_name((enum vm_state)state));
    }
    return n;
}

int cmd_poweroff(const struct command_out *out, int argc, char *const argv[])
{
    bool now = argc == 2 && !strcmp(argv[1], "now");

    if (argc > 2 || (argc == 2 && !now))
        return COMMAND_USAGE;
    if (active_vms(out, now) && !now)
        return command_fail(out, -EBUSY,
                            "stop the VMs first (in the guest, or `stop VM`), or: "
                            "poweroff now");
    vm_machine_off(false);
    return command_fail(out, -EIO, "the firmware did not power off: see `log`");
}
