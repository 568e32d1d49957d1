// SPDX-License-Identifier: BSD-2-Clause
// Instruction decode: every compressed encoding against a model written as bit lists (unlike the
// decoder's shifts) and against a hash of what binutils says of all of them, known 32-bit vectors,
// htinst round trips, hostile htinst values, sign extension.
// units: vcpu/insn.c vcpu/insn_describe.c tests/fuzz/fmt_host.c
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "vcpu/insn.h"

/* ---- compressed: the model ---- */

/* imm lists, from instruction bit 12 down, which bit of the displacement each holds; '.' is none.
 * Straight from the tables of the RVC chapter. */
struct rvc {
    const char *name;
    uint16_t match, mask;
    uint8_t kind, width;
    bool sign;
    const char *imm; /* for bits 12..2 */
    enum { BY_REG, BY_SP } base;
};

static const struct rvc rvc[] = {
    {"c.fld", 0x2000, 0xe003, INSN_FP_LOAD, 8, false, "543...76...", BY_REG},
    {"c.lw", 0x4000, 0xe003, INSN_LOAD, 4, true, "543...26...", BY_REG},
    {"c.ld", 0x6000, 0xe003, INSN_LOAD, 8, true, "543...76...", BY_REG},
    {"c.fsd", 0xa000, 0xe003, INSN_FP_STORE, 8, false, "543...76...", BY_REG},
    {"c.sw", 0xc000, 0xe003, INSN_STORE, 4, false, "543...26...", BY_REG},
    {"c.sd", 0xe000, 0xe003, INSN_STORE, 8, false, "543...76...", BY_REG},
    {"c.lbu", 0x8000, 0xfc03, INSN_LOAD, 1, false, "......01...", BY_REG},
    {"c.lhu", 0x8400, 0xfc43, INSN_LOAD, 2, false, ".......1...", BY_REG},
    {"c.lh", 0x8440, 0xfc43, INSN_LOAD, 2, true, ".......1...", BY_REG},
    {"c.sb", 0x8800, 0xfc03, INSN_STORE, 1, false, "......01...", BY_REG},
    {"c.sh", 0x8c00, 0xfc43, INSN_STORE, 2, false, ".......1...", BY_REG},
    {"c.fldsp", 0x2002, 0xe003, INSN_FP_LOAD, 8, false, "5.....43876", BY_SP},
    {"c.lwsp", 0x4002, 0xe003, INSN_LOAD, 4, true, "5.....43276", BY_SP},
    {"c.ldsp", 0x6002, 0xe003, INSN_LOAD, 8, true, "5.....43876", BY_SP},
    {"c.fsdsp", 0xa002, 0xe003, INSN_FP_STORE, 8, false, "543876.....", BY_SP},
    {"c.swsp", 0xc002, 0xe003, INSN_STORE, 4, false, "543276.....", BY_SP},
    {"c.sdsp", 0xe002, 0xe003, INSN_STORE, 8, false, "543876.....", BY_SP},
};

static int model_imm(const struct rvc *r, uint32_t raw)
{
    int imm = 0;

    for (int i = 0; i < 11; i++)
        if (r->imm[i] != '.' && (raw & (1u << (12 - i))))
            imm |= 1 << (r->imm[i] - '0');
    return imm;
}

static bool model_is_store(const struct rvc *r)
{
    return r->kind == INSN_STORE || r->kind == INSN_FP_STORE;
}

/* What the model says of raw; NULL when it is no access (or reserved). */
static const struct rvc *model_find(uint32_t raw)
{
    for (size_t i = 0; i < sizeof(rvc) / sizeof(rvc[0]); i++) {
        const struct rvc *r = &rvc[i];

        if ((raw & r->mask) != r->match)
            continue;
        if (r->base == BY_SP && r->kind == INSN_LOAD && (raw & 0xf80) == 0)
            return NULL;
        return r;
    }
    return NULL;
}

