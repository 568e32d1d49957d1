// SPDX-License-Identifier: BSD-2-Clause
#include "table.h"

#include <stdarg.h>
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

static void put_cell(const struct table *t, FILE *to, unsigned column, const char *cell,
                     const int width[])
{
    int gap = width[column] - (int)strlen(cell);

    if (t->head[column][0] == '>')
        fprintf(to, "%*s", gap > 0 ? gap : 0, "");
    text_put_safe(to, cell);
    if (column + 1 == t->columns)
        fputc('\n', to);
    else
        fprintf(to, "%*s", (t->head[column][0] == '>' || gap < 0 ? 0 : gap) + 2, "");
}

void table_end(struct table *t, FILE *to)
{
    int width[TABLE_COLUMNS];

    for (unsigned c = 0; c < t->columns; c++)
        width[c] = (int)strlen(heading(t, c));
    for (size_t i = 0; i < t->cells; i++)
        if (width[i % t->columns] < (int)strlen(t->cell[i]))
            width[i % t->columns] = (int)strlen(t->cell[i]);
    for (unsigned c = 0; c < t->columns; c++)
        put_cell(t, to, c, heading(t, c), width);
    for (size_t i = 0; i < t->cells; i++) {
        put_cell(t, to, (unsigned)(i % t->columns), t->cell[i], width);
        free(t->cell[i]);
    }
    free(t->cell);
    *t = (struct table){0};
}
