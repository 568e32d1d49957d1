// SPDX-License-Identifier: BSD-2-Clause
// Instruction decode, pure: from a raw 16 or 32 bit instruction, or from a transformed htinst value,
// to what an exit handler needs to know (what is accessed, which register, how wide, how long).
// It knows loads and stores (compressed too), atomics, CBO, CSR and privileged instructions; all
// else is INSN_OTHER and is not checked further.
// Invariants: no CSR, no global, no memory but *out; any 64-bit input is answered.
// Lock rank: none. Callers: fault.c, the virtual-instruction exit, reports, host tests.
// Specification: unprivileged ISA (RVC, Zcb, A, Zabha, Zacas, V, CMO), privileged ISA, section
// "Transformed Instruction or Pseudoinstruction for mtinst or htinst".
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"

#define INSN_WFI_WORD 0x10500073u

enum insn_kind {
    INSN_ILLEGAL = 0, /* with -EILSEQ: reserved, longer than 32 bits, or unknown to the decoder */
    INSN_LOAD, /* rd, width, sign_extend */
    INSN_STORE, /* rs2, width */
    INSN_FP_LOAD, /* rd is an f register; width 2, 4, 8, 16 */
    INSN_FP_STORE, /* rs2 is an f register */
    INSN_LR,
    INSN_SC,
    INSN_AMO, /* funct: funct5 */
    INSN_CBO, /* funct: enum insn_cbo */
    INSN_CSR, /* funct: funct3; csr; rs1 is a register or, when funct & 4, the immediate */
    INSN_WFI,
    INSN_WRS, /* wrs.nto, wrs.sto: funct 0x0d, 0x1d */
    INSN_SRET,
    INSN_MRET,
    INSN_ECALL,
    INSN_EBREAK,
    INSN_SFENCE, /* sfence.vma, sinval.vma, sfence.w.inval, sfence.inval.ir: funct is funct7 */
    INSN_HFENCE, /* hfence.vvma, hfence.gvma, hinval.vvma, hinval.gvma: funct is funct7 */
    INSN_HLV, /* as INSN_LOAD */
    INSN_HLVX, /* as INSN_LOAD, with execute permission */
    INSN_HSV, /* as INSN_STORE */
    INSN_VECTOR_LOAD, /* width: of an element */
    INSN_VECTOR_STORE,
    INSN_OTHER,
};

enum insn_cbo { CBO_INVAL = 0, CBO_CLEAN = 1, CBO_FLUSH = 2, CBO_ZERO = 4 };

struct insn {
    uint8_t kind; /* enum insn_kind */
    uint8_t length; /* bytes to advance the pc by: 2 or 4; 0 when it is longer than 4 */
    uint8_t width; /* bytes accessed, 0 when none */
    bool sign_extend; /* of what is written to rd */
    uint8_t rs2, rs1, rd; /* those that the kind has, else 0; rs1 is 0 from htinst */
    uint8_t offset; /* htinst: faulting address minus the access's first byte; else 0 */
    /* insn.c writes the eight fields above as two words: keep their order. */
    /* From here on set by insn_decode only; insn_decode_htinst sets them for other than plain
     * loads and stores. */
    int16_t imm; /* displacement of a load or store */
    uint16_t csr;
    uint8_t funct; /* see enum insn_kind */
    uint32_t raw; /* the instruction, 16 or 32 bits of it */
};

/* Decodes raw; of a compressed instruction only the low 16 bits are looked at.
 * 0, or -EILSEQ with kind INSN_ILLEGAL (length is still set). */
int insn_decode(uint32_t raw, struct insn *out) MUST_CHECK;

/* Decodes a transformed instruction: -EILSEQ when it is none (0, a pseudoinstruction, a custom
 * value, any of the upper 32 bits set): then *out is undefined. */
int insn_decode_htinst(uint64_t htinst, struct insn *out) MUST_CHECK;

/* The pseudoinstructions for an implicit access of VS-stage translation: a read or a write (of A
 * and D bits) of the guest's own page table faulted. 0x3000, 0x3020: 64 bit; 0x2000, 0x2020: 32. */
static inline bool insn_htinst_is_pt_read(uint64_t htinst)
{
    return htinst == 0x3000 || htinst == 0x2000;
}
static inline bool insn_htinst_is_pt_write(uint64_t htinst)
{
    return htinst == 0x3020 || htinst == 0x2020;
}

/* What rd gets when the low width bytes of bus_value were read (widths 1, 2, 4, 8). */
static inline uint64_t insn_load_value(const struct insn *in, uint64_t bus_value)
{
    unsigned shift = (64 - 8u * in->width) & 63;

    if (in->sign_extend)
        return (uint64_t)((int64_t)(bus_value << shift) >> shift);
    return bus_value << shift >> shift;
}

/* What is put on the bus when a register holding value is stored: zero extended from width. */
static inline uint64_t insn_store_value(const struct insn *in, uint64_t value)
{
    unsigned shift = (64 - 8u * in->width) & 63;

    return value << shift >> shift;
}

/* Whether a CSR instruction writes its CSR: csrrs and csrrc of x0 or 0 do not. */
static inline bool insn_csr_writes(const struct insn *in)
{
    return (in->funct & 3) == 1 || in->rs1 != 0;
}
/* Whether it reads it: csrrw to x0 does not. */
static inline bool insn_csr_reads(const struct insn *in)
{
    return (in->funct & 3) != 1 || in->rd != 0;
}

/* "load", "store", "csr": for statistics and reports. */
const char *insn_name(uint8_t kind);

/* Disassembles raw as binutils does with no-aliases ("c.ld a0,8(s1)"; CSRs by number), for people;
 * what the decoder does not know becomes ".insn 0x…". Returns the length as snprintf does. */
int insn_describe(uint32_t raw, char *buf, size_t size);
