// SPDX-License-Identifier: BSD-2-Clause
// BASE (SBI 3.0 chapter 4): versions, probing. Every function succeeds.
#include "vcpu/sbi/extensions.h"

enum {
    BASE_SPEC_VERSION,
    BASE_IMPL_ID,
    BASE_IMPL_VERSION,
    BASE_PROBE,
    BASE_MVENDORID,
    BASE_MARCHID,
    BASE_MIMPID,
    BASE_FUNCTIONS
};

/* The answers, by function; BASE_PROBE's is computed. */
static unsigned long answers[BASE_FUNCTIONS] = {
    [BASE_SPEC_VERSION] = SBI_SPEC_VERSION,
    [BASE_IMPL_ID] = SBI_IMPL_TRAPLINE,
    [BASE_IMPL_VERSION] = SBI_IMPL_VERSION,
};

void sbi_base_init(void)
{
    for (unsigned long fid = BASE_MVENDORID; fid <= BASE_MIMPID; fid++) {
        struct sbi_ret r = arch_sbi(SBI_EXT_BASE, fid, 0, 0, 0, 0, 0, 0);
        answers[fid] = r.error ? 0 : (unsigned long)r.value; /* 0 is always legal */
    }
}

static unsigned long probe(struct guest *g, unsigned long id)
{
    const struct sbi_extension *e = sbi_find(id);

    if (!e)
        return 0;
    return e->probe ? e->probe(g) : 1;
}

static struct sbi_reply sbi_base_answer(struct vcpu *v, unsigned long fid)
{
    if (fid >= BASE_FUNCTIONS)
        return sbi_error(SBI_ERR_NOT_SUPPORTED);
    if (fid == BASE_PROBE)
        return sbi_value(probe(v->guest, v->gpr[10]));
    return sbi_value(answers[fid]);
}

const struct sbi_extension sbi_ext_base = {
    .name = "base",
    .first = SBI_EXT_BASE,
    .last = SBI_EXT_BASE,
    .answer = sbi_base_answer,
};
