// SPDX-License-Identifier: BSD-2-Clause
// The hypervisor's small-object allocator, on frames: a few classes from 32 bytes to half a page
// (aligned to 16 bytes), larger requests as whole frames (aligned to a page). Memory is zeroed.
// NULL when out of memory.
// Lock rank: LOCK_FRAME (internal). Callers: everyone above mem/frame; not in exit paths.
#pragma once
#include "base/addr.h"
#include "base/util.h"

enum { HEAP_SMALL_MAX = 2032 };
/* What divides the 4064 bytes after a slab's header well. */
static const uint16_t heap_class_size[] = {32, 64, 128, 256, 576, 1008, HEAP_SMALL_MAX};

void *heap_alloc(size_t size) __attribute__((warn_unused_result));
void heap_free(void *p); /* NULL is fine */
enum { HEAP_NOTE = 32 }; /* what the heap notes of an object of several frames */
/* Bytes that an object of this size, of less than 2 MiB or a power of two, takes: those of its class, or of its frames. For
 * accounts: who knows what it has allocated can say what that is. */
static inline uint64_t heap_takes(size_t size)
{
    unsigned class = 0;

    if (size > HEAP_SMALL_MAX)
        return align_up(size, PAGE_SIZE) + (size > PAGE_SIZE ? HEAP_NOTE : 0);
    while (heap_class_size[class] < size)
        class ++;
    return heap_class_size[class];
}
size_t heap_bytes(void); /* bytes of frames that the heap holds */
