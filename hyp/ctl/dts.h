// SPDX-License-Identifier: BSD-2-Clause
// A device tree as source text, as dtc would write it: pure, over libfdt.
// Invariants: bounded by the tree's size; every byte of a property is shown (strings, cells or
// bytes, guessed from the content). Lock rank: none. Callers: commands, host tests.
#pragma once
#include "base/util.h"

/* 0; -EINVAL for what is no sound tree (what came before the flaw has been emitted). size: of the
 * memory at fdt. */
int dts_print(const void *fdt, size_t size, void (*emit)(void *ctx, const char *line),
              void *ctx) MUST_CHECK;
