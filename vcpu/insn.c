// SPDX-License-Identifier: BSD-2-Clause
#include "vcpu/insn.h"

#include <errno.h>

/* Major opcodes, bits 6:0 of a 32-bit instruction. */
enum {
    OP_LOAD = 0x03,
    OP_LOAD_FP = 0x07,
    OP_MISC_MEM = 0x0f,
    OP_STORE = 0x23,
    OP_STORE_FP = 0x27,
    OP_AMO = 0x2f,
    OP_SYSTEM = 0x73,
};

#define BYTE_KIND(kind) ((uint32_t)(kind))
#define BYTE_LENGTH(n) ((uint32_t)(n) << 8)
#define BYTE_WIDTH(n) ((uint32_t)(n) << 16)
#define BYTE_SIGN ((uint32_t)1 << 24)

static inline unsigned field(uint32_t raw, unsigned low, unsigned bits)
{
    return raw >> low & ((1u << bits) - 1);
}

static int illegal(struct insn *out)
{
    *out = (struct insn){.kind = INSN_ILLEGAL, .length = out->length, .raw = out->raw};
    return -EILSEQ;
}

static int shape(struct insn *out, enum insn_kind kind, unsigned width, bool sign)
{
    out->kind = (uint8_t)kind;
    out->width = (uint8_t)width;
    out->sign_extend = sign;
    return 0;
}

/* ---- compressed ---- */

/* Displacements of RVC loads and stores: by register ("c.lw"), loads by sp, stores by sp. */
static int16_t imm_reg(uint32_t raw, unsigned width)
{
    unsigned high = field(raw, 10, 3) << 3;

    if (width == 8)
        return (int16_t)(high | field(raw, 5, 2) << 6);
    return (int16_t)(high | field(raw, 6, 1) << 2 | field(raw, 5, 1) << 6);
}

static int16_t imm_load_sp(uint32_t raw, unsigned width)
{
    unsigned high = field(raw, 12, 1) << 5;

    if (width == 8)
        return (int16_t)(high | field(raw, 5, 2) << 3 | field(raw, 2, 3) << 6);
    return (int16_t)(high | field(raw, 4, 3) << 2 | field(raw, 2, 2) << 6);
}

static int16_t imm_store_sp(uint32_t raw, unsigned width)
{
    if (width == 8)
        return (int16_t)(field(raw, 10, 3) << 3 | field(raw, 7, 3) << 6);
    return (int16_t)(field(raw, 9, 4) << 2 | field(raw, 7, 2) << 6);
}

/* Zcb: byte and halfword loads and stores, in quadrant 0, funct3 100. */
static int decode_zcb(uint32_t raw, struct insn *out)
{
    unsigned rd = 8 + field(raw, 2, 3);
    unsigned bit6 = field(raw, 6, 1), bit5 = field(raw, 5, 1);

    out->rs1 = (uint8_t)(8 + field(raw, 7, 3));
    switch (field(raw, 10, 3)) {
    case 0:
        out->rd = (uint8_t)rd;
        out->imm = (int16_t)(bit5 << 1 | bit6);
        return shape(out, INSN_LOAD, 1, false);
    case 1:
        out->rd = (uint8_t)rd;
        out->imm = (int16_t)(bit5 << 1);
        return shape(out, INSN_LOAD, 2, bit6 != 0);
    case 2:
        out->rs2 = (uint8_t)rd;
        out->imm = (int16_t)(bit5 << 1 | bit6);
        return shape(out, INSN_STORE, 1, false);
    case 3:
        if (bit6)
            return illegal(out);
        out->rs2 = (uint8_t)rd;
        out->imm = (int16_t)(bit5 << 1);
        return shape(out, INSN_STORE, 2, false);
    default:
        return illegal(out);
    }
}

