// SPDX-License-Identifier: BSD-2-Clause
// The register table: names, places, and the state stream: round trip, every cut, every altered
// byte.
// units: vcpu/regs.c vcpu/hostpmu.c vcpu/pmu_state.c vcpu/sbi/counters.c hyp/base/state.c tests/fake/fake_base.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "mem/heap.h"
#include "vcpu/vector.h"

struct stream {
    uint8_t data[16384];
    size_t len, at;
};
static struct stream stream;
static struct vcpu from, to;
static uint8_t from_vector[32 * 32], to_vector[32 * 32];
static unsigned heap_blocks;

struct vcpu_features vcpu_features;
void *heap_alloc(size_t size)
{
    heap_blocks++;
    return calloc(1, size);
}
void heap_free(void *p)
{
    heap_blocks -= p != NULL;
    free(p);
}
static struct guest guest;

static int write_stream(void *ctx, const void *data, size_t len)
{
    struct stream *s = ctx;

    if (s->len + len > sizeof(s->data))
        return -ENOSPC;
    memcpy(s->data + s->len, data, len);
    s->len += len;
    return 0;
}

static int read_stream(void *ctx, void *data, size_t len)
{
    struct stream *s = ctx;

    if (len > s->len - s->at)
        return -EIO;
    memcpy(data, s->data + s->at, len);
    s->at += len;
    return 0;
}

static const struct vcpu_reg *reg(const char *name)
{
    for (unsigned i = 0; i < vcpu_reg_count; i++)
        if (!strcmp(vcpu_regs[i].name, name))
            return &vcpu_regs[i];
    return NULL;
}

static void save(void)
{
    struct state_writer w = {write_stream, &stream, 0};

    stream.len = stream.at = 0;
    vcpu_save(&from, &w);
    assert_int_equal(w.error, 0);
}

static int load(void)
{
    struct state_reader r = {read_stream, &stream, 0};

    stream.at = 0;
    return vcpu_load_state(&to, &r);
}

static int setup(void **state)
{
    (void)state;
    memset(&from, 0, sizeof(from));
    memset(&guest, 0, sizeof(guest));
    memset(&to, 0x77, sizeof(to));
    for (unsigned i = 1; i < 32; i++) {
        from.gpr[i] = 0x1111111100000000 * (i & 3) + i;
        from.fpr[i] = ~from.gpr[i];
    }
    for (unsigned i = 0; i < sizeof(from.csr) / 8; i++)
        ((uint64_t *)&from.csr)[i] = 0x5000 + i;
    from.csr.hvip = HVIP_VSSIP;
    from.pc = 0xffffffff80001236;
    from.sstatus = SSTATUS_SPP | SSTATUS_FS_CLEAN;
    from.hstatus = HSTATUS_SPVP | HSTATUS_SPV | HSTATUS_VSXL_64;
    from.fcsr = 0xE5;
    vcpu_features.vlenb = 32;
    for (unsigned i = 0; i < sizeof(from_vector); i++)
        from_vector[i] = (uint8_t)(i * 7 + 1);
    memset(to_vector, 0x55, sizeof(to_vector));
    from.vector = (struct vector_csrs){.vl = 16, .vtype = 8, .vcsr = 5, .vstart = 3};
    from.vector_used = true;
    from.vector_regs = from_vector;
    to.vector_used = false;
    to.vector_regs = to_vector;
    from.hsm = HSM_SUSPENDED;
    from.in_wfi = true;
    from.irq_level = HVIP_VSEIP;
    from.irq_edge = HVIP_VSSIP;
    from.wake_at = 12345;
    from.start_pc = 0x80200000;
    from.start_arg = 99;
    from.fwft.henvcfg = HENVCFG_ADUE | HENVCFG_PMM;
    from.fwft.locked = 0x11;
    from.fwft.misaligned = true;
    vcpu_features.cycle = true;
    from.pmu.event[0] = 1;
    from.pmu.event[47] = 0xF0005;
    from.pmu.value[0] = 1ul << 63;
    from.pmu.used = from.pmu.running = BIT(47) | BIT(0);
    from.pmu.shmem = 0x80001000;
    from.pmu.events[5] = 77;
    from.pmu.hart = 1;
    to.guest = from.guest = &guest;
    to.index = 0;
    from.sse.unmasked = true;
    for (unsigned e = 0; e < SSE_EVENTS; e++)
        from.sse.event[e] = (struct sse_event){
            .attr = {SSE_RUNNING | SSE_STATUS_PENDING, 5 + e, 1, 0, 0x8000 + 2 * e, ~0ul, 0x123 + e,
                     0x3F, 7, e},
        };
    from.sse.event[SSE_GLOBAL_SOFTWARE].attr[SSE_PREFERRED_HART] = 3;
    from.sse.event[SSE_GLOBAL_SOFTWARE].running_on = 2;
    return 0;
}

