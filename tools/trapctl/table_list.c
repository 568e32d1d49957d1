// SPDX-License-Identifier: BSD-2-Clause
#include "table_list.h"

void table_list(const json_t *list, const char *const heads[], table_row row, FILE *to)
{
    const json_t *each;
    struct table t;
    size_t i;

    table_begin(&t, heads);
    json_array_foreach(list, i, each) row(&t, each);
    table_end(&t, to);
}
