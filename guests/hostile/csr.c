// SPDX-License-Identifier: BSD-2-Clause
// Every CSR number read and written, in S-mode and in user mode; and the instructions of opcode SYSTEM:
// HLV, HSV, HFENCE, SINVAL and what is no instruction at all.
#include "hostile/hostile.h"

enum { SSTATUS = 0x100, STVEC = 0x105, SSCRATCH = 0x140, SEPC = 0x141, SATP = 0x180 };

static uint32_t csr_insn(unsigned funct3, unsigned csr, unsigned rd, unsigned rs1)
{
    return csr << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | 0x73;
}

/* Written, and put back by the next instruction: this program lives by them. */
static void swap_back(struct worker *w, unsigned csr)
{
    uint64_t v = nasty(w);

    if (csr == SATP)
        v = (v & ~(15ul << 60)) | (1 + random_below(w, 7))
                                      << 60; /* no such mode: nothing happens */
    csr_clear(sstatus, SSTATUS_SIE);
    run_code(w, csr_insn(1, csr, 11, 11), csr_insn(1, csr, 0, 11), 0, v, false);
}

static void try_csr(struct worker *w, unsigned csr)
{
    bool vital = csr == SSTATUS || csr == STVEC || csr == SSCRATCH || csr == SATP;
    unsigned kind = (unsigned)random_below(w, 6);

    run_code(w, csr_insn(2, csr, 10, 0), 0, 0, 0, false); /* read */
    run_code(w, csr_insn(2, csr, 10, 0), 0, 0, 0, true);
    if (vital)
        swap_back(w, csr);
    else
        run_code(w, csr_insn(kind < 3 ? 1 + kind : 2 + kind, csr, 10, 11), 0, 0, nasty(w), false);
    run_code(w, csr_insn(1, csr, 0, 10), 0, nasty(w), 0, true);
}

void attack_csr(struct worker *w)
{
    for (uint64_t i = 0; i < w->ops; i++) {
        unsigned csr = (unsigned)(w->done % 7 ? random_below(w, 4096) : w->done) & 4095;

        try_csr(w, csr);
        csr_write(sie, 0); /* it was among them */
        w->done++;
    }
    /* All of them once, whatever was asked for. */
    for (unsigned csr = 0; csr < 4096 && w->index == 0; csr++)
        try_csr(w, csr);
    csr_write(sie, 0);
}

static uint32_t system_insn(struct worker *w)
{
    static const uint8_t fences[] = {0x09, 0x0b, 0x0c, 0x11, 0x13, 0x31, 0x33};
    uint32_t raw = (uint32_t)random_next(w);

    /* Firmware that is asked first about illegal instructions may write a line for each of the last two kinds. */
    switch (one_in(w, 16) ? 2 + random_below(w, 2) : random_below(w, 2)) {
    case 0: /* HLV, HSV: by all registers but those that hold something */
        return (0x30 + (uint32_t)random_below(w, 8)) << 26 | (raw & 0x7f00000) >> 1 | 11u << 15 |
               4u << 12 | 10u << 7 | 0x73;
    case 1:
        return (uint32_t)fences[random_below(w, ARRAY_LEN(fences))] << 25 | 10u << 20 | 11u << 15 |
               0x73;
    case 2: /* mret, mnret, wrs.nto, wrs.sto, uret, dret; not sret */
    {
        static const uint32_t words[] = {0x30200073, 0x70200073, 0x00d00073, 0x01d00073, 0x00200073,
                                         0x7b200073, 0x10500073, 0x00100073, 0x10400073};

        return words[random_below(w, ARRAY_LEN(words))];
    }
    default: /* anything of funct3 4; or no instruction */
        return (raw & 0xfff07000) | (4u << 12) | 11u << 15 | 10u << 7 | 0x73;
    }
}

void attack_system(struct worker *w)
{
    for (uint64_t i = 0; i < w->ops; i++) {
        alarm_in(20); /* wfi is among them */
        run_code(w, system_insn(w), 0, nasty_address(w), nasty_address(w), one_in(w, 2));
        w->done++;
    }
    csr_write(sie, 0);
}