static void test_table(void **state)
{
    static const char *const must[] = {"ra",  "sp",   "t6",    "s11",    "a0",
                                       "pc",  "priv", "vsatp", "vstval", "vstimecmp",
                                       "ft0", "ft11", "fs11",  "fcsr",   "hsm"};

    (void)state;
    for (unsigned i = 0; i < vcpu_reg_count; i++) {
        assert_true(strlen(vcpu_regs[i].name) <= 15);
        assert_ptr_equal(reg(vcpu_regs[i].name), &vcpu_regs[i]); /* no name twice */
        assert_true(vcpu_regs[i].offset + vcpu_regs[i].size <= sizeof(struct vcpu));
    }
    for (unsigned i = 0; i < ARRAY_LEN(must); i++)
        assert_non_null(reg(must[i]));
    /* Every CSR of struct vcpu_csrs is in it. */
    for (size_t at = 0; at < sizeof(struct vcpu_csrs); at += 8) {
        bool found = false;
        for (unsigned i = 0; i < vcpu_reg_count; i++)
            found |= vcpu_regs[i].offset == offsetof(struct vcpu, csr) + at;
        assert_true(found);
    }
    assert_int_equal(reg("vsatp")->csr, CSR_VSATP);
}

static void test_get_set(void **state)
{
    (void)state;
    assert_int_equal(vcpu_reg_get(&from, reg("a0")), from.gpr[10]);
    assert_int_equal(vcpu_reg_get(&from, reg("s2")), from.gpr[18]);
    assert_int_equal(vcpu_reg_get(&from, reg("t3")), from.gpr[28]);
    assert_int_equal(vcpu_reg_get(&from, reg("fs2")), from.fpr[18]);
    assert_int_equal(vcpu_reg_get(&from, reg("ft8")), from.fpr[28]);
    assert_int_equal(vcpu_reg_get(&from, reg("fcsr")), 0xE5);
    assert_int_equal(vcpu_reg_get(&from, reg("priv")), 1);
    vcpu_reg_set(&from, reg("priv"), 0);
    assert_int_equal(vcpu_reg_get(&from, reg("priv")), 0);
    assert_int_equal(from.sstatus, SSTATUS_FS_CLEAN);
    assert_int_equal(from.hstatus, HSTATUS_SPV | HSTATUS_VSXL_64);
    vcpu_reg_set(&from, reg("priv"), ~0ul);
    assert_int_equal(from.hstatus, HSTATUS_SPVP | HSTATUS_SPV | HSTATUS_VSXL_64);
    vcpu_reg_set(&from, reg("pc"), 0x1001);
    assert_int_equal(from.pc, 0x1000);
    vcpu_reg_set(&from, reg("fcsr"), ~0ul);
    assert_int_equal(from.fcsr, 0xFF);
    assert_int_equal(from.gpr[0], 0);
    for (unsigned i = 0; i < vcpu_reg_count; i++) { /* any value into any register, then back */
        vcpu_reg_set(&from, &vcpu_regs[i], ~0ul);
        (void)vcpu_reg_get(&from, &vcpu_regs[i]);
    }
    assert_int_equal(from.gpr[0], 0);
    assert_int_equal(from.index, 0);
}

