// SPDX-License-Identifier: BSD-2-Clause
// What the host is, read once from its device tree into const facts. hyp/boot/platform.c is pure (libfdt only), so every
// board's tree is tested on the host.
// Invariants: nothing here is trusted to be there: probing decides (a tree may promise a CSR that traps).
// Lock rank: none, constant after boot. Callers: boot, drv, vm (ISA of guests), ctl (info).
#pragma once
#include "base/addr.h"

#define PLATFORM_BANKS 8
#define PLATFORM_RESERVED 32
#define PLATFORM_VIRTIO 16
#define PLATFORM_UARTS 4
#define PLATFORM_ISA 2048
#define PLATFORM_HARTS 64
/* Interrupts: the source's number, and above it the tree's type where it has one (1 rising edge, 2 falling, 4 high, 8 low). */
#define PLATFORM_IRQ_TYPE 24
#define PLATFORM_IRQ_NUMBER ((1u << PLATFORM_IRQ_TYPE) - 1)

struct platform_range {
    uint64_t base, size;
};

struct platform_hart {
    uint64_t hartid;
    bool usable; /* status okay, RV64, has H */
    const char *why_not; /* "no H extension", "disabled", or NULL */
    /* The place of its S-mode input: context of the PLIC, hart index of the AIA; or UINT32_MAX. */
    uint32_t irq_context;
};

struct platform_uart {
    enum { UART_NONE, UART_NS16550 } kind; /* NONE, of the console: the SBI debug console */
    struct platform_range regs;
    uint32_t reg_shift, reg_io_width, irq, clock_hz, baud; /* irq, clock_hz: 0: none is told */
    bool dw_apb; /* Synopsys: its busy-detect interrupt wants a quirk */
    char path[64];
};

struct platform {
    const void *fdt;
    char model[64];
    struct platform_range bank[PLATFORM_BANKS];
    unsigned bank_count;
    /* /memreserve/, /reserved-memory: by address, disjoint. */
    struct platform_range reserved[PLATFORM_RESERVED];
    unsigned reserved_count;
    struct platform_hart hart[PLATFORM_HARTS];
    unsigned hart_count, harts_left_out; /* left_out: more than fit */
    uint64_t timebase_hz;
    char isa[PLATFORM_ISA]; /* extensions common to all usable harts, space separated, lower case */
    uint32_t cbom_block, cboz_block; /* bytes; 0: some usable hart lacks it, or they differ */
    char mmu_type[16]; /* the least of the harts: "sv39", "sv48", "sv57" */
    struct platform_uart uart; /* the console */
    /* Others that there is a driver for, in the tree's order. */
    struct platform_uart more_uarts[PLATFORM_UARTS];
    unsigned more_uart_count;
    struct {
        struct platform_range regs; /* size 0: none */
        uint32_t sources;
    } plic;
    struct {
        struct platform_range regs; /* size 0: none, or there is a PLIC */
        uint32_t sources;
        bool msi; /* by messages to IMSICs, whose files know so many identities: */
        uint32_t imsic_ids;
    } aplic;
    struct {
        struct platform_range regs;
        uint32_t irq;
    } virtio[PLATFORM_VIRTIO]; /* virtio-mmio windows, in the tree's order */
    unsigned virtio_count;
    struct platform_range rtc; /* Goldfish's clock of the day; size 0: none */
    struct platform_range initrd; /* size 0: none */
    const char *bootargs; /* "" when none */
    uint8_t rng_seed[64];
    unsigned rng_seed_len;
};

/* Reads the tree. 0, or -EINVAL with *problem naming what is missing ("no /memory", ...). What is odd but
 * can be lived with goes to warn() as one line each. */
int platform_read(const void *fdt, struct platform *out, const char **problem,
                  void (*warn)(const char *line)) MUST_CHECK;
/* A UART by its number (uart0: the console's, uart1 and so on: the others) or its registers' address (0x…): NULL when
 * there is none, or no driver for it. */
const struct platform_uart *platform_find_uart(const struct platform *p, const char *name);
/* Whether the ISA list holds an extension, e.g. "sstc". */
bool platform_has(const struct platform *p, const char *extension);
extern struct platform platform; /* filled by boot/main.c */
