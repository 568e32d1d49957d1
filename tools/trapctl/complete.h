// SPDX-License-Identifier: BSD-2-Clause
// What could stand next in a command line: for bash's completion and for trapctl's own prompt.
#pragma once
#include "ctl.h"

enum { COMPLETE_MS = 1500 }; /* the machine may be busy; who types is not kept waiting */

/* Calls each with every word that could take the place of word[at], which is what was typed of it so far; word[0] to
   word[at - 1] are whole, the first is a command or an option. Names come from the machine, if it answers at once.
   A word that ends in '=' is followed by no blank. Returns whether files could stand there. */
bool complete(struct ctl *c, char *const word[], int at, void (*each)(void *ctx, const char *text),
              void *ctx);
