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

/* rs1 is a1, rs2 or rd is a0: registers that hold nothing. */
static uint32_t r_type(unsigned funct7, unsigned funct3, unsigned rs2, unsigned rd)
{
    return funct7 << 25 | rs2 << 20 | 11u << 15 | funct3 << 12 | rd << 7 | 0x73;
}

static uint32_t hypervisor_access(struct worker *w)
{
    static const struct {
        uint8_t funct7, rs2;
    } loads[] = {/* HLV.B, BU, H, HU, W, WU, D; HLVX.HU, WU */
                 {0x30, 0}, {0x30, 1}, {0x32, 0}, {0x32, 1}, {0x34, 0},
                 {0x34, 1}, {0x36, 0}, {0x32, 3}, {0x34, 3}};
    uint64_t n = random_below(w, ARRAY_LEN(loads) + 4);

    if (n >= ARRAY_LEN(loads)) /* HSV.B, H, W, D */
        return r_type(0x31 + 2 * (unsigned)(n - ARRAY_LEN(loads)), 4, 10, 0);
    return r_type(loads[n].funct7, 4, loads[n].rs2, 10);
}

static uint32_t fence(struct worker *w)
{
    /* SFENCE.VMA, HFENCE.VVMA, HFENCE.GVMA; Svinval: SINVAL.VMA, HINVAL.VVMA, HINVAL.GVMA */
    static const uint8_t funct7[] = {0x09, 0x11, 0x31, 0x0b, 0x13, 0x33};
    static const uint32_t words[] = {0x18000073, 0x18100073}; /* SFENCE.W.INVAL, SFENCE.INVAL.IR */
    bool svinval = to_firmware || rt_has("svinval");

    if (svinval && one_in(w, 8))
        return words[random_below(w, ARRAY_LEN(words))];
    return r_type(funct7[random_below(w, svinval ? 6 : 3)], 0, 10, 0);
}

static uint32_t of_machine_mode(struct worker *w)
{
    /* mret, mnret, wrs.nto, wrs.sto, uret, dret, wfi, ebreak, a word of no meaning; not sret */
    static const uint32_t words[] = {0x30200073, 0x70200073, 0x00d00073, 0x01d00073, 0x00200073,
                                     0x7b200073, 0x10500073, 0x00100073, 0x10400073};

    return words[random_below(w, ARRAY_LEN(words))];
}

/* None of them may be executed: what it does is done to the host's memory, or with its translation. */
static void check_trapped(struct worker *w, uint32_t word, bool user, unsigned traps_before)
{
    const struct trap_record *t = &hart_self()->trap;

    if (t->count != traps_before && t->cause == CAUSE_ILLEGAL && t->from_user == user)
        return;
    printf("hostile: FAIL %08x by hart %u: %u traps, cause %lu\n", word, w->index,
           t->count - traps_before, t->cause);
}

static void try_hypervisor_access(struct worker *w)
{
    uint32_t word = hypervisor_access(w);
    bool user = one_in(w, 2);
    unsigned before = hart_self()->trap.count;

    run_code(w, word, 0, nasty_address(w), nasty_address(w), user);
    check_trapped(w, word, user, before);
}

static uint32_t system_insn(struct worker *w)
{
    switch (1 + random_below(w, to_firmware ? 3 : 1)) {
    case 1:
        return fence(w);
    case 2:
        return of_machine_mode(w);
    default: /* reserved ones, most of them */
        return ((uint32_t)random_next(w) & 0xfff00000) | r_type(0, 4, 0, 10);
    }
}

void attack_system(struct worker *w)
{
    for (uint64_t i = 0; i < w->ops; i++) {
        alarm_in(20); /* wfi is among them */
        if (one_in(w, 2))
            try_hypervisor_access(w);
        else
            run_code(w, system_insn(w), 0, nasty_address(w), nasty_address(w), one_in(w, 2));
        w->done++;
    }
    csr_write(sie, 0);
}