static int decode_quadrant0(uint32_t raw, unsigned funct3, struct insn *out)
{
    unsigned width = (funct3 & 3) == 2 ? 4 : 8;
    bool store = (funct3 & 4) != 0, fp = (funct3 & 3) == 1;
    uint8_t reg = (uint8_t)(8 + field(raw, 2, 3));

    if (funct3 == 4)
        return decode_zcb(raw, out);
    if (funct3 == 0) /* c.addi4spn */
        return field(raw, 5, 8) ? shape(out, INSN_OTHER, 0, false) : illegal(out);
    out->rs1 = (uint8_t)(8 + field(raw, 7, 3));
    out->imm = imm_reg(raw, width);
    if (store) {
        out->rs2 = reg;
        return shape(out, fp ? INSN_FP_STORE : INSN_STORE, width, false);
    }
    out->rd = reg;
    return shape(out, fp ? INSN_FP_LOAD : INSN_LOAD, width, !fp);
}

static int decode_quadrant2(uint32_t raw, unsigned funct3, struct insn *out)
{
    unsigned width = (funct3 & 3) == 2 ? 4 : 8;
    bool fp = (funct3 & 3) == 1;

    if (raw == 0x9002)
        return shape(out, INSN_EBREAK, 0, false);
    if ((funct3 & 3) == 0)
        return shape(out, INSN_OTHER, 0, false);
    out->rs1 = 2;
    if (funct3 & 4) {
        out->rs2 = (uint8_t)field(raw, 2, 5);
        out->imm = imm_store_sp(raw, width);
        return shape(out, fp ? INSN_FP_STORE : INSN_STORE, width, false);
    }
    out->rd = (uint8_t)field(raw, 7, 5);
    out->imm = imm_load_sp(raw, width);
    if (!fp && out->rd == 0)
        return illegal(out); /* reserved */
    return shape(out, fp ? INSN_FP_LOAD : INSN_LOAD, width, !fp);
}

static int decode_compressed(uint32_t raw, struct insn *out)
{
    unsigned funct3 = field(raw, 13, 3);

    switch (raw & 3) {
    case 0:
        return decode_quadrant0(raw, funct3, out);
    case 1:
        return shape(out, INSN_OTHER, 0, false);
    default:
        return decode_quadrant2(raw, funct3, out);
    }
}

/* ---- 32 bit ---- */

static int16_t imm_i(uint32_t raw) { return (int16_t)((int32_t)raw >> 20); }

static int16_t imm_s(uint32_t raw)
{
    return (int16_t)(((int32_t)raw >> 25) * 32 + (int)field(raw, 7, 5));
}

static int decode_load(uint32_t raw, unsigned funct3, struct insn *out)
{
    if (funct3 == 7)
        return illegal(out);
    out->rd = (uint8_t)field(raw, 7, 5);
    out->rs1 = (uint8_t)field(raw, 15, 5);
    out->imm = imm_i(raw);
    return shape(out, INSN_LOAD, 1u << (funct3 & 3), funct3 < 4);
}

static int decode_store(uint32_t raw, unsigned funct3, struct insn *out)
{
    if (funct3 > 3)
        return illegal(out);
    out->rs1 = (uint8_t)field(raw, 15, 5);
    out->rs2 = (uint8_t)field(raw, 20, 5);
    out->imm = imm_s(raw);
    return shape(out, INSN_STORE, 1u << funct3, false);
}

/* LOAD-FP and STORE-FP: funct3 1 to 4 are flh to flq, the others vector element widths. */
static int decode_fp(uint32_t raw, unsigned funct3, bool store, struct insn *out)
{
    bool vector = funct3 == 0 || funct3 > 4;

    out->rs1 = (uint8_t)field(raw, 15, 5);
    if (vector) {
        out->rd = store ? 0 : (uint8_t)field(raw, 7, 5);
        return shape(out, store ? INSN_VECTOR_STORE : INSN_VECTOR_LOAD,
                     funct3 ? 1u << (funct3 - 4) : 1, false);
    }
    if (store) {
        out->rs2 = (uint8_t)field(raw, 20, 5);
        out->imm = imm_s(raw);
        return shape(out, INSN_FP_STORE, 1u << funct3, false);
    }
    out->rd = (uint8_t)field(raw, 7, 5);
    out->imm = imm_i(raw);
    return shape(out, INSN_FP_LOAD, 1u << funct3, false);
}

