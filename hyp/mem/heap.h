// SPDX-License-Identifier: BSD-2-Clause
// The hypervisor's small-object allocator, on frames: a few classes from 32 bytes to half a page
// (aligned to 16 bytes), larger requests as whole frames (aligned to a page). Memory is zeroed.
// NULL when out of memory.
// Lock rank: LOCK_FRAME (internal). Callers: everyone above mem/frame; not in exit paths.
#pragma once
#include <stddef.h>

void *heap_alloc(size_t size) __attribute__((warn_unused_result));
void heap_free(void *p); /* NULL is fine */
size_t heap_bytes(void); /* bytes of frames that the heap holds */
