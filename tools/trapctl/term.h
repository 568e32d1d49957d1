// SPDX-License-Identifier: BSD-2-Clause
// The terminal: its size, raw input, the whole screen; and that it is as it was when trapctl ends, however it ends.
// Invariant: between term_raw and term_restore every way out (exit, signals) restores it; stopped by Ctrl-Z it is
// restored too, and taken again afterwards (term_changed says so).
#pragma once
#include <signal.h>
#include <stdbool.h>

enum { TERM_RAW = 1, TERM_SIGNALS = 2, TERM_SCREEN = 4 };

/* Columns and rows of the terminal on standard output; 80 x 24 if it has none. */
void term_size(unsigned *columns, unsigned *rows);
/* Input by single keys, without echo; with TERM_SIGNALS, Ctrl-C and the like remain signals; with TERM_SCREEN, the
   alternate screen without a cursor. 0, or an exit code, said. */
int term_raw(int flags);
/* The same restoring for one whose settings somebody else changes (libedit). */
int term_guard(void);
void term_restore(void);
/* Whether the size, or what is on the screen, has changed since the last call (SIGWINCH, SIGCONT). */
bool term_changed(void);
/* Ctrl-C only sets stream_interrupted (in the shell, where it ends a command), or ends trapctl again. */
void term_catch_interrupt(bool on);
