// SPDX-License-Identifier: BSD-2-Clause
// The protocol's commands that look into a VM: registers, both stages of a translation, exits, its device tree, the
// report of a crash; and the NMI.
#include <errno.h>
#include <libfdt.h>
#include <string.h>

#include "ctl/cmd_kick.h"
#include "ctl/dts.h"
#include "ctl/qmp_command.h"
#include "ctl/walk.h"
#include "vcpu/exit.h"
#include "vm/vm_account.h"
#include "vm/vm_ops.h"

int qmp_query_registers(struct qmp_call *c)
{
    struct json_out *o = c->out;
    struct inspect in;
    int error = qmp_inspect_vcpu(c, false, &in);

    if (error)
        return error;
    json_begin_object(o, NULL);
    json_put_string(o, "vm", in.vm->config.name);
    json_put_u64(o, "vcpu", in.v->index);
    qmp_put_status(o, in.vm);
    json_put_string(o, "hart", vcpu_hsm_name(atomic_load(&in.v->hsm)));
    json_put_bool(o, "in-wfi", in.v->in_wfi);
    if (in.v->stop_reason)
        json_put_string(o, "reason", in.v->stop_reason);
    json_begin_object(o, "registers");
    for (unsigned i = 0; i < vcpu_reg_count; i++)
        qmp_put_address(o, vcpu_regs[i].name, vcpu_reg_get(in.v, &vcpu_regs[i]));
    json_end_object(o);
    json_end_object(o);
    inspect_end(&in);
    return 0;
}

/* ---- translations ---- */

/* What is left of a walk when its steps have been written. */
struct walked {
    struct json_out *out;
    bool has_gpa, has_hpa;
    uint64_t gpa, hpa;
    char fault[WALK_TEXT];
};

static void put_entry(struct json_out *o, const struct walk_step *s)
{
    json_begin_object(o, NULL);
    json_put_string(o, "stage", s->kind == WALK_VS ? "vs" : "g");
    json_put_u64(o, "level", s->level);
    qmp_put_address(o, "table", s->table);
    json_put_u64(o, "index", s->index);
    qmp_put_address(o, "pte", s->pte);
    json_put_string(o, "text", s->text);
    json_end_object(o);
}

/* The second stage's results of the way there are followed by more; the last one is the answer. */
static void put_step(void *ctx, const struct walk_step *s)
{
    struct walked *w = ctx;

    switch (s->kind) {
    case WALK_VS:
    case WALK_G:
        put_entry(w->out, s);
        break;
    case WALK_GPA:
        w->has_gpa = true;
        w->gpa = s->address;
        break;
    case WALK_FOUND:
        w->has_hpa = true;
        w->hpa = s->address;
        w->fault[0] = '\0';
        break;
    case WALK_NOTHING:
    case WALK_FAULT:
        w->has_hpa = false;
        fmt_snprintf(w->fault, sizeof(w->fault), "%s", s->text);
        break;
    }
}

static void put_result(struct walked *w)
{
    if (w->has_gpa)
        qmp_put_address(w->out, "gpa", w->gpa);
    if (w->has_hpa)
        qmp_put_address(w->out, "hpa", w->hpa);
    if (w->fault[0])
        json_put_string(w->out, "fault", w->fault);
}

int qmp_query_walk(struct qmp_call *c)
{
    struct walked w = {.out = c->out};
    struct inspect in;
    uint64_t va, vsatp;
    int error = qmp_arg_address(c, "gva", &va);

    if (!error)
        error = qmp_inspect_vcpu(c, true, &in);
    if (error)
        return error;
    vsatp = in.v->csr.vsatp;
    json_begin_object(c->out, NULL);
    json_put_string(c->out, "vm", in.vm->config.name);
    json_put_u64(c->out, "vcpu", in.v->index);
    qmp_put_address(c->out, "gva", va);
    qmp_put_address(c->out, "vsatp", vsatp);
    json_put_string(c->out, "mode", walk_mode(vsatp));
    json_put_u64(c->out, "asid", walk_asid(vsatp));
    json_begin_array(c->out, "steps");
    walk_gva(in.vm, in.v, gva(va), put_step, &w);
    json_end_array(c->out);
    put_result(&w);
    json_end_object(c->out);
    inspect_end(&in);
    return 0;
}

int qmp_query_gpa(struct qmp_call *c)
{
    struct walked w = {.out = c->out, .has_gpa = true};
    struct inspect in;
    int error = qmp_arg_address(c, "gpa", &w.gpa);

    if (!error)
        error = qmp_inspect(c, true, &in);
    if (error)
        return error;
    json_begin_object(c->out, NULL);
    json_put_string(c->out, "vm", in.vm->config.name);
    json_put_string(c->out, "mode", stage2_mode_name((enum stage2_mode)in.vm->guest.s2.mode));
    json_begin_array(c->out, "steps");
    walk_gpa(in.vm, gpa(w.gpa), put_step, &w);
    json_end_array(c->out);
    put_result(&w);
    json_end_object(c->out);
    inspect_end(&in);
    return 0;
}

