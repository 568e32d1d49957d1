// SPDX-License-Identifier: BSD-2-Clause
// Commands about vCPUs: registers, exits and what they cost.
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "ctl/command.h"
#include "ctl/inspect.h"
#include "vcpu/exit.h"
#include "vm/vm_account.h"

enum { SHORT_NAME = 4 }; /* of general and FP registers: three in a row */

static void print_regs(const struct command_out *out, const struct vcpu *v)
{
    char row[96];
    int at = 0;
    unsigned in_row = 0;
    bool was_short = true;

    for (unsigned i = 0; i < vcpu_reg_count; i++) {
        const struct vcpu_reg *r = &vcpu_regs[i];
        bool is_short = strlen(r->name) <= SHORT_NAME && i > 0 &&
                        (r->offset < offsetof(struct vcpu, pc) ||
                         (r->offset >= offsetof(struct vcpu, fpr) &&
                          r->offset < offsetof(struct vcpu, fpr) + sizeof(v->fpr)));

        if (i == 0)
            is_short = true;
        if (in_row && (is_short != was_short || in_row == (was_short ? 3u : 2u))) {
            out->emit(out->ctx, row);
            at = 0;
            in_row = 0;
        }
        was_short = is_short;
        at += fmt_snprintf(row + at, sizeof(row) - (size_t)at, "%s%*s %016lx", in_row ? "  " : "",
                           is_short ? SHORT_NAME : 10, r->name, (unsigned long)vcpu_reg_get(v, r));
        in_row++;
    }
    if (in_row)
        out->emit(out->ctx, row);
}

void command_print_vcpu(const struct command_out *out, const struct vm *vm, const struct vcpu *v)
{
    command_print(out, "%s vCPU %u of %u: VM %s, hart %s%s%s%s", vm->config.name, v->index,
                  vm->guest.vcpu_count, vm_state_name((enum vm_state)atomic_load(&vm->state)),
                  vcpu_hsm_name(atomic_load(&v->hsm)), v->in_wfi ? ", in WFI" : "",
                  v->stop_reason ? ": " : "", v->stop_reason ? v->stop_reason : "");
    print_regs(out, v);
}

int cmd_regs(const struct command_out *out, int argc, char *const argv[])
{
    uint64_t index = 0;
    struct inspect in;
    int error;

    if (argc < 2 || argc > 3 || (argc == 3 && !command_number(argv[2], &index)))
        return COMMAND_USAGE;
    error = command_inspect_vcpu(out, argv[1], index, false, &in);
    if (error)
        return error;
    command_print_vcpu(out, in.vm, in.v);
    inspect_end(&in);
    return 0;
}

static void print_cause(const struct command_out *out, const struct vm *vm, unsigned cause,
                        struct vm_account_exits sum)
{
    char row[COMMAND_LINE], mean[24] = "-";
    int at;

    if (vm_account_has_costs())
        fmt_snprintf(mean, sizeof(mean), "%lu", (unsigned long)(sum.instructions / sum.count));
    at = fmt_snprintf(row, sizeof(row), "%-20s %12lu %10s ", exit_cause_name(cause),
                      (unsigned long)sum.count, mean);
    for (unsigned i = 0; i < vm->guest.vcpu_count && (size_t)at < sizeof(row); i++)
        if (vm->guest.vcpu[i] && vm->guest.vcpu[i]->exits[cause])
            at += fmt_snprintf(row + at, sizeof(row) - (size_t)at, " %u:%lu", i,
                               (unsigned long)vm->guest.vcpu[i]->exits[cause]);
    out->emit(out->ctx, row);
}

static void print_exits(const struct command_out *out, const struct vm *vm)
{
    uint64_t all = 0;

    command_print(out, "%-20s %12s %10s  %s", "CAUSE", "COUNT", "MEAN COST", "BY VCPU");
    for (unsigned c = 0; c < EXIT_CAUSES; c++) {
        struct vm_account_exits sum = vm_account_exits(vm, c);

        if (sum.count)
            print_cause(out, vm, c, sum);
        all += sum.count;
    }
    command_print(out, "%-20s %12lu", "total", (unsigned long)all);
    if (!vm_account_has_costs())
        command_print(out, "(costs are not counted: `costs on`)");
}

int cmd_exits(const struct command_out *out, int argc, char *const argv[])
{
    struct vm *vm;

    if (argc < 2 || argc > 3 || (argc == 3 && strcmp(argv[2], "reset")))
        return COMMAND_USAGE;
    vm = command_vm(out, argv[1]);
    if (!vm)
        return -ENOENT;
    if (argc == 3)
        vm_account_reset_exits(vm);
    else
        print_exits(out, vm);
    return 0;
}

int cmd_costs(const struct command_out *out, int argc, char *const argv[])
{
    if (argc > 2 || (argc == 2 && strcmp(argv[1], "on") && strcmp(argv[1], "off")))
        return COMMAND_USAGE;
    if (argc == 2)
        vm_account_set_costs(!strcmp(argv[1], "on"));
    command_print(out, vm_account_has_costs()
                           ? "costs are counted, in host instructions; counts of exits began anew"
                           : "costs are not counted");
    return 0;
}
