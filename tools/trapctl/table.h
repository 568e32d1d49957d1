// SPDX-License-Identifier: BSD-2-Clause
// A table on standard output: columns as wide as their widest cell, no blanks behind the last.
// Callers: commands. table_end prints and frees.
#pragma once
#include <stdio.h>

enum { TABLE_COLUMNS = 16 };

struct table {
    unsigned columns;
    const char *head[TABLE_COLUMNS];
    char **cell; /* row by row */
    size_t cells, room;
};

/* A heading that begins with '>' is of a column of numbers: aligned to the right. NULL ends the headings. */
void table_begin(struct table *t, const char *const heads[]);
/* Cells come from left to right, row by row. */
void table_add(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void table_end(struct table *t, FILE *to);