static void check_against_model(uint32_t raw, const struct insn *in, int err)
{
    const struct rvc *r = model_find(raw);
    char text[64];

    assert_int_equal(in->length, 2);
    if (!r) {
        if (raw == 0x9002)
            assert_int_equal(in->kind, INSN_EBREAK);
        else
            assert_true(in->kind == (err ? INSN_ILLEGAL : INSN_OTHER));
        assert_int_equal(in->width, 0);
        return;
    }
    unsigned full = raw / 128 % 32, low = raw / 4 % 32;
    unsigned reg = r->base == BY_REG ? 8 + low % 8 : model_is_store(r) ? low : full;

    assert_int_equal(err, 0);
    assert_int_equal(in->kind, r->kind);
    assert_int_equal(in->width, r->width);
    assert_int_equal(in->sign_extend, r->sign);
    assert_int_equal(in->imm, model_imm(r, raw));
    assert_int_equal(in->rs1, r->base == BY_SP ? 2 : 8 + full % 8);
    assert_int_equal(in->rd, model_is_store(r) ? 0 : reg);
    assert_int_equal(in->rs2, model_is_store(r) ? reg : 0);
    assert_int_equal(in->offset, 0);
    assert_int_equal(in->raw, raw);
    insn_describe(raw, text, sizeof(text));
    text[strcspn(text, " ")] = 0;
    assert_string_equal(text, r->name);
}

static void test_every_compressed(void **state)
{
    uint64_t hash = 0xcbf29ce484222325;
    unsigned accesses = 0;

    (void)state;
    for (uint32_t raw = 0; raw < 0x10000; raw++) {
        struct insn in, high;
        char text[64], line[80];

        if ((raw & 3) == 3)
            continue;
        int err = insn_decode(raw, &in);

        check_against_model(raw, &in, err);
        /* The upper half belongs to the next instruction. */
        assert_int_equal(insn_decode(raw | 0xabcd0000, &high), err);
        assert_memory_equal(&in, &high, sizeof(in));
        if (err || in.kind == INSN_OTHER || (raw & 0xe003) == 0x8000)
            continue;
        accesses++;
        insn_describe(raw, text, sizeof(text));
        snprintf(line, sizeof(line), "%04x %s\n", raw, text);
        for (const char *c = line; *c; c++)
            hash = (hash ^ (uint8_t)*c) * 0x100000001b3;
    }
    /* Quadrants 0 and 2 have 6 of 8 funct3 each, less 2 * 64 reserved; and c.ebreak. */
    assert_int_equal(accesses, 12 * 2048 - 2 * 64 + 1);
    /* From binutils 2.40: tests/fuzz/decode_vs_objdump.py prints it. */
    assert_int_equal(hash, UINT64_C(0x46fd916931f61d41));
}

static void test_reserved(void **state)
{
    static const uint32_t bad[] = {
        0x00000000,
        0x00000004 /* c.addi4spn 0 */,
        0x00004002 /* c.lwsp x0 */,
        0x00006002,
        0x00008c40 /* Zcb c.sh with bit 6 */,
        0x00009000 /* Zcb, unassigned */,
        0x00007003 /* load, funct3 7 */,
        0x00004023 /* store, funct3 4 */,
        0x00007023,
        0x0000202f | 31u << 27 /* amo, funct5 31 */,
        0x0010a02f | 2u << 27 | 2 << 12 /* lr, rs2 */,
        0x1000802f /* lr.b */,
        0x0000502f,
        0x0030200f /* cbo 3 */,
        0x0050200f,
        0x0010208f /* rd */,
        0x10200173 /* sret with rd */,
        0x10500173,
        0x30000073,
        0x603040f3 /* hlvx, byte */,
        0x6c1040f3 /* hlv.du */,
        0x620040f3 /* hsv with rd */,
        0x180080f3,
        0x18200073,
        0xffffffff,
        0x0000001f,
        0x0000007f,
        0x0000003f,
    };
    struct insn in;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        memset(&in, 0xa5, sizeof(in));
        if (insn_decode(bad[i], &in) != -EILSEQ)
            fail_msg("%08x was taken", bad[i]);
        assert_int_equal(in.kind, INSN_ILLEGAL);
        assert_int_equal(in.width, 0);
        assert_int_equal(in.length, (bad[i] & 3) != 3 ? 2 : (bad[i] & 0x1f) == 0x1f ? 0 : 4);
    }
}

/* ---- 32 bit: vectors assembled by binutils ---- */

