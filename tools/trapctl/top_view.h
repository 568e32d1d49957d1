// SPDX-License-Identifier: BSD-2-Clause
// How `top` looks: its columns, their order by a sort, and lines cut to a width. Pure.
#pragma once
#include "sample.h"

struct top_view {
    unsigned sort; /* a column */
    bool reversed;
    bool colors; /* marks for a terminal: headings reversed, the sorted one bold */
    /* Of the terminal; columns of less use are left out when it is narrow. 0: all. */
    unsigned columns;
};

extern const unsigned top_column_count;
/* As options and --json name it: "name", "cpu", … */
const char *top_column_key(unsigned column);
/* What it means, in a line. */
const char *top_column_help(unsigned column);
/* By its key or heading, whatever its case; -1: none. */
int top_column_find(const char *word);
/* Whether there is room for it. */
bool top_column_shown(const struct top_view *v, unsigned column);

/* VMs in order, each one's vCPUs behind it. Equal ones by name. */
void top_sort(const struct top_view *v, struct sample_row *rows, size_t count);
/* Lines, without their end. */
void top_put_machine(const struct top_view *v, const struct sample_host *h, unsigned line,
                     FILE *to);
enum { TOP_MACHINE_LINES = 2 };
void top_put_headings(const struct top_view *v, FILE *to);
void top_put_row(const struct top_view *v, const struct sample_row *row, FILE *to);
json_t *top_row_json(const struct sample_row *row);
