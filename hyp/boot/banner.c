// SPDX-License-Identifier: BSD-2-Clause
#include "boot/banner.h"

#include <string.h>

#include "base/log.h"
#include "drv/drv.h"
#include "mem/frame.h"
#include "sched/hart.h"
#include "vcpu/features.h"

struct banner_facts banner_facts;

static void memory_line(const struct platform *p, char *to, size_t size)
{
    uint64_t total = 0;
    int n;

    for (unsigned i = 0; i < p->bank_count; i++)
        total += p->bank[i].size;
    n = fmt_snprintf(to, size, "memory   %lu MiB, %lu MiB free; banks", total >> 20,
                     frame_free_count() >> (20 - PAGE_SHIFT));
    for (unsigned i = 0; i < p->bank_count && n > 0 && (size_t)n < size; i++)
        n += fmt_snprintf(to + n, size - (size_t)n, " %lx..%lx", p->bank[i].base,
                          p->bank[i].base + p->bank[i].size);
}

static void harts_line(const struct platform *p, char *to, size_t size)
{
    int n = fmt_snprintf(to, size, "harts    %u:", hart_count);

    for (unsigned i = 0; i < hart_count && (size_t)n < size; i++)
        n += fmt_snprintf(to + n, size - (size_t)n, " %lu", harts[i]->hartid);
    for (unsigned i = 0; i < p->hart_count && (size_t)n < size; i++)
        if (!p->hart[i].usable)
            n += fmt_snprintf(to + n, size - (size_t)n, "; not %lu (%s)", p->hart[i].hartid,
                              p->hart[i].why_not);
}

static void stage2_line(char *to, size_t size)
{
    static const uint8_t mode[] = {STAGE2_SV39X4, STAGE2_SV48X4, STAGE2_SV57X4};
    int n = fmt_snprintf(to, size, "stage 2 ");

    for (unsigned i = 0; i < ARRAY_LEN(mode); i++)
        if (stage2_modes & 1u << mode[i])
            n += fmt_snprintf(to + n, size - (size_t)n, " %s", stage2_mode_name(mode[i]));
    fmt_snprintf(to + n, size - (size_t)n, ", %u VMID bits", banner_facts.vmid_bits);
}

/* As many lines as it takes: nothing of the list is left out. */
static void isa_lines(void (*emit)(void *ctx, const char *line), void *ctx)
{
    enum { WIDTH = 100, WORDS_AT = 9 };
    const char *s = vcpu_isa(), *label = "guests";
    char line[WIDTH + 1];

    while (*s) {
        size_t len = strlen(s), cut = len;

        if (len > WIDTH - WORDS_AT) {
            cut = WIDTH - WORDS_AT;
            while (s[cut] != ' ') /* no name is as long as a line */
                cut--;
        }
        memset(line, ' ', WORDS_AT);
        memcpy(line, label, strlen(label));
        memcpy(line + WORDS_AT, s, cut);
        line[WORDS_AT + cut] = 0;
        emit(ctx, line);
        label = "";
        s += cut + (s[cut] == ' ');
    }
}

void banner_lines(const struct platform *p, void (*emit)(void *ctx, const char *line), void *ctx)
{
    char line[240];

    emit(ctx, HYP_DEBUG ? "Trapline, a RISC-V hypervisor (debug build)"
                        : "Trapline, a RISC-V hypervisor");
    fmt_snprintf(line, sizeof(line), "host     %s, timebase %lu Hz", p->model, p->timebase_hz);
    emit(ctx, line);
    isa_lines(emit, ctx);
    stage2_line(line, sizeof(line));
    emit(ctx, line);
    fmt_snprintf(line, sizeof(line), "timers   %s",
                 vcpu_features.sstc ? "Sstc, no exits" : "by software (no Sstc)");
    emit(ctx, line);
    memory_line(p, line, sizeof(line));
    emit(ctx, line);
    harts_line(p, line, sizeof(line));
    emit(ctx, line);
    fmt_snprintf(
        line, sizeof(line), "devices  console %s, interrupts %s, %u disk%s, entropy %s, clock %s",
        p->uart.kind == UART_NS16550 ? "ns16550a" : "SBI", host_irq_name(), host_disk_count(),
        host_disk_count() == 1 ? "" : "s", entropy_source(), host_rtc() ? "goldfish-rtc" : "none");
    emit(ctx, line);
}

static void to_log(void *ctx, const char *line)
{
    (void)ctx;
    log_info("%s", line);
}

void banner_print(const struct platform *p) { banner_lines(p, to_log, 0); }

void banner_log_sink(enum log_level level, const char *line, size_t len)
{
    (void)level;
    while (len && (line[len - 1] == '\n' || line[len - 1] == '\r'))
        len--;
    host_console_write(line, len);
    host_console_write("\r\n", 2);
}