static void test_vectors(void **state)
{
    static const struct {
        uint32_t raw;
        const char *text;
        uint8_t kind, width, sign;
    } v[] = {
        {0x80048503, "lb a0,-2048(s1)", INSN_LOAD, 1, 1},
        {0x7ff01f83, "lh t6,2047(zero)", INSN_LOAD, 2, 1},
        {0x0000a503, "lw a0,0(ra)", INSN_LOAD, 4, 1},
        {0x00813d83, "ld s11,8(sp)", INSN_LOAD, 8, 1},
        {0x0015c503, "lbu a0,1(a1)", INSN_LOAD, 1, 0},
        {0x0025d503, "lhu a0,2(a1)", INSN_LOAD, 2, 0},
        {0xffc5e503, "lwu a0,-4(a1)", INSN_LOAD, 4, 0},
        {0x80530023, "sb t0,-2048(t1)", INSN_STORE, 1, 0},
        {0x7e531fa3, "sh t0,2047(t1)", INSN_STORE, 2, 0},
        {0x00052fa3, "sw zero,31(a0)", INSN_STORE, 4, 0},
        {0x03183023, "sd a7,32(a6)", INSN_STORE, 8, 0},
        {0x00251507, "flh fa0,2(a0)", INSN_FP_LOAD, 2, 0},
        {0x00452f87, "flw ft11,4(a0)", INSN_FP_LOAD, 4, 0},
        {0x00853407, "fld fs0,8(a0)", INSN_FP_LOAD, 8, 0},
        {0xfef52e27, "fsw fa5,-4(a0)", INSN_FP_STORE, 4, 0},
        {0xfe053c27, "fsd ft0,-8(a0)", INSN_FP_STORE, 8, 0},
        {0x1005a52f, "lr.w a0,(a1)", INSN_LR, 4, 1},
        {0x1605b52f, "lr.d.aqrl a0,(a1)", INSN_LR, 8, 1},
        {0x1ac5a52f, "sc.w.rl a0,a2,(a1)", INSN_SC, 4, 1},
        {0x18c5b52f, "sc.d a0,a2,(a1)", INSN_SC, 8, 1},
        {0x00b6252f, "amoadd.w a0,a1,(a2)", INSN_AMO, 4, 1},
        {0x0cb6352f, "amoswap.d.aq a0,a1,(a2)", INSN_AMO, 8, 1},
        {0x22b6252f, "amoxor.w.rl a0,a1,(a2)", INSN_AMO, 4, 1},
        {0x40b6352f, "amoor.d a0,a1,(a2)", INSN_AMO, 8, 1},
        {0x60b6252f, "amoand.w a0,a1,(a2)", INSN_AMO, 4, 1},
        {0x80b6352f, "amomin.d a0,a1,(a2)", INSN_AMO, 8, 1},
        {0xa0b6252f, "amomax.w a0,a1,(a2)", INSN_AMO, 4, 1},
        {0xc0b6352f, "amominu.d a0,a1,(a2)", INSN_AMO, 8, 1},
        {0xe6b6252f, "amomaxu.w.aqrl a0,a1,(a2)", INSN_AMO, 4, 1},
        {0x0045200f, "cbo.zero (a0)", INSN_CBO, 0, 0},
        {0x001fa00f, "cbo.clean (t6)", INSN_CBO, 0, 0},
        {0x0025200f, "cbo.flush (a0)", INSN_CBO, 0, 0},
        {0x0005200f, "cbo.inval (a0)", INSN_CBO, 0, 0},
        {0x10059573, "csrrw a0,0x100,a1", INSN_CSR, 0, 0},
        {0xc0102073, "csrrs zero,0xc01,zero", INSN_CSR, 0, 0},
        {0x644ffff3, "csrrci t6,0x644,31", INSN_CSR, 0, 0},
        {0x10500073, "wfi", INSN_WFI, 0, 0},
        {0x00d00073, "wrs.nto", INSN_WRS, 0, 0},
        {0x01d00073, "wrs.sto", INSN_WRS, 0, 0},
        {0x10200073, "sret", INSN_SRET, 0, 0},
        {0x30200073, "mret", INSN_MRET, 0, 0},
        {0x00000073, "ecall", INSN_ECALL, 0, 0},
        {0x00100073, "ebreak", INSN_EBREAK, 0, 0},
        {0x12b50073, "sfence.vma a0,a1", INSN_SFENCE, 0, 0},
        {0x16b50073, "sinval.vma a0,a1", INSN_SFENCE, 0, 0},
        {0x18000073, "sfence.w.inval", INSN_SFENCE, 0, 0},
        {0x18100073, "sfence.inval.ir", INSN_SFENCE, 0, 0},
        {0x22b50073, "hfence.vvma a0,a1", INSN_HFENCE, 0, 0},
        {0x62b50073, "hfence.gvma a0,a1", INSN_HFENCE, 0, 0},
        {0x26b50073, "hinval.vvma a0,a1", INSN_HFENCE, 0, 0},
        {0x66b50073, "hinval.gvma a0,a1", INSN_HFENCE, 0, 0},
        {0x6005c573, "hlv.b a0,(a1)", INSN_HLV, 1, 1},
        {0x6015c573, "hlv.bu a0,(a1)", INSN_HLV, 1, 0},
        {0x6405c573, "hlv.h a0,(a1)", INSN_HLV, 2, 1},
        {0x6415c573, "hlv.hu a0,(a1)", INSN_HLV, 2, 0},
        {0x6435c573, "hlvx.hu a0,(a1)", INSN_HLVX, 2, 0},
        {0x6805c573, "hlv.w a0,(a1)", INSN_HLV, 4, 1},
        {0x6815c573, "hlv.wu a0,(a1)", INSN_HLV, 4, 0},
        {0x6835c573, "hlvx.wu a0,(a1)", INSN_HLVX, 4, 0},
        {0x6c05c573, "hlv.d a0,(a1)", INSN_HLV, 8, 1},
        {0x62c5c073, "hsv.b a2,(a1)", INSN_HSV, 1, 0},
        {0x66c5c073, "hsv.h a2,(a1)", INSN_HSV, 2, 0},
        {0x6ac5c073, "hsv.w a2,(a1)", INSN_HSV, 4, 0},
        {0x6ec5c073, "hsv.d a2,(a1)", INSN_HSV, 8, 0},
        {0x02056087, "vector load e32,(a0)", INSN_VECTOR_LOAD, 4, 0},
        {0x020500a7, "vector store e8,(a0)", INSN_VECTOR_STORE, 1, 0},
        {0x00150513, ".insn 0x00150513", INSN_OTHER, 0, 0},
        {0x0330000f, ".insn 0x0330000f", INSN_OTHER, 0, 0},
        {0x02c5f553, ".insn 0x02c5f553", INSN_OTHER, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
        struct insn in;
        char text[64];

        assert_int_equal(insn_decode(v[i].raw, &in), 0);
        insn_describe(v[i].raw, text, sizeof(text));
        assert_string_equal(text, v[i].text);
        assert_int_equal(in.kind, v[i].kind);
        assert_int_equal(in.width, v[i].width);
        assert_int_equal(in.sign_extend, v[i].sign);
    }
}

static void test_csr_rules(void **state)
{
    static const struct {
        uint32_t raw;
        bool reads, writes;
    } v[] = {
        {0x10051073, false, true}, /* csrrw zero,sstatus,a0 */
        {0x10051573, true, true},  /* csrrw a0,sstatus,a0 */
        {0x10002573, true, false}, /* csrrs a0,sstatus,zero */
        {0x10003573, true, false}, /* csrrc */
        {0x1000a573, true, true},  /* csrrs a0,sstatus,ra */
        {0x10006573, true, false}, /* csrrsi 0 */
        {0x1000f573, true, true},  /* csrrci 1 */
        {0x10005073, false, true}, /* csrrwi zero,sstatus,0 */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
        struct insn in;

        assert_int_equal(insn_decode(v[i].raw, &in), 0);
        assert_int_equal(in.csr, 0x100);
        assert_int_equal(insn_csr_reads(&in), v[i].reads);
        assert_int_equal(insn_csr_writes(&in), v[i].writes);
    }
}

/* ---- htinst ---- */

/* The transformation as the privileged specification words it, from a decoded instruction. */
static uint64_t transform(const struct insn *in, unsigned offset)
{
    uint32_t raw = in->raw;

    if (in->length == 2) { /* first the 32-bit equivalent, then with bit 1 cleared */
        uint32_t f3 = (uint32_t)__builtin_ctz(in->width);
        bool fp = in->kind == INSN_FP_LOAD || in->kind == INSN_FP_STORE;

        if (in->kind == INSN_LOAD && !in->sign_extend)
            f3 |= 4;
        raw = f3 << 12 | (uint32_t)in->rd << 7 | (uint32_t)in->rs2 << 20 |
              (in->kind == INSN_LOAD || in->kind == INSN_FP_LOAD ? 0x03u : 0x23u) | (fp ? 4u : 0);
        return (raw & ~2u) | offset << 15;
    }
    raw &= ~(31u << 15);
    if (in->kind == INSN_LOAD || in->kind == INSN_FP_LOAD)
        raw &= 0xfffff;
    if (in->kind == INSN_STORE || in->kind == INSN_FP_STORE)
        raw &= 0x01fff07f;
    return raw | offset << 15;
}

static void check_transformed(uint32_t raw)
{
    struct insn in, out;

    if (insn_decode(raw, &in) < 0 || in.kind < INSN_LOAD || in.kind > INSN_CBO)
        return;
    for (unsigned offset = 0; offset < 32; offset += 1 + offset / 2) {
        uint64_t h = transform(&in, offset);

        memset(&out, 0xa5, sizeof(out));
        if (insn_decode_htinst(h, &out))
            fail_msg("htinst %" PRIx64 " of %08x refused", h, raw);
        assert_int_equal(out.kind, in.kind);
        assert_int_equal(out.length, in.length);
        assert_int_equal(out.width, in.width);
        assert_int_equal(out.sign_extend, in.sign_extend);
        assert_int_equal(out.rd, in.rd);
        assert_int_equal(out.rs2, in.rs2);
        assert_int_equal(out.rs1, 0);
        assert_int_equal(out.offset, offset);
        for (unsigned bit = 32; bit < 64; bit++)
            assert_int_equal(insn_decode_htinst(h | UINT64_C(1) << bit, &out), -EILSEQ);
        assert_int_equal(insn_decode_htinst(h & ~UINT64_C(1), &out), -EILSEQ);
    }
}

static uint32_t next_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    return *seed ^= *seed << 5;
}

