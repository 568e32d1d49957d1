// SPDX-License-Identifier: BSD-2-Clause
// Instructions as text, for reports: names of kinds and a disassembly of what insn.c knows.
#include "base/log.h"
#include "vcpu/insn.h"

const char *insn_name(uint8_t kind)
{
    static const char name[][13] = {
        [INSN_ILLEGAL] = "unknown",
        [INSN_LOAD] = "load",
        [INSN_STORE] = "store",
        [INSN_FP_LOAD] = "fp load",
        [INSN_FP_STORE] = "fp store",
        [INSN_LR] = "lr",
        [INSN_SC] = "sc",
        [INSN_AMO] = "amo",
        [INSN_CBO] = "cbo",
        [INSN_CSR] = "csr",
        [INSN_WFI] = "wfi",
        [INSN_WRS] = "wrs",
        [INSN_SRET] = "sret",
        [INSN_MRET] = "mret",
        [INSN_ECALL] = "ecall",
        [INSN_EBREAK] = "ebreak",
        [INSN_SFENCE] = "sfence",
        [INSN_HFENCE] = "hfence",
        [INSN_HLV] = "hlv",
        [INSN_HLVX] = "hlvx",
        [INSN_HSV] = "hsv",
        [INSN_VECTOR_LOAD] = "vector load",
        [INSN_VECTOR_STORE] = "vector store",
        [INSN_OTHER] = "other",
    };

    return kind < ARRAY_LEN(name) ? name[kind] : "unknown";
}

static const char xreg[32][5] = {
    "zero", "ra", "sp", "gp", "tp",  "t0",  "t1", "t2", "s0", "s1", "a0",
    "a1",   "a2", "a3", "a4", "a5",  "a6",  "a7", "s2", "s3", "s4", "s5",
    "s6",   "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
};
static const char freg[32][5] = {
    "ft0", "ft1", "ft2", "ft3", "ft4",  "ft5",  "ft6", "ft7", "fs0",  "fs1",  "fa0",
    "fa1", "fa2", "fa3", "fa4", "fa5",  "fa6",  "fa7", "fs2", "fs3",  "fs4",  "fs5",
    "fs6", "fs7", "fs8", "fs9", "fs10", "fs11", "ft8", "ft9", "ft10", "ft11",
};

/* b, h, w, d, q */
static char size_letter(unsigned width) { return "bhwdq"[__builtin_ctz(width | 16)]; }

static int describe_access(const struct insn *in, char *buf, size_t size)
{
    bool store = in->kind == INSN_STORE || in->kind == INSN_FP_STORE;
    bool fp = in->kind == INSN_FP_LOAD || in->kind == INSN_FP_STORE;
    unsigned reg = store ? in->rs2 : in->rd;
    bool by_sp = in->length == 2 && (in->raw & 3) == 2;

    return fmt_snprintf(buf, size, "%s%s%c%c%s%s %s,%d(%s)", in->length == 2 ? "c." : "",
                        fp ? "f" : "", store ? 's' : 'l', size_letter(in->width),
                        !store && !fp && !in->sign_extend ? "u" : "", by_sp ? "sp" : "",
                        fp ? freg[reg] : xreg[reg], in->imm, xreg[in->rs1]);
}

static const char *amo_name(unsigned funct5)
{
    static const char low[][5] = {"add", "swap", "", "", "xor", "cas"};
    static const char high[][5] = {"or", "and", "min", "max", "minu", "maxu"};

    /* decode_amo lets 0, 1, 4, 5 and, from 8 on, the multiples of 4 through: or is 8, and is 12. */
    return funct5 < 6 ? low[funct5] : high[(funct5 - 8) / 4];
}

