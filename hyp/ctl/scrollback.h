// SPDX-License-Identifier: BSD-2-Clause
// The last bytes of a console's output: a ring, shown again to whoever gets the terminal, read by whoever is attached.
// Lock rank: none of its own: console.c calls everything here with its lock held. Callers: console.c only.
#pragma once
#include "ctl/terminal.h"

enum { SCROLLBACK = 16384 };

struct scrollback {
    char *bytes; /* SCROLLBACK of them; byte n of all output is at n % SCROLLBACK */
    uint64_t written; /* ever */
};

void scrollback_append(struct scrollback *s, const char *data, size_t len);
/* Whole lines, as many as are wanted and there (a start in the middle of an escape sequence would show rubbish), without
 * the sequences that ask the terminal something. */
void scrollback_replay(const struct scrollback *s, struct terminal *t);
/* See console_history. */
size_t scrollback_read(const struct scrollback *s, uint64_t *at, char *to, size_t max);
