// SPDX-License-Identifier: BSD-2-Clause
// What is kept of a supervisor software event (SBI 3.0, "Supervisor Software Events"): its attributes, by
// their SBI numbers. Types only: struct vcpu holds one for each event; vcpu/sse.h has what is done
// with them, and the lock.
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* The events that guests have, by ascending event id, so that of equal priorities the first comes first. */
enum sse_index {
    SSE_KICK, /* local: the operator's `kick` (hyp/ctl) */
    SSE_LOCAL_SOFTWARE, /* local: sbi_sse_inject */
    SSE_LOCALS,
    SSE_GLOBAL_SOFTWARE = SSE_LOCALS, /* the VM's: vCPU 0's entry stands for all vCPUs */
    SSE_EVENTS,
};

enum sse_attr {
    SSE_STATUS, /* state and pending; whether it can be injected is the event's, not kept here */
    SSE_PRIORITY,
    SSE_CONFIG,
    SSE_PREFERRED_HART,
    SSE_ENTRY_PC,
    SSE_ENTRY_ARG,
    SSE_INTERRUPTED_SEPC,
    SSE_INTERRUPTED_FLAGS,
    SSE_INTERRUPTED_A6,
    SSE_INTERRUPTED_A7,
    SSE_ATTRS,
};

enum sse_state { SSE_UNUSED, SSE_REGISTERED, SSE_ENABLED, SSE_RUNNING };
#define SSE_STATUS_STATE 3ul
#define SSE_STATUS_PENDING 4ul
#define SSE_STATUS_INJECT 8ul
#define SSE_CONFIG_ONESHOT 1ul
#define SSE_FLAG_SPP 1ul
#define SSE_FLAG_SPIE 2ul
/* And hstatus.SPV and SPVP, sstatus.SPELP and SDT: kept for guests that write them, and without effect,
 * since guests have neither H nor Zicfilp nor Ssdbltrp. */
#define SSE_FLAGS 0x3Ful

struct sse_event {
    uint64_t attr[SSE_ATTRS];
    uint64_t running_on; /* index of the vCPU, of a global event that is SSE_RUNNING */
};

struct vcpu_sse {
    struct sse_event event[SSE_EVENTS];
    bool unmasked; /* the hart is ready to receive events */
};