static void test_htinst_round_trip(void **state)
{
    static const uint8_t major[] = {0x03, 0x07, 0x0f, 0x23, 0x27, 0x2f};
    uint32_t seed = 1;

    (void)state;
    for (uint32_t raw = 0; raw < 0x10000; raw += 3)
        if ((raw & 3) != 3)
            check_transformed(raw);
    for (unsigned i = 0; i < 60000; i++)
        check_transformed((next_random(&seed) & ~0x7fu) | major[i % sizeof(major)]);
}

static void test_htinst_hypervisor_access(void **state)
{
    struct insn in;

    (void)state;
    assert_int_equal(insn_decode_htinst(0x6c0045f3 | 5 << 15, &in), 0); /* hlv.d a1 */
    assert_int_equal(in.kind, INSN_HLV);
    assert_int_equal(in.width, 8);
    assert_int_equal(in.rd, 11);
    assert_int_equal(in.offset, 5);
    assert_int_equal(insn_decode_htinst(0x643045f1, &in), -EILSEQ); /* no compressed hlvx */
    assert_int_equal(insn_decode_htinst(0x643045f3, &in), 0);
    assert_int_equal(in.kind, INSN_HLVX);
}

static void test_htinst_hostile(void **state)
{
    static const uint64_t bad[] = {
        0,
        0x3000,
        0x3020,
        0x2000,
        0x2020, /* none, and pseudoinstructions */
        0x00000073,
        0x10500073,
        0x10001073,
        0x0000100f,
        0x0ff0000f, /* no memory access */
        0x12000073,
        0x00000013,
        0x00000033,
        0x00000001 | 7 << 12,
        0x00000003 | 7 << 12,
        0x00100003, /* a load that kept its displacement */
        0x000000a3,
        0x02000023, /* a store that kept it */
        0x00004023,
        0x00100007 | 2 << 12, /* bad width; FP load that kept it */
        0x00000007,
        0x00000027, /* vector accesses have no transformed form */
        0x0000a02d, /* compressed AMO */
        0x0000200d, /* compressed CBO */
        0xffffffff,
        UINT64_MAX,
        0x100000003,
        0x8000000000000003,
    };
    struct insn in;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (insn_decode_htinst(bad[i], &in) != -EILSEQ)
            fail_msg("htinst %" PRIx64 " was taken", bad[i]);
    assert_true(insn_htinst_is_pt_read(0x3000) && insn_htinst_is_pt_read(0x2000));
    assert_true(insn_htinst_is_pt_write(0x3020) && insn_htinst_is_pt_write(0x2020));
    assert_false(insn_htinst_is_pt_read(0x3020) || insn_htinst_is_pt_write(0x3000));
    assert_false(insn_htinst_is_pt_read(0x100003000) || insn_htinst_is_pt_write(0x100003020));
    assert_false(insn_htinst_is_pt_read(0) || insn_htinst_is_pt_write(0));
}

