// SPDX-License-Identifier: BSD-2-Clause
// Relaxed atomic stores as the plain stores that they are: GCC makes AMOs of atomic_store_explicit(relaxed), which cost a
// hart many times as much. For words that one hart writes (or under a lock) and others look at.
// Lock rank: none. Callers: everyone.
#pragma once
#include <stdatomic.h>
#include <stdint.h>

static inline void relaxed_store64(_Atomic uint64_t *p, uint64_t value)
{
    *(volatile uint64_t *)p = value;
}
static inline void relaxed_store32(atomic_uint *p, unsigned value)
{
    *(volatile unsigned *)p = value;
}
static inline void relaxed_store_int(atomic_int *p, int value) { *(volatile int *)p = value; }
static inline uint64_t relaxed_load64(const _Atomic uint64_t *p)
{
    return atomic_load_explicit(p, memory_order_relaxed);
}
static inline unsigned relaxed_load32(const atomic_uint *p)
{
    return atomic_load_explicit(p, memory_order_relaxed);
}
