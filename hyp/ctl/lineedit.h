// SPDX-License-Identifier: BSD-2-Clause
// One line of text, edited by keys: pure, it draws nothing and waits for nothing. Keys:
// printable ASCII; arrows, Home, End, Delete; Ctrl-A E B F (move), H K U W D (delete), P N
// (history), L (clear), C (give up); Tab.
// Invariants: len <= LINEEDIT_MAX - 1, cursor <= len, text is printable ASCII and always
// terminated.
// Lock rank: none. Callers: shell.c, host tests.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LINEEDIT_MAX = 160, LINEEDIT_HISTORY = 1024, LINEEDIT_SEQUENCE = 8 };

enum lineedit_event {
    LINEEDIT_NONE,    /* nothing to draw */
    LINEEDIT_CHANGED, /* text or cursor changed */
    LINEEDIT_BELL,    /* the key can do nothing here */
    LINEEDIT_ENTER,   /* the line is in text; call lineedit_clear when it is used */
    LINEEDIT_CANCEL,  /* Ctrl-C: text is what was given up; as after ENTER */
    LINEEDIT_END,     /* Ctrl-D on an empty line */
    LINEEDIT_REDRAW,  /* Ctrl-L */
    LINEEDIT_LIST,    /* Tab: several completions, show them */
};

/* The nth completion of what stands before the cursor: the whole word, and true; false: no more.
 * word is where the word to complete begins in line, which ends at the cursor. */
typedef bool (*lineedit_complete_fn)(void *ctx, const char *line, size_t word, unsigned n, char *to,
                                     size_t size);

struct lineedit {
    char text[LINEEDIT_MAX];
    size_t len, cursor;
    lineedit_complete_fn complete; /* may be NULL */
    void *complete_ctx;
    char history[LINEEDIT_HISTORY]; /* lines, oldest first, each terminated */
    size_t history_len;
    size_t browsing;                /* offset of the line shown; history_len: the new line */
    char kept[LINEEDIT_MAX];        /* the new line while an old one is shown */
    char sequence[LINEEDIT_SEQUENCE]; /* an escape sequence so far */
    uint8_t sequence_len;
    bool after_cr;                  /* CR LF is one Enter */
};

void lineedit_init(struct lineedit *e, lineedit_complete_fn complete, void *ctx);
enum lineedit_event lineedit_key(struct lineedit *e, char key);
/* Puts the line into the history (unless empty or the same as the last) and begins a new one. */
void lineedit_clear(struct lineedit *e, bool remember);
/* Where the word before the cursor begins. */
size_t lineedit_word(const struct lineedit *e);
