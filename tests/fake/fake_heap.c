// SPDX-License-Identifier: BSD-2-Clause
#include "fake_heap.h"

#include <stdlib.h>

int fake_heap_blocks, fake_heap_left = -1;

void *heap_alloc(size_t size)
{
    if (!fake_heap_left)
        return NULL;
    fake_heap_left -= fake_heap_left > 0;
    fake_heap_blocks++;
    return calloc(1, size);
}

void heap_free(void *p)
{
    fake_heap_blocks -= p != NULL;
    free(p);
}