enum { AMO_ADD = 0, AMO_SWAP = 1, AMO_LR = 2, AMO_SC = 3, AMO_XOR = 4, AMO_CAS = 5 };

static int decode_amo(uint32_t raw, unsigned funct3, struct insn *out)
{
    unsigned funct5 = raw >> 27, width = 1u << funct3;
    bool reservation = funct5 == AMO_LR || funct5 == AMO_SC;

    out->funct = (uint8_t)funct5;
    out->rd = (uint8_t)field(raw, 7, 5);
    out->rs1 = (uint8_t)field(raw, 15, 5);
    out->rs2 = (uint8_t)field(raw, 20, 5);
    if (funct3 > (funct5 == AMO_CAS ? 4u : 3u) || (reservation && funct3 < 2))
        return illegal(out);
    if (funct3 == 4 && ((out->rd | out->rs2) & 1)) /* amocas.q: even register pairs */
        return illegal(out);
    if (funct5 == AMO_LR)
        return out->rs2 ? illegal(out) : shape(out, INSN_LR, width, true);
    if (funct5 == AMO_SC)
        return shape(out, INSN_SC, width, true);
    if (funct5 > AMO_CAS && (funct5 & 3))
        return illegal(out);
    return shape(out, INSN_AMO, width, true);
}

/* MISC-MEM: fences, and the cache-block instructions at funct3 010. */
static int decode_misc_mem(uint32_t raw, unsigned funct3, struct insn *out)
{
    unsigned op = raw >> 20;

    if (funct3 < 2)
        return shape(out, INSN_OTHER, 0, false);
    if (funct3 != 2 || field(raw, 7, 5) || op > CBO_ZERO || op == 3)
        return illegal(out);
    out->rs1 = (uint8_t)field(raw, 15, 5);
    out->funct = (uint8_t)op;
    return shape(out, INSN_CBO, 0, false);
}

/* HLV, HLVX and HSV: funct7 is 011 0, size, store; rs2 says signed (0), unsigned (1), HLVX (3). */
static int decode_hlv(uint32_t raw, struct insn *out)
{
    unsigned funct7 = raw >> 25, how = field(raw, 20, 5);
    unsigned size = field(raw, 26, 2), width = 1u << size;

    if (funct7 >> 3 != 6)
        return illegal(out);
    out->rs1 = (uint8_t)field(raw, 15, 5);
    if (funct7 & 1) {
        out->rs2 = (uint8_t)how;
        return field(raw, 7, 5) ? illegal(out) : shape(out, INSN_HSV, width, false);
    }
    out->rd = (uint8_t)field(raw, 7, 5);
    if (how == 0 || (how == 1 && size < 3))
        return shape(out, INSN_HLV, width, how == 0);
    if (how == 3 && (size == 1 || size == 2))
        return shape(out, INSN_HLVX, width, false);
    return illegal(out);
}

/* Fences of address translation: rs1 an address, rs2 an ASID or VMID. */
static int decode_fence(uint32_t raw, struct insn *out)
{
    unsigned funct7 = raw >> 25;
    enum insn_kind kind;

    out->rs1 = (uint8_t)field(raw, 15, 5);
    out->rs2 = (uint8_t)field(raw, 20, 5);
    out->funct = (uint8_t)funct7;
    switch (funct7) {
    case 0x09: /* sfence.vma */
    case 0x0b: /* sinval.vma */
        kind = INSN_SFENCE;
        break;
    case 0x0c: /* sfence.w.inval, sfence.inval.ir */
        if (out->rs1 || out->rs2 > 1)
            return illegal(out);
        kind = INSN_SFENCE;
        break;
    case 0x11: /* hfence.vvma */
    case 0x13: /* hinval.vvma */
    case 0x31: /* hfence.gvma */
    case 0x33: /* hinval.gvma */
        kind = INSN_HFENCE;
        break;
    default:
        return illegal(out);
    }
    return field(raw, 7, 5) ? illegal(out) : shape(out, kind, 0, false);
}

