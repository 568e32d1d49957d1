// SPDX-License-Identifier: BSD-2-Clause
// The host's terminal as the console multiplexer sees it: where the cursor is, the line being
// edited.
// Lock rank: none of its own: console.c calls everything here with its lock held. Callers:
// console.c only.
#pragma once
#include "base/util.h"

enum { TERMINAL_EDIT_MAX = 160, TERMINAL_COLUMNS = 80, TERMINAL_ROWS = 24 };

struct terminal {
    void (*write)(const char *data, size_t len); /* NULL: none yet */
    bool mid_line;      /* the last byte written was no newline */
    bool interactive;   /* somebody typed: escape sequences may be used */
    uint16_t columns, rows;
    char prompt[24];    /* of the line being edited */
    char text[TERMINAL_EDIT_MAX];
    size_t len, cursor;
    bool editing;
    char drawn[TERMINAL_EDIT_MAX + 24]; /* the edited line as it stands on the terminal */
    size_t drawn_len, drawn_cursor;
    bool is_drawn;
};

void terminal_write(struct terminal *t, const char *data, size_t len);
/* A line of ours, on a line of its own; the edited line, if it is drawn, is drawn again below.
 * prefix may be "". */
void terminal_line(struct terminal *t, const char *prefix, const char *line, size_t len);
/* Keeps a copy of the line being edited; text NULL: none. Draws nothing. */
void terminal_set_edit(struct terminal *t, const char *prompt, const char *text, size_t len,
                       size_t cursor);
void terminal_draw_edit(struct terminal *t);
/* Takes it off the terminal (somebody else writes now) or leaves it there as it is and goes below. */
void terminal_erase_edit(struct terminal *t);
void terminal_commit_edit(struct terminal *t);
