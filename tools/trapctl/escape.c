// SPDX-License-Identifier: BSD-2-Clause
#include "escape.h"

enum { CTRL_BRACKET = 0x1D, ESC = 0x1B };

static void follow(struct escape *e, char c)
{
    bool number = (c >= '0' && c <= '9') || c == ';';

    if (c == ESC) {
        e->sequence = ESCAPE_BEGUN;
        e->was_in_line = e->in_line;
    } else if (e->sequence == ESCAPE_BEGUN && c == '[') {
        e->sequence = ESCAPE_NUMBERS;
    } else if (e->sequence != ESCAPE_NUMBERS || !number) {
        bool position = e->sequence == ESCAPE_NUMBERS && c == 'R';

        e->sequence = ESCAPE_NONE;
        e->in_line = position ? e->was_in_line : c != '\r' && c != '\n';
        return;
    }
    e->in_line = true;
}

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
        follow(e, c);
    }
    return n;
}
