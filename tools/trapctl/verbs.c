// SPDX-License-Identifier: BSD-2-Clause
#include "verbs.h"

#include <string.h>

#include "exit.h"

const struct verb *verbs_find(const struct verb *table, const struct args *a)
{
    for (; a->words && table->name; table++)
        if (!strcmp(table->name, a->word[0]))
            return table;
    return NULL;
}

int verbs_run(struct ctl *c, const char *command, const struct verb *verb, const struct args *a)
{
    struct args behind = *a;

    behind.words = a->words - 1;
    memmove(behind.word, behind.word + 1, sizeof(behind.word) - sizeof(*behind.word));
    if (behind.words < verb->least || behind.words > verb->most)
        return say_error(EXIT_USAGE,
                         "%s %s: too %s words (usage: trapctl %s %s %s; trapctl %s --help)",
                         command, verb->name, behind.words < verb->least ? "few" : "many", command,
                         verb->name, verb->words, command);
    return verb->run(c, &behind);
}
