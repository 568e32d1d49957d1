// SPDX-License-Identifier: BSD-2-Clause
// Commands about memory: frames by owner, and both stages of an address translation step by step.
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "ctl/command.h"
#include "ctl/inspect.h"
#include "ctl/walk.h"
#include "mem/frame.h"

static unsigned long kib(uint64_t frames) { return frames << (PAGE_SHIFT - 10); }

static void print_counts(const struct command_out *out, const char *name, int owner)
{
    uint64_t n[FRAME_STATES], sum = 0;

    frame_count(owner, n);
    for (unsigned i = 0; i < FRAME_STATES; i++)
        sum += n[i];
    command_print(out, "%-16s %10lu %10lu %8lu %10lu %8lu %8lu %8lu %9lu %11lu", name,
                  kib(n[FRAME_FREE]), kib(n[FRAME_HYP]), kib(n[FRAME_TABLE]), kib(n[FRAME_VM]),
                  kib(n[FRAME_SHARED]), kib(n[FRAME_IMAGE]), kib(n[FRAME_LENT]),
                  kib(n[FRAME_RESERVED]), kib(sum));
}

int cmd_frames(const struct command_out *out, int argc, char *const argv[])
{
    (void)argv;
    if (argc != 1)
        return COMMAND_USAGE;
    command_print(out, "%-16s %10s %10s %8s %10s %8s %8s %8s %9s %11s", "KiB OF", "FREE",
                  "HYPERVISOR", "TABLES", "VM RAM", "SHARED", "IMAGES", "LENT", "RESERVED",
                  "TOTAL");
    for (unsigned i = 0; i < VM_MAX; i++) {
        struct vm *vm = vm_at(i);

        if (vm)
            print_counts(out, vm->config.name, vm->guest.id);
    }
    print_counts(out, "no VM", OWNER_HYP);
    print_counts(out, "all", -1);
    command_print(out, "%lu free pieces of 2 MiB", (unsigned long)frame_free_blocks());
    command_print_promise(out);
    return 0;
}

static void print_step(void *ctx, const struct walk_step *s)
{
    const struct command_out *out = ctx;

    switch (s->kind) {
    case WALK_VS:
        command_print(out, "VS level %u  table gpa %#014lx [%4u]  %016lx  %s", s->level,
                      (unsigned long)s->table, s->index, (unsigned long)s->pte, s->text);
        break;
    case WALK_G:
        command_print(out, "    G  level %u  table hpa %#014lx [%4u]  %016lx  %s", s->level,
                      (unsigned long)s->table, s->index, (unsigned long)s->pte, s->text);
        break;
    case WALK_FOUND:
        command_print(out, "    = hpa %#lx", (unsigned long)s->address);
        break;
    case WALK_NOTHING:
        command_print(out, "    = %s", s->text);
        break;
    case WALK_GPA:
        command_print(out, "gpa %#lx", (unsigned long)s->address);
        break;
    case WALK_FAULT:
        command_print(out, "%s", s->text);
        break;
    }
}

int cmd_walk(const struct command_out *out, int argc, char *const argv[])
{
    uint64_t va, index = 0;
    struct inspect in;
    uint64_t vsatp;
    int error;

    if (argc < 3 || argc > 4 || !command_number(argv[2], &va) ||
        (argc == 4 && !command_number(argv[3], &index)))
        return COMMAND_USAGE;
    error = command_inspect_vcpu(out, argv[1], index, true, &in);
    if (error)
        return error;
    vsatp = in.v->csr.vsatp;
    command_print(out, "%s vCPU %u: gva %#lx, vsatp %#lx (%s, ASID %u)", argv[1], in.v->index,
                  (unsigned long)va, (unsigned long)vsatp, walk_mode(vsatp), walk_asid(vsatp));
    walk_gva(in.vm, in.v, gva(va), print_step, (void *)out);
    inspect_end(&in);
    return 0;
}

int cmd_gpa(const struct command_out *out, int argc, char *const argv[])
{
    struct inspect in;
    uint64_t g;
    int error;

    if (argc != 3 || !command_number(argv[2], &g))
        return COMMAND_USAGE;
    error = command_inspect(out, argv[1], true, &in);
    if (error)
        return error;
    command_print(out, "%s: gpa %#lx (%s)", argv[1], (unsigned long)g,
                  stage2_mode_name((enum stage2_mode)in.vm->guest.s2.mode));
    walk_gpa(in.vm, gpa(g), print_step, (void *)out);
    inspect_end(&in);
    return 0;
}
