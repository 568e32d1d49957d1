// SPDX-License-Identifier: BSD-2-Clause
#include "near.h"

#include <string.h>

enum { LONGEST = 40, SHORTEST_PART = 3, MOST = 2 };

static unsigned least(unsigned a, unsigned b, unsigned c)
{
    unsigned ab = a < b ? a : b;

    return ab < c ? ab : c;
}

/* Letters to insert, delete or replace (V. Levenshtein, 1966), row by row. */
static unsigned distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    unsigned row[LONGEST + 1];

    for (size_t j = 0; j <= b_len; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= a_len; i++) {
        unsigned diagonal = row[0];

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            unsigned above = row[j];

            row[j] = least(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[b_len];
}

bool near_names(const char *typed, const char *name)
{
    size_t typed_len = strlen(typed), name_len = strlen(name);

    if (typed_len < SHORTEST_PART || typed_len > LONGEST || name_len > LONGEST)
        return false;
    if (strstr(name, typed) || (name_len >= SHORTEST_PART && strstr(typed, name)))
        return true;
    return distance(typed, typed_len, name, name_len) <= MOST;
}
