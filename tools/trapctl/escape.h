// SPDX-License-Identifier: BSD-2-Clause
// What is typed at a console: which of it is for the VM, and which for trapctl. Pure.
// Ctrl-] leaves anywhere; "~." leaves at the beginning of a line, "~~" there is one "~". Where the cursor is, which the
// terminal answers when a guest's shell asks at each prompt (ESC [ row ; column R), is nothing typed.
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct escape {
    bool in_line; /* something was typed since the last line's end */
    bool tilde; /* a "~" at a line's beginning waits for what follows */
    enum { ESCAPE_NONE, ESCAPE_BEGUN, ESCAPE_NUMBERS } sequence;
    bool was_in_line; /* before the sequence */
};

/* Puts what is for the VM into to, which has room for 2 * len bytes; *leave: the rest is nothing. Bytes in to. */
size_t escape_filter(struct escape *e, const char *data, size_t len, char *to, bool *leave);
