// SPDX-License-Identifier: BSD-2-Clause
// SBI calls from guests (SBI 3.0). An extension is one const descriptor: name, id range, probe, call;
// extensions never include each other. The dispatcher (sbi.c) finds it in one table, writes a0/a1 and
// advances the pc once, for all of them.
// Invariants: an error does nothing but return it. Unknown ids: SBI_ERR_NOT_SUPPORTED, quietly.
// Lock rank: none held on entry. Callers: exit.c.
#pragma once
#include "vcpu/exit.h"

enum {
    SBI_OK = 0, SBI_ERR_FAILED = -1, SBI_ERR_NOT_SUPPORTED = -2, SBI_ERR_INVALID_PARAM = -3,
    SBI_ERR_DENIED = -4, SBI_ERR_INVALID_ADDRESS = -5, SBI_ERR_ALREADY_AVAILABLE = -6,
    SBI_ERR_ALREADY_STARTED = -7, SBI_ERR_ALREADY_STOPPED = -8, SBI_ERR_NO_SHMEM = -9,
    SBI_ERR_INVALID_STATE = -10, SBI_ERR_BAD_RANGE = -11, SBI_ERR_TIMEOUT = -12, SBI_ERR_IO = -13,
    SBI_ERR_DENIED_LOCKED = -14,
};
#define SBI_EXT_BASE 0x10
#define SBI_EXT_TIME 0x54494D45
#define SBI_EXT_IPI 0x735049
#define SBI_EXT_RFENCE 0x52464E43
#define SBI_EXT_HSM 0x48534D
#define SBI_EXT_SRST 0x53525354
#define SBI_EXT_DBCN 0x4442434E
#define SBI_IMPL_TRAPLINE 0x54524150 /* "TRAP"; not registered */

/* Reply of a call. Arguments are read from vcpu->gpr[10..15] (a0..a5), the function from gpr[16]. */
struct sbi_reply {
    long error;
    unsigned long value;
};

struct sbi_extension {
    const char *name;
    unsigned long first, last;   /* extension ids */
    bool legacy;                 /* writes only a0 (legacy extensions 0..8) */
    bool slow;                   /* reads guest memory by HLV, starts, stops, waits: full save first */
    /* For BASE probe_extension; NULL: always there. */
    unsigned long (*probe)(struct guest *g);
    /* EXIT_ADVANCE: the reply is written and the pc advanced; others: the reply is not written
     * (EXIT_RESUME: registers and pc are already as they should be; EXIT_BLOCK: tried again). */
    enum exit_result (*call)(struct vcpu *v, unsigned long fid, struct sbi_reply *reply);
};

/* Fast path of ecall from VS-mode: 0 when a0/a1 are written and sepc advanced, else a verdict. */
enum exit_result sbi_dispatch(struct vcpu *v);
/* By extension id; NULL when there is none. */
const struct sbi_extension *sbi_find(unsigned long id);

/* The vCPUs named by (hart_mask, hart_mask_base), section 3.1 "Hart list parameter": a bit for
 * each index; base -1 is all. SBI_OK or SBI_ERR_INVALID_PARAM (an id past the VM; nothing done). */
long sbi_hart_mask(struct guest *g, unsigned long mask, unsigned long base, uint64_t *vcpus);
