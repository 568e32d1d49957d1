// SPDX-License-Identifier: BSD-2-Clause
// Commands that are several: `net link`, `disk create`. Their words and what runs them, by the first word.
#pragma once
#include "command.h"

struct verb {
    const char *name; /* NULL ends the table */
    const char *words; /* behind it, for errors */
    unsigned char least, most; /* words behind it */
    int (*run)(struct ctl *c, const struct args *a); /* a's words are those behind it */
};

/* NULL: the first word is none of them. */
const struct verb *verbs_find(const struct verb *table, const struct args *a);
int verbs_run(struct ctl *c, const char *command, const struct verb *verb, const struct args *a);
