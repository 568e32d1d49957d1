// SPDX-License-Identifier: BSD-2-Clause
// Address types. A guest virtual, a guest physical and a host physical address are different
// types, so that the compiler refuses to mix them; a hypervisor virtual address is a C pointer.
//
// Invariant: every byte of host RAM that the hypervisor may touch is reachable through the direct
// map: hva = pa + direct_offset. Device registers are not in it: see mem/hostmap.h.
// Lock rank: none. Callers: everyone.
#pragma once
#include <stdint.h>

#include "base/util.h"

typedef struct {
    uint64_t v;
} gva_t; /* guest virtual: what the guest's instructions use */
typedef struct {
    uint64_t v;
} gpa_t; /* guest physical: what stage 2 translates */
typedef struct {
    uint64_t v;
} pa_t;  /* host physical */

static inline gva_t gva(uint64_t v) { return (gva_t){v}; }
static inline gpa_t gpa(uint64_t v) { return (gpa_t){v}; }
static inline pa_t pa(uint64_t v) { return (pa_t){v}; }
static inline pa_t pa_add(pa_t p, uint64_t n) { return (pa_t){p.v + n}; }
static inline gpa_t gpa_add(gpa_t g, uint64_t n) { return (gpa_t){g.v + n}; }

/* hva - pa of the direct map of RAM; set once at boot (by the fake machine in host tests). */
extern uint64_t direct_offset;

static inline void *pa_to_hva(pa_t p) { return (void *)(uintptr_t)(p.v + direct_offset); }
static inline pa_t hva_to_pa(const void *h) { return pa((uint64_t)(uintptr_t)h - direct_offset); }