static void test_round_trip(void **state)
{
    (void)state;
    memset(&to, 0, sizeof(to));
    to.vector_regs = to_vector;
    to.guest = &guest;
    to.sstatus = SSTATUS_FS_CLEAN;
    to.hstatus = HSTATUS_SPV;
    save();
    assert_int_equal(load(), 0);
    assert_int_equal(stream.at, stream.len);
    for (unsigned i = 0; i < vcpu_reg_count; i++)
        assert_int_equal(vcpu_reg_get(&to, &vcpu_regs[i]), vcpu_reg_get(&from, &vcpu_regs[i]));
    assert_memory_equal(to.gpr, from.gpr, sizeof(to.gpr));
    assert_memory_equal(&to.csr, &from.csr, sizeof(to.csr));
    assert_memory_equal(to.fpr, from.fpr, sizeof(to.fpr));
    assert_int_equal(to.hstatus, HSTATUS_SPV | HSTATUS_SPVP); /* the rest is the host's */
    assert_int_equal(to.pmu.hart, 0); /* no hart's counters are set up for it */
    from.pmu.hart = 0;
    assert_memory_equal(&to.pmu, &from.pmu, sizeof(to.pmu));
    assert_int_equal(guest.pmu_counting, BIT(0));
    assert_false(to.start_ready);
    from.hsm = HSM_START_PENDING;
    save();
    assert_int_equal(load(), 0);
    assert_true(to.start_ready);
}

/* Where the counters' part begins: after it come 14 events of 8 bytes, 24 bytes, two counters of 22, their number. */
static uint8_t *pmu_part(void) { return stream.data + stream.len - 14 * 8 - 24 - 2 * 22 - 1; }

static void test_vector(void **state)
{
    (void)state;
    save();
    assert_int_equal(load(), 0);
    assert_true(to.vector_used);
    assert_memory_equal(to_vector, from_vector, sizeof(to_vector));
    assert_memory_equal(&to.vector, &from.vector, sizeof(to.vector));
    assert_int_equal(heap_blocks, 0);

    from.vector_used = false; /* nothing of what was there before shows */
    save();
    assert_int_equal(load(), 0);
    assert_false(to.vector_used);
    vcpu_reg_set(&to, reg("vl"), 1);
    assert_true(to.vector_used);
    for (unsigned i = 0; i < sizeof(to_vector); i++)
        assert_int_equal(to_vector[i], 0);
    from.vector_used = true;

    vcpu_features.vlenb = 16; /* another length: refused, nothing touched */
    save();
    vcpu_features.vlenb = 32;
    memset(to_vector, 0x55, sizeof(to_vector));
    assert_int_equal(load(), -ENOTSUP);
    assert_int_equal(to_vector[0], 0x55);
    vcpu_features.vlenb = 0; /* from a host with, to one without */
    assert_int_equal(load(), -ENOTSUP);
    from.vector_used = false;
    save();
    to.vector_regs = NULL;
    assert_int_equal(load(), 0); /* and from one without to one without */
    vcpu_reg_set(&to, reg("vl"), 1);
    assert_false(to.vector_used);
    vcpu_features.vlenb = 32;
    pmu_part()[-1] = 2;
    assert_int_equal(load(), -EINVAL);
    pmu_part()[-1] = 1; /* used, of no length */
    assert_int_equal(load(), -EINVAL);
    assert_int_equal(heap_blocks, 0);
}

static void test_cut(void **state)
{
    struct vcpu before;
    size_t whole;

    (void)state;
    save();
    whole = stream.len;
    before = to;
    for (size_t len = 0; len < whole; len++) {
        stream.len = len;
        assert_true(load() < 0);
        assert_memory_equal(&to, &before, sizeof(to));
        assert_int_equal(to_vector[0], 0x55);
    }
    assert_int_equal(heap_blocks, 0);
}

static void expect_refused(const char *name, uint64_t value)
{
    struct vcpu before = to;
    const struct vcpu_reg *r = reg(name);
    uint8_t *at = stream.data + 2;

    save();
    for (unsigned i = 0; &vcpu_regs[i] != r; i++)
        at += 1 + strlen(vcpu_regs[i].name) + 8;
    at += 1 + strlen(name);
    for (unsigned i = 0; i < 8; i++)
        at[i] = (uint8_t)(value >> 8 * i);
    assert_int_equal(load(), -EINVAL);
    assert_memory_equal(&to, &before, sizeof(to));
}

