// SPDX-License-Identifier: BSD-2-Clause
// What libfdt and the shell need of stdlib.h.
#pragma once
#include <stddef.h>
unsigned long strtoul(const char *s, char **end, int base);
