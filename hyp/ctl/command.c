// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/command.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "vm/vm.h"

const struct command *command_find(const char *name)
{
    for (unsigned i = 0; i < command_count; i++)
        if (commands[i].name && !strcmp(commands[i].name, name))
            return &commands[i];
    return NULL;
}

const struct command *command_find_qmp(const char *name)
{
    for (unsigned i = 0; i < command_count; i++)
        if (commands[i].qmp_name && !strcmp(commands[i].qmp_name, name))
            return &commands[i];
    return NULL;
}

static void print_list(const struct command_out *out, const char *fmt, va_list ap)
{
    char line[COMMAND_LINE];

    fmt_vsnprintf(line, sizeof(line), fmt, ap);
    out->emit(out->ctx, line);
}

void command_print(const struct command_out *out, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    print_list(out, fmt, ap);
    va_end(ap);
}

int command_fail(const struct command_out *out, int error, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    print_list(out, fmt, ap);
    va_end(ap);
    return error;
}

bool command_number(const char *word, uint64_t *value)
{
    unsigned base = 10;

    *value = 0;
    if (word[0] == '0' && (word[1] == 'x' || word[1] == 'X')) {
        base = 16;
        word += 2;
    }
    if (!*word)
        return false;
    for (; *word; word++) {
        unsigned d = (unsigned)hex_digit(*word); /* of no digit: more than any base */

        if (d >= base || *value > (UINT64_MAX - d) / base)
            return false;
        *value = *value * base + d;
    }
    return true;
}

static bool takes_rest(const char *name)
{
    const struct command *c = command_find(name);

    return c && c->word[0] == WORD_REST;
}

/* -E2BIG: too many words. */
static int split(char *line, char *argv[COMMAND_WORDS])
{
    int argc = 0;

    for (;;) {
        bool quoted;

        while (*line == ' ' || *line == '\t')
            line++;
        if (!*line)
            return argc;
        if (argc == COMMAND_WORDS)
            return -E2BIG;
        if (argc == 1 && takes_rest(argv[0])) {
            argv[argc++] = line;
            return argc;
        }
        quoted = *line == '"';
        line += quoted;
        argv[argc++] = line;
        while (*line && (quoted ? *line != '"' : *line != ' ' && *line != '\t'))
            line++;
        if (*line)
            *line++ = '\0';
    }
}

static void print_usage(const struct command_out *out, const struct command *c)
{
    command_print(out, "usage: %s%s%s", c->name, c->usage[0] ? " " : "", c->usage);
}

int command_run(const struct command_out *out, char *line)
{
    char *argv[COMMAND_WORDS];
    int argc = split(line, argv), result;
    const struct command *c;

    if (argc < 0)
        return command_fail(out, argc, "more than %d words", COMMAND_WORDS);
    if (argc == 0)
        return 0;
    c = command_find(argv[0]);
    if (!c)
        return command_fail(out, -ENOENT, "no command %.40s: `help` lists them", argv[0]);
    result = c->run(out, argc, argv);
    if (result == COMMAND_USAGE) {
        print_usage(out, c);
        return -EINVAL;
    }
    return result;
}

/* A row of the list. A usage that is too long for its column has a line of its own. */
static void print_row(const struct command_out *out, const struct command *c)
{
    enum { COLUMN = 20 };
    bool fits = strlen(c->name) + 1 + strlen(c->usage) <= COLUMN;
    char left[COLUMN + 1] = "";

    if (fits)
        fmt_snprintf(left, sizeof(left), "%s %s", c->name, c->usage);
    else
        command_print(out, "  %s %s", c->name, c->usage);
    command_print(out, "  %-20s %s", left, c->help);
}

int cmd_help(const struct command_out *out, int argc, char *const argv[])
{
    const struct command *one;

    if (argc > 2)
        return COMMAND_USAGE;
    if (argc == 2) {
        one = command_find(argv[1]);
        if (!one)
            return command_fail(out, -ENOENT, "no command %.40s", argv[1]);
        print_usage(out, one);
        command_print(out, "  %s", one->help);
        return 0;
    }
    for (unsigned i = 0; i < command_count; i++) {
        if (commands[i].name)
            print_row(out, &commands[i]);
    }
    command_print(out, "Ctrl-] goes from console to console and back here. Tab completes.");
    command_print(out, "From a second terminal of the host, trapctl does this and more.");
    return 0;
}

/* ---- completion ---- */

static const char *nth_command(unsigned n)
{
    for (unsigned i = 0; i < command_count; i++)
        if (commands[i].name && n-- == 0)
            return commands[i].name;
    return NULL;
}

/* The nth of all words of a kind, or NULL. */
static const char *word_at(enum command_word kind, unsigned n)
{
    static const char *const on_off[] = {"off", "on"};

    switch (kind) {
    case WORD_COMMAND:
        return nth_command(n);
    case WORD_ON_OFF:
        return n < ARRAY_LEN(on_off) ? on_off[n] : NULL;
    case WORD_RESET:
        return n ? NULL : "reset";
    case WORD_NOW:
        return n ? NULL : "now";
    case WORD_FAULT:
        return fault_drill(n);
    default:
        return NULL;
    }
}

static bool complete_vm(const char *have, size_t len, unsigned n, char *to, size_t size)
{
    for (unsigned i = 0; i < VM_MAX; i++) {
        struct vm *vm = vm_at(i);

        if (!vm || strncmp(vm->config.name, have, len) || n-- > 0)
            continue;
        fmt_snprintf(to, size, "%s", vm->config.name);
        return true;
    }
    return false;
}

/* What the word at this offset of the line is. */
static enum command_word word_kind(const char *line, size_t word)
{
    const struct command *c = NULL;
    unsigned before = 0;

    for (size_t at = 0; at < word;) {
        size_t len = 0;

        while (at < word && line[at] == ' ')
            at++;
        while (at + len < word && line[at + len] != ' ')
            len++;
        if (!len)
            break;
        if (before++ == 0)
            for (unsigned i = 0; i < command_count; i++)
                if (commands[i].name && strlen(commands[i].name) == len &&
                    !memcmp(commands[i].name, line + at, len))
                    c = &commands[i];
        at += len;
    }
    if (!before)
        return WORD_COMMAND;
    return c && before <= ARRAY_LEN(c->word) ? c->word[before - 1] : WORD_NONE;
}

bool command_complete(void *ctx, const char *line, size_t word, unsigned n, char *to, size_t size)
{
    enum command_word kind = word_kind(line, word);
    const char *have = line + word, *all;
    size_t len = strlen(have);

    (void)ctx;
    if (kind == WORD_VM)
        return complete_vm(have, len, n, to, size);
    for (unsigned i = 0; (all = word_at(kind, i)); i++) {
        if (strncmp(all, have, len) || n-- > 0)
            continue;
        fmt_snprintf(to, size, "%s", all);
        return true;
    }
    return false;
}