static void test_bad_values(void **state)
{
    (void)state;
    expect_refused("hsm", 7);
    expect_refused("hsm", 1ul << 32);
    expect_refused("in_wfi", 2);
    expect_refused("priv", 3);
    expect_refused("fcsr", 0x100);
    expect_refused("pc", 0x1001);
    expect_refused("start_pc", 1);
    expect_refused("hvip", 1);
    expect_refused("hvip", HVIP_LCOFIP); /* no Sscofpmf */
    expect_refused("irq_level", HVIP_VSEIP | 1);
    expect_refused("irq_edge", ~0ul);
    expect_refused("fwft_henvcfg", HENVCFG_STCE);
    expect_refused("fwft_henvcfg", 1ul << HENVCFG_PMM_SHIFT); /* reserved */
    expect_refused("fwft_misalign", 2);
    expect_refused("sse_unmasked", 2);
    expect_refused("ssek_status", 8);
    expect_refused("ssel_priority", 1ul << 32);
    expect_refused("ssel_config", 2);
    expect_refused("sseg_entry", 0x8001);
    expect_refused("sseg_flags", 64);
    expect_refused("fwft_locked", 1ul << 32);
}

static void expect_pmu_refused(unsigned at, uint8_t value)
{
    struct vcpu before = to;

    save();
    assert_int_not_equal(pmu_part()[at], value);
    pmu_part()[at] = value;
    assert_int_equal(load(), -EINVAL);
    assert_memory_equal(&to, &before, sizeof(to));
}

static void test_bad_counters(void **state)
{
    (void)state;
    save();
    assert_int_equal(*pmu_part(), 2);
    expect_pmu_refused(1, 48); /* no such counter */
    expect_pmu_refused(1, 47); /* the same one twice */
    expect_pmu_refused(2, 2); /* cycle counts no instructions */
    expect_pmu_refused(5, 1); /* bits of an event above 20 */
    expect_pmu_refused(22, 1); /* a filter of our own modes */
    expect_pmu_refused(23 + 1, 14); /* no such firmware event */
    expect_pmu_refused(23 + 1 + 4 + 8, 1); /* firmware events have no data */
    expect_pmu_refused(45, 3); /* one without an event runs */
    expect_pmu_refused(45 + 8, 4); /* has overflown */
    expect_pmu_refused(45 + 16, 0x10); /* not a page */
    save();
    pmu_part()[1] = 3; /* a counter that this host lacks */
    assert_int_equal(load(), -ENOTSUP);
}

static void test_altered(void **state)
{
    (void)state;
    save();
    stream.data[3] ^= 1; /* "ra" becomes an unknown name */
    assert_int_equal(load(), -ENOTSUP);
    save();
    memcpy(stream.data + 2 + 11, stream.data + 2, 11); /* ra twice, no sp */
    assert_int_equal(load(), -EINVAL);
    save();
    stream.data[0]++;
    assert_int_equal(load(), -ENOTSUP);
    save();
    stream.data[0]--;
    assert_int_equal(load(), -EINVAL);
    save();
    stream.data[2] = 0;
    assert_int_equal(load(), -EINVAL);
    save();
    stream.data[2] = 255;
    assert_int_equal(load(), -EINVAL);
    srand(3);
    for (int i = 0; i < 20000; i++) { /* anything: an answer, and the host's bits stay ours */
        save();
        stream.data[rand() % 64] ^= (uint8_t)(1 << rand() % 8);
        stream.data[(size_t)rand() % stream.len] = (uint8_t)rand();
        memset(&to, 0, sizeof(to));
        to.guest = &guest;
        to.hstatus = HSTATUS_SPV;
        to.vector_regs = to_vector;
        (void)load();
        assert_int_equal(to.hstatus & ~(uint64_t)HSTATUS_SPVP, HSTATUS_SPV);
        assert_true(to.hsm <= 6);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_table, setup),
        cmocka_unit_test_setup(test_get_set, setup),
        cmocka_unit_test_setup(test_round_trip, setup),
        cmocka_unit_test_setup(test_cut, setup),
        cmocka_unit_test_setup(test_bad_values, setup),
        cmocka_unit_test_setup(test_bad_counters, setup),
        cmocka_unit_test_setup(test_altered, setup),
        cmocka_unit_test_setup(test_vector, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
