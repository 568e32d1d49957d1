// SPDX-License-Identifier: BSD-2-Clause
// Answers as people read them. What the hypervisor's own shell prints already well is taken from it.
#pragma once
#include "ctl.h"

/* Asks the command (taking over its arguments), which says whether it can be done; then prints its value as JSON, or what
   the hypervisor's shell prints for the line. 0, or an exit code, said. */
int show(struct ctl *c, const char *command, json_t *arguments, const char *line, ...)
    __attribute__((format(printf, 4, 5)));
/* Asks the command, and prints the string, or the list of lines, that its value has as this member. */
int show_member(struct ctl *c, const char *command, json_t *arguments, const char *member);
