// SPDX-License-Identifier: BSD-2-Clause
// Instruction decode and disassembly: every input is answered, within bounds, and both agree; a
// transformed instruction (htinst) decodes as the one that it was made from. Whether it is the right
// answer, decode_vs_objdump.py says.
// units: vcpu/insn.c vcpu/insn_describe.c tests/fake/fake_base.c
#include <errno.h>

#include "fuzz.h"
#include "vcpu/insn.h"

const unsigned fuzz_runs = 30000;
const size_t fuzz_max = 64;

static bool is_access(uint8_t kind)
{
    switch (kind) {
    case INSN_LOAD:
    case INSN_STORE:
    case INSN_FP_LOAD:
    case INSN_FP_STORE:
    case INSN_LR:
    case INSN_SC:
    case INSN_AMO:
    case INSN_HLV:
    case INSN_HLVX:
    case INSN_HSV:
        return true;
    default:
        return false;
    }
}

static void check_fields(const struct insn *d)
{
    assert_true(d->kind <= INSN_OTHER);
    assert_true(d->length == 0 || d->length == 2 || d->length == 4);
    assert_true(d->rd < 32 && d->rs1 < 32 && d->rs2 < 32);
    assert_true((d->width & (d->width - 1)) == 0 && d->width <= 16);
    if (is_access(d->kind))
        assert_true(d->width);
    if (d->kind == INSN_LOAD || d->kind == INSN_STORE)
        assert_true(d->width <= 8);
    assert_non_null(insn_name(d->kind));
}

static void check_text(uint32_t raw)
{
    char text[64], part[64];
    int n = insn_describe(raw, text, sizeof(text));

    assert_true(n > 0 && n < (int)sizeof(text));
    assert_int_equal(strlen(text), n);
    for (size_t size = 0; size <= (size_t)n + 1; size += 1 + size / 4) {
        memset(part, '!', sizeof(part));
        assert_int_equal(insn_describe(raw, part, size), n);
        assert_int_equal(part[size], '!');
        if (size)
            assert_int_equal(strlen(part), size - 1 < (size_t)n ? size - 1 : (size_t)n);
    }
}

static void check_values(const struct insn *d, uint64_t v)
{
    uint64_t r, mask;

    if ((d->kind != INSN_LOAD && d->kind != INSN_STORE) || !d->width)
        return;
    mask = d->width == 8 ? ~0ull : (1ull << 8 * d->width) - 1;
    r = insn_load_value(d, v);
    assert_int_equal(r & mask, v & mask);
    assert_true((r & ~mask) == 0 || (d->sign_extend && (r & ~mask) == ~mask));
    assert_int_equal(insn_store_value(d, v), v & mask);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_in in = {data, size};

    while (in.left) {
        uint64_t word = fuzz_u64(&in), htinst = word;
        struct insn d, t;
        int r = insn_decode((uint32_t)word, &d);

        assert_true(r == 0 || r == -EILSEQ);
        assert_int_equal(d.kind == INSN_ILLEGAL, r != 0);
        check_fields(&d);
        assert_true(d.csr < 4096);
        check_text((uint32_t)word);
        check_values(&d, word * 0x9E3779B97F4A7C15u);
        /* As a hart would transform it: rs1 is the offset, the displacement is gone. */
        if (!r && (d.kind == INSN_LOAD || d.kind == INSN_STORE) && d.length == 4) {
            htinst = (uint32_t)word & ~(uint32_t)0xf8000;
            htinst &= d.kind == INSN_LOAD ? 0xfffff : 0x1fff07f;
            assert_int_equal(insn_decode_htinst(htinst, &t), 0);
            assert_int_equal(t.kind, d.kind);
            assert_int_equal(t.width, d.width);
            assert_int_equal(t.length, 4);
            assert_int_equal(t.sign_extend, d.sign_extend);
            assert_int_equal(d.kind == INSN_LOAD ? t.rd : t.rs2,
                             d.kind == INSN_LOAD ? d.rd : d.rs2);
        }
        if (!insn_decode_htinst(word, &t)) {
            assert_int_equal(word >> 32, 0);
            check_fields(&t);
            assert_true(t.length == 2 || t.length == 4);
        }
    }
    return 0;
}

size_t fuzz_seed(unsigned n, uint8_t *to, size_t max)
{
    static const uint32_t some[] = {0x00053503, 0x00b53023, 0x00052507, 0x00a52027, 0x100525af,
                                    0x18b5252f, 0x00b5252f, 0x0005200f, 0xc0102573, 0x10500073,
                                    0x00d00073, 0x10200073, 0x30200073, 0x00000073, 0x00100073,
                                    0x12000073, 0x22000073, 0x62054573, 0x68354573, 0x6ac54073,
                                    0x02057507, 0x02056527, 0x6108,     0xe108,     0x8108};
    struct fuzz_out o = {to, 0, max};

    if (n >= sizeof(some) / sizeof(some[0]))
        return 0;
    fuzz_put_u(&o, some[n], 8);
    return o.len;
}
