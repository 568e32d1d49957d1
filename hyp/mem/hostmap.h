// SPDX-License-Identifier: BSD-2-Clause
// The hypervisor's own address space (Sv39): its image W^X, RAM by the direct map, device registers, and stacks
// with an unmapped guard page below each.
// Invariants: no page is both writable and executable; the image's text and rodata are not in the direct map.
// Lock rank: LOCK_FRAME level, internal. Callers: boot, drv, sched.
#pragma once
#include "base/addr.h"

#define STACK_PAINT 0x6b63617473796d5full /* no address, no flag, no small number */

/* Device registers, mapped uncached by PMA, read-write; never unmapped. NULL: out of memory. Boot only:
 * harts that run already may have cached that nothing is there. */
void *hostmap_device(pa_t base, uint64_t size) MUST_CHECK;
/* size bytes (whole pages) with an unmapped page below, painted (STACK_PAINT in each word, so that one can
 * see later how deep it was used: sched/stack.h); lowest usable byte, or NULL.
 * Other harts may use it after an sfence.vma of theirs, which is the caller's to see to: a fault of the
 * hypervisor is no way to find out, since a trap on the way back to a guest loses where that was. */
void *hostmap_stack(uint64_t size) MUST_CHECK;
void hostmap_stack_free(void *lowest, uint64_t size);
