// SPDX-License-Identifier: BSD-2-Clause
// The vector registers of a vCPU, on hosts that have some (vcpu_features.vlenb); the hypervisor itself
// never uses them.
//
// They are switched eagerly and seldom: a hart whose sstatus.VS is Off would give the guest an illegal
// instruction, which is the guest's own to take, so there is no first use to see. Instead a hart remembers
// whose registers it holds, and whether they are all as after a reset: a vCPU that has never used vectors
// costs nothing unless another one's registers have to be cleared away.
// Lock rank: none. Callers: load.c, vcpu.c, regs.c.
#pragma once
#include "vcpu/vcpu.h"

/* vector.S. sstatus.VS must not be Off. */
void vector_load(const void *registers, const struct vector_csrs *csrs);
void vector_save(void *registers, struct vector_csrs *csrs);
void vector_clear(void);

/* Bytes of all 32 registers; 0: the host has none. */
static inline size_t vector_bytes(void) { return 32ul * vcpu_features.vlenb; }

/* As after a reset. Not loaded. */
static inline void vector_forget(struct vcpu *v)
{
    v->vector_used = false;
    v->vector_hart = -1;
    v->vector = (struct vector_csrs){.vtype = VTYPE_VILL};
}
