// SPDX-License-Identifier: BSD-2-Clause
// What an SBI extension and its legacy form both do: set the timer, send IPIs, fence,
// suspend. The extensions check parameters; here they are valid.
//
// Invariants: v is the calling vCPU, loaded on this hart; sets of vCPUs have a bit for each index
// and name only vCPUs that the guest has. Nothing here traps in HS-mode: good for the fast path.
// Lock rank: none held on entry (act_fence waits for other harts). Callers: vcpu/sbi/.
#pragma once
#include "vcpu/sbi/sbi.h"

/* The next timer event, at guest time when; clears the pending one if that is in the future. With
 * Sstc the hart compares it, and VSTIP follows. */
static inline void act_set_timer(struct vcpu *v, uint64_t when)
{
    if (__builtin_expect(v->guest->sstc, 1))
        csr_write(CSR_VSTIMECMP, when);
    else
        vcpu_set_timer(v, when);
}

void act_send_ipi_others(struct guest *g, uint64_t vcpus);

/* A supervisor software interrupt for each; stopped ones get none. */
static inline void act_send_ipi(struct vcpu *v, uint64_t vcpus)
{
    uint64_t self = BIT(v->index);

    if (vcpus & self)
        csr_set(CSR_HVIP, HVIP_VSSIP);
    if (__builtin_expect(vcpus & ~self, 0))
        act_send_ipi_others(v->guest, vcpus & ~self);
}

/* By their RFENCE function ids. */
enum act_fence_kind { ACT_FENCE_I = 0, ACT_SFENCE = 1, ACT_SFENCE_ASID = 2 };

/* fence.i, or sfence.vma for [start, start + size), on each of the vCPUs: done, or bound to be done
 * before the vCPU runs another instruction, when this returns. A range that is empty, all-ones,
 * wraps or is longer than ACT_FENCE_MAX is the whole address space; fencing more than asked for is
 * always right. asid: up to ACT_ASID_MAX, for ACT_SFENCE_ASID only. */
#define ACT_FENCE_MAX (64 * PAGE_SIZE)
#define ACT_ASID_MAX 0xFFFFul
void act_fence(struct vcpu *v, uint64_t vcpus, enum act_fence_kind kind, unsigned long start,
               unsigned long size, unsigned long asid);

/* Whether a hart can go on at a with its MMU off: RAM is all that guests can execute. */
bool act_address_ok(struct guest *g, uint64_t a);
/* The caller sleeps until an interrupt is pending that vsie enables, then goes on at address (which
 * is ok) as a hart that was started. Everything is saved (slow path). The verdict to return. */
enum exit_result act_suspend(struct vcpu *v, uint64_t address, uint64_t opaque);
/* The same, going on where v->pc is. */
enum exit_result act_sleep(struct vcpu *v);
