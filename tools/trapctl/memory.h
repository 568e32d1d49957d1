// SPDX-License-Identifier: BSD-2-Clause
// Memory that is there or ends the program: a tool that ran out has nothing better to do.
#pragma once
#include <stddef.h>

void *memory_grow(void *old, size_t size);
char *memory_copy(const char *text);
char *memory_print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
