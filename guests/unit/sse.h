// SPDX-License-Identifier: BSD-2-Clause
// A handler of software events: sse_entry (sse_entry.S) saves what C may change in the context that is the
// event's entry argument, runs its function on its stack, and completes the event.
#pragma once
#define SSE_CONTEXT_STACK 0
#define SSE_CONTEXT_RUN 8
#define SSE_CONTEXT_SAVED 16

#ifndef __ASSEMBLER__
#include <stdint.h>

struct sse_context {
    uint64_t stack; /* its top */
    void (*run)(struct sse_context *c, uint64_t hart);
    uint64_t saved[17];
    volatile uint64_t count;
    uint64_t hart, sepc, order;
    void (*then)(struct sse_context *c);
    uint64_t memory[256];
};
void sse_entry(void);
#endif
