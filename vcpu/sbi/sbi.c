// SPDX-License-Identifier: BSD-2-Clause
#include "vcpu/sbi/sbi.h"

#include "vcpu/sbi/extensions.h"

/* A slot for each extension id: no two ids of SBI 3.0 share one, those that Trapline does not
 * have (CPPC, NACL, STA, DBTR, MPXY) included. The compiler checks the
 * ones in the table: two initializers of one slot are an error (-Woverride-init). */
#define SLOTS 64
#define SLOT(id) (((id) ^ (id) >> 5) & (SLOTS - 1))

static const struct sbi_extension *const extensions[SLOTS] = {
    [SLOT(SBI_EXT_BASE)] = &sbi_ext_base, [SLOT(SBI_EXT_TIME)] = &sbi_ext_time,
    [SLOT(SBI_EXT_IPI)] = &sbi_ext_ipi,   [SLOT(SBI_EXT_RFENCE)] = &sbi_ext_rfence,
    [SLOT(SBI_EXT_HSM)] = &sbi_ext_hsm,   [SLOT(SBI_EXT_SRST)] = &sbi_ext_srst,
    [SLOT(SBI_EXT_DBCN)] = &sbi_ext_dbcn, [SLOT(SBI_EXT_SUSP)] = &sbi_ext_susp,
    [SLOT(SBI_EXT_FWFT)] = &sbi_ext_fwft, [SLOT(SBI_EXT_PMU)] = &sbi_ext_pmu,
    [SLOT(SBI_EXT_SSE)] = &sbi_ext_sse,   [SLOT(SBI_EXT_STA)] = &sbi_ext_sta,
};

/* The legacy extensions are the only ones with a range of ids; they are looked at last, so that
 * they cost the others nothing. */
static inline const struct sbi_extension *lookup(unsigned long id)
{
    const struct sbi_extension *e = extensions[SLOT(id)];

    if (__builtin_expect(e && e->first == id, 1))
        return e;
    return id <= sbi_ext_legacy.last ? &sbi_ext_legacy : NULL;
}

const struct sbi_extension *sbi_find(unsigned long id) { return lookup(id); }

static inline enum exit_result return_fast(struct vcpu *v, struct sbi_reply reply)
{
    v->gpr[10] = (uint64_t)reply.error;
    v->gpr[11] = reply.value;
    csr_write(CSR_SEPC, csr_read(CSR_SEPC) + 4);
    return EXIT_RESUME;
}

enum exit_result sbi_dispatch(struct vcpu *v)
{
    const struct sbi_extension *e = lookup(v->gpr[17]);

    if (__builtin_expect(!e, 0))
        return return_fast(v, sbi_error(SBI_ERR_NOT_SUPPORTED));
    if (!e->answer)
        return EXIT_SLOW;
    return return_fast(v, e->answer(v, v->gpr[16]));
}

enum exit_result sbi_dispatch_slow(struct vcpu *v)
{
    const struct sbi_extension *e = lookup(v->gpr[17]);
    struct sbi_reply reply = sbi_error(SBI_ERR_NOT_SUPPORTED);

    if (e && e->answer) {
        reply = e->answer(v, v->gpr[16]);
    } else if (e) {
        reply = sbi_value(0);
        enum exit_result verdict = e->call(v, v->gpr[16], &reply);
        if (verdict != EXIT_ADVANCE)
            return verdict;
    }
    v->gpr[10] = (uint64_t)reply.error;
    if (!e || !e->legacy)
        v->gpr[11] = reply.value;
    v->pc += 4;
    return EXIT_RESUME;
}
