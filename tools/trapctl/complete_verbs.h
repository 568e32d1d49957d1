// SPDX-License-Identifier: BSD-2-Clause
// Completion of commands that are several (net, disk), and of ports: by the words before, from what the machine has.
// Callers: complete.c.
#pragma once
#include "command.h"

/* Whether there is something for words of this kind here. */
bool complete_verbs_knows(enum word kind);
/* All that may stand behind these words of the command, whatever it begins with. */
void complete_verbs(struct ctl *c, enum word kind, const char *const behind[], int count,
                    void (*offer)(void *ctx, const char *text), void *ctx);
