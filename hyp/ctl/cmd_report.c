// SPDX-License-Identifier: BSD-2-Clause
// Commands to look at a VM that has crashed: the report with all its vCPUs, and its memory.
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "ctl/command.h"
#include "ctl/inspect.h"
#include "mem/heap.h"
#include "vcpu/exit.h"

/* ---- report ---- */

/* All of a text of several lines. */
static void print_text(const struct command_out *out, const char *text)
{
    char line[sizeof(((struct vm *)0)->crash_report)];

    while (*text) {
        const char *end = strchr(text, '\n');
        size_t len = end ? (size_t)(end - text) : strlen(text);

        memcpy(line, text, len);
        line[len] = '\0';
        out->emit(out->ctx, line);
        text += len + (end != NULL);
    }
}

static void print_last_exits(const struct command_out *out, const struct vcpu *v)
{
    unsigned n = v->last_exit < EXIT_RING ? v->last_exit : EXIT_RING;

    if (n)
        command_print(out, "last %u exits of vCPU %u, oldest first:", n, v->index);
    else
        command_print(out, "(vCPU %u: exits are remembered while `costs on`)", v->index);
    for (unsigned i = v->last_exit - n; i != v->last_exit; i++) {
        const struct exit_record *r = &v->last_exits[i % EXIT_RING];

        command_print(out, "  %-20s pc %016lx stval %016lx htval %lx", exit_cause_name(r->row),
                      (unsigned long)r->pc, (unsigned long)r->tval, (unsigned long)r->htval);
    }
}

int cmd_report(const struct command_out *out, int argc, char *const argv[])
{
    struct inspect in;
    struct vm *vm;
    int error;

    if (argc != 2)
        return COMMAND_USAGE;
    error = command_inspect(out, argv[1], false, &in);
    if (error)
        return error;
    vm = in.vm;
    if (!vm->crash_report[0])
        command_print(out, "%s: no crash since its last start%s%s", argv[1],
                      vm->end_reason[0] ? "; it ended: " : "", vm->end_reason);
    print_text(out, vm->crash_report);
    /* In any other state they are not where they were. */
    for (unsigned i = 0; atomic_load(&vm->state) == VM_CRASHED && i < vm->guest.vcpu_count; i++) {
        command_print_vcpu(out, vm, vm->guest.vcpu[i]);
        print_last_exits(out, vm->guest.vcpu[i]);
    }
    inspect_end(&in);
    return 0;
}

/* ---- dump ---- */

enum { ROW = 16, ROW_TEXT = 96 };

/* As hexdump -C writes it: tools/dump2core reads it back. */
static void print_row(const struct command_out *out, uint64_t at, const uint8_t *byte)
{
    static const char digits[] = "0123456789abcdef";
    char text[ROW_TEXT];
    unsigned n = (unsigned)fmt_snprintf(text, sizeof(text), "%016lx ", (unsigned long)at);

    for (unsigned i = 0; i < ROW; i++) {
        text[n++] = ' ';
        if (i == ROW / 2)
            text[n++] = ' ';
        text[n++] = digits[byte[i] >> 4];
        text[n++] = digits[byte[i] & 15];
    }
    text[n++] = ' ';
    text[n++] = ' ';
    text[n++] = '|';
    for (unsigned i = 0; i < ROW; i++)
        text[n++] = byte[i] >= ' ' && byte[i] < 0x7F ? (char)byte[i] : '.';
    text[n++] = '|';
    text[n] = '\0';
    out->emit(out->ctx, text);
}

struct dump {
    const struct command_out *out;
    uint64_t end;
    uint64_t untouched;  /* bytes */
    bool any, repeating; /* a row is in last; a * stands for those like it */
    uint8_t last[ROW];
};

static void dump_row(struct dump *d, uint64_t at, const uint8_t *byte)
{
    /* The first row of a page is always written, so that a hole is never taken for a repetition. */
    if (d->any && at % PAGE_SIZE && !memcmp(byte, d->last, ROW)) {
        if (!d->repeating)
            d->out->emit(d->out->ctx, "*");
        d->repeating = true;
        return;
    }
    d->any = true;
    d->repeating = false;
    memcpy(d->last, byte, ROW);
    print_row(d->out, at, byte);
}

/* What lies in one page of [at, d->end); never touched memory is neither read nor populated,
 * where it is zeros. */
static int dump_page(struct dump *d, struct stage2 *s2, uint64_t at, uint8_t *page)
{
    uint64_t len = min_u64(PAGE_SIZE - at % PAGE_SIZE, d->end - at);
    struct stage2_leaf leaf;

    if (stage2_find_ram(s2, gpa(at)) && !stage2_has_image(s2, gpa(at), len) &&
        stage2_lookup(s2, gpa(at), &leaf)) {
        d->untouched += len;
        d->any = false;
        return 0;
    }
    if (guest_mem_read(s2, gpa(at), page, len))
        return -EFAULT;
    for (uint64_t i = 0; i < len; i += ROW)
        dump_row(d, at + i, page + i);
    return 0;
}

static int dump_range(struct dump *d, struct stage2 *s2, uint64_t from)
{
    uint8_t *page = heap_alloc(PAGE_SIZE);
    int error = 0;

    if (!page)
        return command_fail(d->out, -ENOMEM, "no memory");
    for (uint64_t at = from; at < d->end && !error; at = align_down(at, PAGE_SIZE) + PAGE_SIZE) {
        error = dump_page(d, s2, at, page);
        if (error)
            command_print(d->out, "%#lx is not RAM: see `devices`, `gpa`", (unsigned long)at);
        sched_point();
    }
    heap_free(page);
    if (!error)
        command_print(d->out, "%016lx", (unsigned long)d->end);
    return error;
}

/* All RAM, or [from, from + len) in whole rows. */
static int dump_vm(const struct command_out *out, struct vm *vm, uint64_t from, uint64_t len)
{
    struct stage2 *s2 = &vm->guest.s2;
    struct dump d = {.out = out};
    int error = 0;

    if (len) {
        d.end = align_up(from + len, ROW);
        error = dump_range(&d, s2, align_down(from, ROW));
    }
    for (unsigned i = 0; !len && !error && i < s2->ram_count; i++) {
        d.end = s2->ram[i].base.v + s2->ram[i].size;
        error = dump_range(&d, s2, s2->ram[i].base.v);
    }
    if (d.untouched)
        command_print(out, "(%lu KiB were never touched: zeroes)",
                      (unsigned long)(d.untouched >> 10));
    return error;
}

int cmd_dump(const struct command_out *out, int argc, char *const argv[])
{
    uint64_t from = 0, len = 0;
    struct inspect in;
    int error;

    if (argc != 2 && argc != 4)
        return COMMAND_USAGE;
    if (argc == 4 && (!command_number(argv[2], &from) || !command_number(argv[3], &len) || !len ||
                      from + len < from || from + len > UINT64_MAX - PAGE_SIZE))
        return COMMAND_USAGE;
    error = command_inspect(out, argv[1], true, &in);
    if (error)
        return error;
    error = dump_vm(out, in.vm, from, len);
    inspect_end(&in);
    return error;
}