/* Whatever comes in, what comes out is in range: exit.c indexes registers with it. */
static void test_any_input_is_in_range(void **state)
{
    uint32_t seed = 7;

    (void)state;
    for (unsigned i = 0; i < 400000; i++) {
        uint32_t raw = next_random(&seed);
        struct insn in;
        char text[64];

        for (unsigned htinst = 0; htinst < 2; htinst++) {
            int err = htinst ? insn_decode_htinst(raw, &in) : insn_decode(raw, &in);

            assert_true(err == 0 || err == -EILSEQ);
            if (htinst && err)
                continue;
            assert_true(in.rd < 32 && in.rs1 < 32 && in.rs2 < 32 && in.offset < 32);
            assert_true(in.width <= 16 && (in.width & (in.width - 1)) == 0);
            assert_true(in.kind <= INSN_OTHER);
        }
        assert_true(insn_describe(raw, text, sizeof(text)) < (int)sizeof(text));
        assert_true(strlen(text) > 2);
    }
}

static void test_values(void **state)
{
    static const struct {
        uint8_t width, sign;
        uint64_t bus, want;
    } v[] = {
        {1, 1, 0x80, 0xffffffffffffff80},
        {1, 0, 0x80, 0x80},
        {1, 1, 0xff7f, 0x7f},
        {1, 0, 0xffffffffffffffff, 0xff},
        {2, 1, 0x8000, 0xffffffffffff8000},
        {2, 0, 0x8000, 0x8000},
        {4, 1, 0x80000000, 0xffffffff80000000},
        {4, 0, 0x80000000, 0x80000000},
        {4, 1, 0xdeadbeef7fffffff, 0x7fffffff},
        {8, 1, 0x8000000000000001, 0x8000000000000001},
        {8, 0, 42, 42},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
        struct insn in = {.width = v[i].width, .sign_extend = v[i].sign};

        assert_int_equal(insn_load_value(&in, v[i].bus), v[i].want);
    }
    assert_int_equal(insn_store_value(&(struct insn){.width = 1}, 0x1234), 0x34);
    assert_int_equal(insn_store_value(&(struct insn){.width = 4}, UINT64_MAX), UINT32_MAX);
    assert_int_equal(insn_store_value(&(struct insn){.width = 8}, UINT64_MAX), UINT64_MAX);
}

static void test_names(void **state)
{
    char tiny[4];

    (void)state;
    for (unsigned kind = 0; kind < 256; kind++)
        assert_true(strlen(insn_name((uint8_t)kind)) > 1);
    assert_string_equal(insn_name(INSN_OTHER), "other");
    assert_string_equal(insn_name(INSN_VECTOR_STORE), "vector store");
    assert_int_equal(insn_describe(0x0000a503, tiny, sizeof(tiny)), strlen("lw a0,0(ra)"));
    assert_string_equal(tiny, "lw ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_compressed),
        cmocka_unit_test(test_reserved),
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_csr_rules),
        cmocka_unit_test(test_htinst_round_trip),
        cmocka_unit_test(test_htinst_hypervisor_access),
        cmocka_unit_test(test_htinst_hostile),
        cmocka_unit_test(test_any_input_is_in_range),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