static int describe_atomic(const struct insn *in, char *buf, size_t size)
{
    static const char order[4][6] = {"", ".rl", ".aq", ".aqrl"};
    const char *o = order[in->raw >> 25 & 3];
    char w = size_letter(in->width);

    if (in->kind == INSN_LR)
        return fmt_snprintf(buf, size, "lr.%c%s %s,(%s)", w, o, xreg[in->rd], xreg[in->rs1]);
    return fmt_snprintf(buf, size, "%s%s.%c%s %s,%s,(%s)", in->kind == INSN_SC ? "sc" : "amo",
                        in->kind == INSN_SC ? "" : amo_name(in->funct), w, o, xreg[in->rd],
                        xreg[in->rs2], xreg[in->rs1]);
}

static int describe_csr(const struct insn *in, char *buf, size_t size)
{
    char op = " wsc"[in->funct & 3];

    if (in->funct & 4)
        return fmt_snprintf(buf, size, "csrr%ci %s,0x%x,%d", op, xreg[in->rd], in->csr, in->rs1);
    return fmt_snprintf(buf, size, "csrr%c %s,0x%x,%s", op, xreg[in->rd], in->csr, xreg[in->rs1]);
}

static int describe_hypervisor_access(const struct insn *in, char *buf, size_t size)
{
    const char *op = in->kind == INSN_HLV ? "hlv" : in->kind == INSN_HLVX ? "hlvx" : "hsv";
    bool store = in->kind == INSN_HSV;

    return fmt_snprintf(buf, size, "%s.%c%s %s,(%s)", op, size_letter(in->width),
                        store || in->sign_extend ? "" : "u", xreg[store ? in->rs2 : in->rd],
                        xreg[in->rs1]);
}

static int describe_fence(const struct insn *in, char *buf, size_t size)
{
    const char *name;

    switch (in->funct) {
    case 0x09:
        name = "sfence.vma";
        break;
    case 0x0b:
        name = "sinval.vma";
        break;
    case 0x11:
        name = "hfence.vvma";
        break;
    case 0x13:
        name = "hinval.vvma";
        break;
    case 0x31:
        name = "hfence.gvma";
        break;
    case 0x33:
        name = "hinval.gvma";
        break;
    default:
        return fmt_snprintf(buf, size, "sfence.%s", in->rs2 ? "inval.ir" : "w.inval");
    }
    return fmt_snprintf(buf, size, "%s %s,%s", name, xreg[in->rs1], xreg[in->rs2]);
}

int insn_describe(uint32_t raw, char *buf, size_t size)
{
    static const char cbo[][6] = {"inval", "clean", "flush", "", "zero"};
    struct insn in;

    if (insn_decode(raw, &in) < 0)
        in.kind = INSN_ILLEGAL;
    switch (in.kind) {
    case INSN_LOAD:
    case INSN_STORE:
    case INSN_FP_LOAD:
    case INSN_FP_STORE:
        return describe_access(&in, buf, size);
    case INSN_LR:
    case INSN_SC:
    case INSN_AMO:
        return describe_atomic(&in, buf, size);
    case INSN_CBO:
        return fmt_snprintf(buf, size, "cbo.%s (%s)", cbo[in.funct], xreg[in.rs1]);
    case INSN_CSR:
        return describe_csr(&in, buf, size);
    case INSN_WRS:
        return fmt_snprintf(buf, size, "wrs.%s", in.funct == 0x0d ? "nto" : "sto");
    case INSN_EBREAK:
        return fmt_snprintf(buf, size, in.length == 2 ? "c.ebreak" : "ebreak");
    case INSN_WFI:
    case INSN_SRET:
    case INSN_MRET:
    case INSN_ECALL:
        return fmt_snprintf(buf, size, "%s", insn_name(in.kind));
    case INSN_SFENCE:
    case INSN_HFENCE:
        return describe_fence(&in, buf, size);
    case INSN_HLV:
    case INSN_HLVX:
    case INSN_HSV:
        return describe_hypervisor_access(&in, buf, size);
    case INSN_VECTOR_LOAD:
    case INSN_VECTOR_STORE:
        return fmt_snprintf(buf, size, "%s e%d,(%s)", insn_name(in.kind), in.width * 8,
                            xreg[in.rs1]);
    default:
        return fmt_snprintf(buf, size, in.length == 2 ? ".insn 0x%04x" : ".insn 0x%08x", in.raw);
    }
}
