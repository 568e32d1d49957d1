// SPDX-License-Identifier: BSD-2-Clause
#include "escape.h"

enum { CTRL_BRACKET = 0x1D };

size_t escape_filter(struct escape *e, const char *data, size_t len, char *to, bool *leave)
{
    size_t n = 0;

    *leave = false;
    for (size_t i = 0; i < len; i++) {
        char c = data[i];
        bool was_tilde = e->tilde;

        e->tilde = false;
        if (c == CTRL_BRACKET || (was_tilde && c == '.')) {
            *leave = true;
            return n;
        }
        if (c == '~' && !e->in_line && !was_tilde) {
            e->tilde = true;
            continue;
        }
        if (was_tilde && c != '~')
            to[n++] = '~'; /* it was one after all */
        to[n++] = c;
        e->in_line = c != '\r' && c != '\n';
    }
    return n;
}
