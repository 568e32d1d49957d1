// SPDX-License-Identifier: BSD-2-Clause
// SBI calls from guests (SBI 3.0). An extension is one const descriptor: name, id range, probe,
// call; extensions never include each other. The dispatcher (sbi.c) finds it in one table, writes
// a0/a1 and advances the pc once, for all of them.
//
// An ecall first takes the fast path: sbi_dispatch, with only the caller-saved registers in gpr[]
// and the trap CSRs (sepc, hstatus, sstatus) live in the hart. It answers there what neither traps
// in HS-mode (HLV) nor gives up the hart: extensions that have answer(). A call of one that has
// call() instead is left untouched (EXIT_SLOW), for exit.c to save everything and come back through
// sbi_dispatch_slow.
//
// Invariants: an error does nothing but return it. Unknown ids: SBI_ERR_NOT_SUPPORTED, quietly.
// A guest's hart ids are its vCPUs' indices, 0 to vcpu_count - 1. Parameters that the specification
// calls 32 or 8 bits wide are cut to that; ids and all other parameters count with all 64 bits.
// Lock rank: none held on entry. Callers: exit.c.
#pragma once
#include "vcpu/exit.h"

enum {
    SBI_OK = 0,
    SBI_ERR_FAILED = -1,
    SBI_ERR_NOT_SUPPORTED = -2,
    SBI_ERR_INVALID_PARAM = -3,
    SBI_ERR_DENIED = -4,
    SBI_ERR_INVALID_ADDRESS = -5,
    SBI_ERR_ALREADY_AVAILABLE = -6,
    SBI_ERR_ALREADY_STARTED = -7,
    SBI_ERR_ALREADY_STOPPED = -8,
    SBI_ERR_NO_SHMEM = -9,
    SBI_ERR_INVALID_STATE = -10,
    SBI_ERR_BAD_RANGE = -11,
    SBI_ERR_TIMEOUT = -12,
    SBI_ERR_IO = -13,
    SBI_ERR_DENIED_LOCKED = -14,
};
#define SBI_EXT_BASE 0x10
#define SBI_EXT_TIME 0x54494D45
#define SBI_EXT_IPI 0x735049
#define SBI_EXT_RFENCE 0x52464E43
#define SBI_EXT_HSM 0x48534D
#define SBI_EXT_STA 0x535441
#define SBI_EXT_SRST 0x53525354
#define SBI_EXT_DBCN 0x4442434E
#define SBI_EXT_PMU 0x504D55
#define SBI_EXT_SUSP 0x53555350
#define SBI_EXT_FWFT 0x46574654
#define SBI_EXT_SSE 0x535345
#define SBI_IMPL_TRAPLINE 0x54524150 /* "TRAP"; not registered */
#define SBI_IMPL_VERSION 0x00000001 /* Trapline's: major << 16 | minor */
#define SBI_SPEC_VERSION 0x03000000 /* 3.0: major << 24 | minor */

/* Reply of a call: a0 and a1. Arguments are read from vcpu->gpr[10..15] (a0..a5), the function from
 * gpr[16]. */
struct sbi_reply {
    long error;
    unsigned long value;
};

static inline struct sbi_reply sbi_value(unsigned long value)
{
    return (struct sbi_reply){SBI_OK, value};
}
static inline struct sbi_reply sbi_error(long error) { return (struct sbi_reply){error, 0}; }

struct sbi_extension {
    const char *name;
    unsigned long first, last; /* extension ids */
    bool legacy; /* writes only a0 (legacy extensions 0..8); has call() */
    /* For BASE probe_extension; NULL: always there. */
    unsigned long (*probe)(struct guest *g);
    /* One of the two. answer: fast, by value, in two registers, since it is the hottest path of
     * all; must not use HLV, and has no verdict but EXIT_ADVANCE. */
    struct sbi_reply (*answer)(struct vcpu *v, unsigned long fid);
    /* call: slow (reads guest memory, starts, stops, waits). *reply is zero on entry. EXIT_ADVANCE:
     * the reply is written and the pc advanced; others: the reply is not written (EXIT_STOP,
     * EXIT_INJECT; EXIT_BLOCK: pc and registers are what to go on with, the same call again if they
     * are unchanged). */
    enum exit_result (*call)(struct vcpu *v, unsigned long fid, struct sbi_reply *reply);
};

/* Fast path of ecall from VS-mode: EXIT_RESUME when a0/a1 are written and sepc is advanced: back to
 * the guest at once. EXIT_SLOW: nothing was done, see above. */
enum exit_result sbi_dispatch(struct vcpu *v);
/* The same once everything is saved: the pc is v->pc. EXIT_RESUME when the reply is written and the
 * pc advanced, or another verdict of the extension's (EXIT_BLOCK, EXIT_STOP, EXIT_INJECT): then
 * registers and pc are already as they should be. */
enum exit_result sbi_dispatch_slow(struct vcpu *v);
/* By extension id; NULL when there is none. */
const struct sbi_extension *sbi_find(unsigned long id);
/* Asks the firmware for what BASE tells guests about the machine; once, at boot. */
void sbi_base_init(void);

_Static_assert(GUEST_MAX_VCPUS < 64, "a set of vCPUs is one word");

/* The vCPUs named by (mask, base), section 3.1 "Hart list parameter": a bit for each index; base -1
 * is all, whatever the mask. SBI_OK, or SBI_ERR_INVALID_PARAM when a bit names a hart that the VM
 * does not have: then *vcpus is not written and nothing may be done. A mask of 0 names nobody,
 * with any base. */
static inline long sbi_hart_mask(struct guest *g, unsigned long mask, unsigned long base,
                                 uint64_t *vcpus)
{
    uint64_t all = BIT(g->vcpu_count) - 1;
    uint64_t allowed = base < 64 ? all >> base : 0;

    if (base == ~0ul) {
        *vcpus = all;
        return SBI_OK;
    }
    if (mask & ~allowed)
        return SBI_ERR_INVALID_PARAM;
    *vcpus = mask << (base & 63);
    return SBI_OK;
}
