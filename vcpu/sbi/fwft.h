// SPDX-License-Identifier: BSD-2-Clause
// FWFT: what a vCPU has set of its hart's features, brought into a hart when the vCPU comes there.
//
// henvcfg is the guest's with the vCPU's own bits. Delegation of misaligned accesses is the
// firmware's to switch, hart by hart: asked of it only when it is not already as this vCPU wants it.
// Lock rank: none. Callers: load.c and vcpu.c's reset, boundary.c's start; on the vCPU's own thread.
#pragma once
#include "vcpu/vcpu.h"

/* The bits of henvcfg that a vCPU may set for itself. */
#define FWFT_HENVCFG (HENVCFG_ADUE | HENVCFG_PMM)

/* Asks the hart's firmware to delegate misaligned accesses, or not to, as the vCPU wants it. */
void fwft_delegate(const struct vcpu *v);
static inline void fwft_load(const struct vcpu *v)
{
    csr_write(CSR_HENVCFG, v->guest->henvcfg | v->fwft.henvcfg);
    if (this_hart()->delegates_misaligned != v->fwft.misaligned)
        fwft_delegate(v);
}
/* As after a hart's reset: all features off, nothing locked. Takes effect when it is loaded. */
void fwft_reset(struct vcpu *v);
/* What of it the host can do: from features_probe, once, on the boot hart. */
void fwft_probe(bool svadu);
/* On each hart, once. */
void fwft_hart_init(void);
