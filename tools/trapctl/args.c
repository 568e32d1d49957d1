// SPDX-License-Identifier: BSD-2-Clause
#include "args.h"

#include <string.h>

struct found {
    const struct args_option *option;
    const char **value; /* where it goes */
};

static struct found found_at(const struct args_set *s, unsigned i)
{
    return (struct found){&s->options[i], &s->into->value[i]};
}

static struct found find_name(const struct args_set set[2], const char *name, size_t len)
{
    for (unsigned k = 0; k < 2; k++)
        for (unsigned i = 0; set[k].options && set[k].options[i].name; i++)
            if (strlen(set[k].options[i].name) == len && !memcmp(set[k].options[i].name, name, len))
                return found_at(&set[k], i);
    return (struct found){0};
}

static struct found find_letter(const struct args_set set[2], char letter)
{
    for (unsigned k = 0; k < 2; k++)
        for (unsigned i = 0; set[k].options && set[k].options[i].name; i++)
            if (letter && set[k].options[i].letter == letter)
                return found_at(&set[k], i);
    return (struct found){0};
}

/* One of argv that begins with "--"; how many were used, or -1. */
static int parse_long(const struct args_set set[2], int argc, char **argv, char *why, size_t size)
{
    const char *name = argv[0] + 2, *equals = strchr(name, '=');
    size_t len = equals ? (size_t)(equals - name) : strlen(name);
    struct found f = find_name(set, name, len);

    if (!f.option) {
        snprintf(why, size, "there is no option --%.*s", (int)len, name);
        return -1;
    }
    if (!f.option->value) {
        if (equals)
            snprintf(why, size, "--%s takes no value", f.option->name);
        *f.value = "";
        return equals ? -1 : 1;
    }
    if (!equals && argc < 2) {
        snprintf(why, size, "--%s wants a value: --%s=%s", f.option->name, f.option->name,
                 f.option->value);
        return -1;
    }
    *f.value = equals ? equals + 1 : argv[1];
    return equals ? 1 : 2;
}

/* One of argv that begins with one "-". */
static int parse_letters(const struct args_set set[2], int argc, char **argv, char *why,
                         size_t size)
{
    for (const char *s = argv[0] + 1; *s; s++) {
        struct found f = find_letter(set, *s);

        if (!f.option) {
            snprintf(why, size, "there is no option -%c", *s);
            return -1;
        }
        if (!f.option->value) {
            *f.value = "";
            continue;
        }
        if (!s[1] && argc < 2) {
            snprintf(why, size, "-%c wants a value (%s)", *s, f.option->value);
            return -1;
        }
        *f.value = s[1] ? s + 1 : argv[1];
        return s[1] ? 1 : 2;
    }
    return 1;
}

int args_parse(const struct args_set set[2], int argc, char **argv, bool until_word, char *why,
               size_t size)
{
    struct args *words = set[0].into;
    bool options = true;

    for (int i = 0; i < argc;) {
        int used = 1;

        if (options && !strcmp(argv[i], "--")) {
            options = false;
        } else if (options && argv[i][0] == '-' && argv[i][1]) {
            used = argv[i][1] == '-' ? parse_long(set, argc - i, argv + i, why, size)
                                     : parse_letters(set, argc - i, argv + i, why, size);
            if (used < 0)
                return -1;
        } else if (until_word) {
            return i;
        } else if (words->words == ARGS_WORDS) {
            snprintf(why, size, "more than %d words", ARGS_WORDS);
            return -1;
        } else {
            words->word[words->words++] = argv[i];
            words->word[words->words] = NULL;
        }
        i += used;
    }
    return argc;
}

void args_help(const struct args_option *options, FILE *to)
{
    for (const struct args_option *o = options; o && o->name; o++) {
        char left[64], letter[] = {'-', o->letter, ',', '\0'};

        snprintf(left, sizeof(left), "%-3s --%s%s%s", o->letter ? letter : "", o->name,
                 o->value ? "=" : "", o->value ? o->value : "");
        fprintf(to, "  %-24s %s\n", left, o->help);
    }
}
