// SPDX-License-Identifier: BSD-2-Clause
#include "table.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "text.h"

void table_begin(struct table *t, const char *const heads[])
{
    *t = (struct table){0};
    while (heads[t->columns] && t->columns < TABLE_COLUMNS) {
        t->head[t->columns] = heads[t->columns];
        t->columns++;
    }
}

void table_add(struct table *t, const char *fmt, ...)
{
    char cell[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(cell, sizeof(cell), fmt, ap);
    va_end(ap);
    if (t->cells == t->room) {
        t->room = t->room ? t->room * 2 : 64;
        t->cell = memory_grow(t->cell, t->room * sizeof(*t->cell));
    }
    t->cell[t->cells++] = memory_copy(cell);
}

static const char *heading(const struct table *t, unsigned column)
{
    return t->head[column] + (t->head[column][0] == '>');
}

/* *blanks are due before the next cell that has something in it. */
static void put_cell(const struct table *t, FILE *to, unsigned column, const char *cell, int width,
                     int *blanks)
{
    int gap = width - (int)strlen(cell);
    bool right = t->head[column][0] == '>';

    if (*cell) {
        fprintf(to, "%*s", *blanks + (right ? gap : 0), "");
        text_put_safe(to, cell);
        *blanks = right ? 0 : gap;
    } else {
        *blanks += width;
    }
    *blanks += 2;
}

static void put_row(const struct table *t, FILE *to, const char *const cell[], const int width[])
{
    int blanks = 0;

    for (unsigned c = 0; c < t->columns; c++)
        put_cell(t, to, c, cell[c], width[c], &blanks);
    fputc('\n', to);
}

void table_end(struct table *t, FILE *to)
{
    const char *head[TABLE_COLUMNS];
    int width[TABLE_COLUMNS];

    for (unsigned c = 0; c < t->columns; c++) {
        head[c] = heading(t, c);
        width[c] = (int)strlen(head[c]);
    }
    for (size_t i = 0; i < t->cells; i++)
        if (width[i % t->columns] < (int)strlen(t->cell[i]))
            width[i % t->columns] = (int)strlen(t->cell[i]);
    put_row(t, to, head, width);
    for (size_t i = 0; i + t->columns <= t->cells; i += t->columns)
        put_row(t, to, (const char *const *)t->cell + i, width);
    for (size_t i = 0; i < t->cells; i++)
        free(t->cell[i]);
    free(t->cell);
    *t = (struct table){0};
}
