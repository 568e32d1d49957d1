// SPDX-License-Identifier: BSD-2-Clause
// Whether one name was meant by another. Pure. Callers: commands that suggest names.
#pragma once
#include <stdbool.h>

/* One is part of the other (of three letters or more), or two letters at most differ. */
bool near_names(const char *typed, const char *name);
