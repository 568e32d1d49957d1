// SPDX-License-Identifier: BSD-2-Clause
// The hypervisor's heap on the host's one, for unit tests and fuzzers. Link: tests/fake/fake_heap.c.
#pragma once
#include "mem/heap.h"

extern int fake_heap_blocks; /* that are allocated now */
extern int fake_heap_left; /* how many may still be allocated; -1: as many as one likes */
