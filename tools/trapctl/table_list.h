// SPDX-License-Identifier: BSD-2-Clause
// A list of the protocol's objects as a table, a row each. Callers: commands.
#pragma once
#include <jansson.h>

#include "table.h"

/* Adds a row of an object: a cell for each heading. */
typedef void (*table_row)(struct table *t, const json_t *of);

void table_list(const json_t *list, const char *const heads[], table_row row, FILE *to);
