// SPDX-License-Identifier: BSD-2-Clause
// Options of trapctl and of its commands: parsed and explained from the same tables. Pure.
// Options may stand anywhere among a command's words until "--"; --name=value and -vVALUE are understood.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { ARGS_OPTIONS = 8, ARGS_WORDS = 64 };

struct args_option {
    char letter; /* or 0 */
    const char *name; /* without "--"; NULL ends the table */
    const char *value; /* what it takes, as help shows it; NULL: nothing */
    const char *help;
};

struct args {
    /* By place in the table: NULL if not given, "" for an option that takes nothing. */
    const char *value[ARGS_OPTIONS];
    char *word[ARGS_WORDS + 1]; /* what are no options; NULL behind the last */
    int words;
};

/* Where options that a table lacks are looked for; its values are kept apart. */
struct args_set {
    const struct args_option *options;
    struct args *into;
};

/* Parses argv (without the command's name) by two tables, the second may be {NULL}: words go into the first's. With
   until_word, stops before the first word, and returns how many of argv were used. Otherwise argc. -1: why says. */
int args_parse(const struct args_set set[2], int argc, char **argv, bool until_word, char *why,
               size_t size);
/* "  -n, --lines=N    text", a line or more each. */
void args_help(const struct args_option *options, FILE *to);