static int decode_privileged(uint32_t raw, struct insn *out)
{
    switch (raw) {
    case 0x00000073:
        return shape(out, INSN_ECALL, 0, false);
    case 0x00100073:
        return shape(out, INSN_EBREAK, 0, false);
    case 0x00d00073:
    case 0x01d00073:
        out->funct = (uint8_t)(raw >> 20);
        return shape(out, INSN_WRS, 0, false);
    case 0x10200073:
        return shape(out, INSN_SRET, 0, false);
    case 0x10500073:
        return shape(out, INSN_WFI, 0, false);
    case 0x30200073:
        return shape(out, INSN_MRET, 0, false);
    default:
        return decode_fence(raw, out);
    }
}

static int decode_system(uint32_t raw, unsigned funct3, struct insn *out)
{
    if (funct3 == 0)
        return decode_privileged(raw, out);
    if (funct3 == 4)
        return decode_hlv(raw, out);
    out->funct = (uint8_t)funct3;
    out->csr = (uint16_t)(raw >> 20);
    out->rd = (uint8_t)field(raw, 7, 5);
    out->rs1 = (uint8_t)field(raw, 15, 5);
    return shape(out, INSN_CSR, 0, false);
}

int insn_decode(uint32_t raw, struct insn *out)
{
    unsigned funct3 = field(raw, 12, 3);

    if ((raw & 3) != 3) {
        *out = (struct insn){.length = 2, .raw = raw & 0xffff};
        return decode_compressed(raw & 0xffff, out);
    }
    *out = (struct insn){.length = 4, .raw = raw};
    switch (raw & 0x7f) {
    case OP_LOAD:
        return decode_load(raw, funct3, out);
    case OP_STORE:
        return decode_store(raw, funct3, out);
    case OP_LOAD_FP:
        return decode_fp(raw, funct3, false, out);
    case OP_STORE_FP:
        return decode_fp(raw, funct3, true, out);
    case OP_AMO:
        return decode_amo(raw, funct3, out);
    case OP_MISC_MEM:
        return decode_misc_mem(raw, funct3, out);
    case OP_SYSTEM:
        return decode_system(raw, funct3, out);
    default:
        if ((raw & 0x1c) == 0x1c)
            out->length = 0; /* 48 bits or more */
        return out->length ? shape(out, INSN_OTHER, 0, false) : illegal(out);
    }
}

/* ---- htinst ---- */

/* The fields that a transformed instruction has zeroed must be zero: for FP loads the immediate,
 * for FP stores both halves of it. All others keep their high fields. */
static bool transformed_ok(uint32_t h)
{
    switch (h & 0x7d) {
    case OP_LOAD_FP & 0x7d:
        return h >> 20 == 0 && field(h, 12, 3) >= 1 && field(h, 12, 3) <= 4;
    case OP_STORE_FP & 0x7d:
        return h >> 25 == 0 && field(h, 7, 5) == 0 && field(h, 12, 3) >= 1 && field(h, 12, 3) <= 4;
    case OP_AMO & 0x7d:
    case OP_MISC_MEM & 0x7d:
    case OP_SYSTEM & 0x7d:
        return true;
    default:
        return false;
    }
}