/* ---- exits ---- */

static void put_cause(struct json_out *o, const struct vm *vm, unsigned cause, const struct vcpu *v)
{
    struct vm_account_exits sum = vm_account_exits(vm, cause);

    if (v)
        sum = (struct vm_account_exits){v->exits[cause], v->exits_cost[cause]};
    if (!sum.count)
        return;
    json_begin_object(o, NULL);
    json_put_string(o, "cause", exit_cause_name(cause));
    json_put_u64(o, "count", sum.count);
    if (vm_account_has_costs())
        json_put_u64(o, "instructions", sum.instructions);
    json_begin_array(o, "vcpus");
    for (unsigned i = 0; i < vm->guest.vcpu_count; i++)
        if (vm->guest.vcpu[i] && (!v || vm->guest.vcpu[i] == v))
            json_put_u64(o, NULL, vm->guest.vcpu[i]->exits[cause]);
    json_end_array(o);
    json_end_object(o);
}

int qmp_query_exits(struct qmp_call *c)
{
    struct vm *vm = qmp_vm(c);
    const struct vcpu *v = NULL;
    uint64_t index, total = 0;

    if (!vm)
        return -ENOENT;
    if (qmp_arg_u64(c, "vcpu", &index)) {
        if (index >= vm->guest.vcpu_count || !vm->guest.vcpu[index])
            return qmp_fail(c, -EINVAL, "%s: it has no such vCPU: they count from 0",
                            vm->config.name);
        v = vm->guest.vcpu[index];
    }
    json_begin_object(c->out, NULL);
    json_put_string(c->out, "vm", vm->config.name);
    json_put_bool(c->out, "costs", vm_account_has_costs());
    json_begin_array(c->out, "exits");
    for (unsigned cause = 0; cause < EXIT_CAUSES; cause++) {
        put_cause(c->out, vm, cause, v);
        total += v ? v->exits[cause] : vm_account_exits(vm, cause).count;
    }
    json_end_array(c->out);
    json_put_u64(c->out, "total", total);
    json_end_object(c->out);
    return 0;
}

int qmp_reset_exits(struct qmp_call *c)
{
    struct vm *vm = qmp_vm(c);

    if (!vm)
        return -ENOENT;
    vm_account_reset_exits(vm);
    return 0;
}

int qmp_set_exit_costs(struct qmp_call *c)
{
    bool on = false;

    qmp_arg_bool(c, "enable", &on);
    vm_account_set_costs(on);
    return 0;
}

/* ---- texts ---- */

int qmp_query_fdt(struct qmp_call *c)
{
    struct command_out text = qmp_text(c->out);
    struct inspect in;
    int error = qmp_inspect(c, false, &in);

    if (error)
        return error;
    if (!in.vm->fdt) {
        error = qmp_fail(c, -ENOENT, "%s has not been started yet: its tree is made then",
                         in.vm->config.name);
    } else {
        json_begin_object(c->out, NULL);
        json_begin_string(c->out, "source");
        if (dts_print(in.vm->fdt, fdt_totalsize(in.vm->fdt), text.emit, text.ctx))
            error = qmp_fail(c, -EINVAL, "%s: the tree is damaged", in.vm->config.name);
        json_end_string(c->out);
        json_end_object(c->out);
    }
    inspect_end(&in);
    return error;
}

/* The text is what the shell's `report` prints. */
int qmp_query_report(struct qmp_call *c)
{
    struct command_out text = qmp_text(c->out);
    struct vm *vm = qmp_vm(c);
    char *words[2] = {"report", vm ? vm->config.name : NULL};

    if (!vm)
        return -ENOENT;
    json_begin_object(c->out, NULL);
    json_put_bool(c->out, "crashed", vm_state(vm) == VM_CRASHED);
    json_begin_string(c->out, "text");
    (void)cmd_report(&text, 2, words);
    json_end_string(c->out);
    json_end_object(c->out);
    return 0;
}

int qmp_inject_nmi(struct qmp_call *c)
{
    char text[KICK_TEXT];
    struct inspect in;
    bool force = false;
    struct vm *vm = qmp_vm(c);
    int error;

    if (!vm)
        return -ENOENT;
    kick_wait(vm);
    error = qmp_inspect_vcpu(c, false, &in);
    if (error)
        return error;
    qmp_arg_bool(c, "force", &force);
    error = kick_inspected(&in, force, text);
    inspect_end(&in);
    if (error)
        return qmp_fail(c, error, "%s", text);
    json_begin_object(c->out, NULL);
    json_put_string(c->out, "text", text);
    json_end_object(c->out);
    return 0;
}