/* All but plain loads and stores, away from the hot path. */
static __attribute__((noinline)) int decode_transformed(uint64_t htinst, struct insn *out)
{
    uint32_t h = (uint32_t)htinst;
    uint8_t offset = (uint8_t)field(h, 15, 5);

    /* A compressed form exists for plain and FP accesses only; insn_decode refuses others below. */
    if (htinst >> 32 || !transformed_ok(h) || insn_decode((h | 2) & ~(0x1fu << 15), out) < 0)
        return -EILSEQ;
    switch (out->kind) {
    case INSN_FP_LOAD:
    case INSN_FP_STORE:
        break;
    case INSN_LR:
    case INSN_SC:
    case INSN_AMO:
    case INSN_CBO:
    case INSN_HLV:
    case INSN_HLVX:
    case INSN_HSV:
        if (!(h & 2))
            return -EILSEQ;
        break;
    default:
        return -EILSEQ; /* system instructions and fences access no memory */
    }
    out->length = h & 2 ? 4 : 2;
    out->offset = offset;
    return 0;
}

/* The first word of struct insn for a plain load, by funct3; 0 is illegal. Length 4 is added later. */
static const uint32_t load_shape[8] = {
    BYTE_KIND(INSN_LOAD) | BYTE_LENGTH(2) | BYTE_WIDTH(1) | BYTE_SIGN,
    BYTE_KIND(INSN_LOAD) | BYTE_LENGTH(2) | BYTE_WIDTH(2) | BYTE_SIGN,
    BYTE_KIND(INSN_LOAD) | BYTE_LENGTH(2) | BYTE_WIDTH(4) | BYTE_SIGN,
    BYTE_KIND(INSN_LOAD) | BYTE_LENGTH(2) | BYTE_WIDTH(8) | BYTE_SIGN,
    BYTE_KIND(INSN_LOAD) | BYTE_LENGTH(2) | BYTE_WIDTH(1),
    BYTE_KIND(INSN_LOAD) | BYTE_LENGTH(2) | BYTE_WIDTH(2),
    BYTE_KIND(INSN_LOAD) | BYTE_LENGTH(2) | BYTE_WIDTH(4),
    0,
};

_Static_assert(offsetof(struct insn, kind) == 0 && offsetof(struct insn, length) == 1 &&
                   offsetof(struct insn, width) == 2 && offsetof(struct insn, sign_extend) == 3,
               "the first word");
_Static_assert(offsetof(struct insn, rs2) == 4 && offsetof(struct insn, rs1) == 5 &&
                   offsetof(struct insn, rd) == 6 && offsetof(struct insn, offset) == 7,
               "the second word");

/* Shifted left by 9, the address offset and rd of an instruction are where struct insn has them. */
#define SHIFTED_OFFSET 0x1f000000u
#define SHIFTED_RD 0x001f0000u

static inline void write_words(struct insn *out, uint32_t first, uint32_t second)
{
    char *to = __builtin_assume_aligned(out, _Alignof(struct insn));

    __builtin_memcpy(to, &first, 4);
    __builtin_memcpy(to + 4, &second, 4);
}

/* Every MMIO exit comes through here: 23 instructions for a load, 26 for a store. */
int insn_decode_htinst(uint64_t htinst, struct insn *out)
{
    uint32_t h = (uint32_t)htinst, length = (h & 2) << 8;

    /* A load has nothing above the address offset, and opcode 00000?1. */
    if (htinst >> 20 == 0 && (h & 0x7d) == 1) {
        uint32_t first = load_shape[h >> 12 & 7];

        if (first) {
            write_words(out, first + length, h << 9 & (SHIFTED_OFFSET | SHIFTED_RD));
            return 0;
        }
    }
    /* A store has nothing above rs2, no rd field, opcode 01000?1, and funct3 below 4. */
    if (htinst >> 25 == 0 && (h & 0x4ffd) == 0x21) {
        uint32_t first = BYTE_KIND(INSN_STORE) | BYTE_LENGTH(2);

        write_words(out, first + length + (BYTE_WIDTH(1) << (h >> 12 & 3)),
                    (h << 9 & SHIFTED_OFFSET) | h >> 20);
        return 0;
    }
    return decode_transformed(htinst, out);
}
