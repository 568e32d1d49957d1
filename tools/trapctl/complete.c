// SPDX-License-Identifier: BSD-2-Clause
#include "complete.h"

#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "complete_verbs.h"
#include "exit.h"
#include "text.h"

struct sink {
    const char *begin;
    void (*each)(void *ctx, const char *text);
    void *ctx;
};

static void offer(const struct sink *s, const char *text)
{
    if (!strncmp(text, s->begin, strlen(s->begin)))
        s->each(s->ctx, text);
}

/* The "name" of each of what the command lists. Failures are silent: nobody asked for anything. */
static void offer_list(struct ctl *c, const struct sink *s, const char *command)
{
    json_t *list, *each;
    size_t i;

    if (!c->connected || qmp_ask(&c->qmp, command, NULL, COMPLETE_MS, &list))
        return;
    json_array_foreach(list, i, each)
    {
        const char *name = json_string_value(json_object_get(each, "name"));

        if (name)
            offer(s, name);
    }
    json_decref(list);
}

/* The first word of each line of the hypervisor shell's help. */
static void offer_monitor(struct ctl *c, const struct sink *s)
{
    json_t *answer;
    const char *text;
    char *line, *save, *copy;

    if (!c->connected ||
        qmp_ask(&c->qmp, "shell-command", json_pack("{s:s}", "line", "help"), COMPLETE_MS, &answer))
        return;
    text = json_string_value(json_object_get(answer, "output"));
    copy = strdup(text ? text : "");
    for (line = copy ? strtok_r(copy, "\r\n", &save) : NULL; line;
         line = strtok_r(NULL, "\r\n", &save)) {
        line += strspn(line, " ");
        line[strspn(line, "abcdefghijklmnopqrstuvwxyz-")] = '\0';
        if (*line)
            offer(s, line);
    }
    free(copy);
    json_decref(answer);
}

static void offer_options(const struct args_option *o, const struct sink *s)
{
    for (; o && o->name; o++) {
        char text[64];

        snprintf(text, sizeof(text), "--%s%s", o->name, o->value ? "=" : "");
        offer(s, text);
    }
}

static void offer_commands(const struct sink *s)
{
    for (unsigned i = 0; i < command_count; i++)
        if (commands[i].summary)
            offer(s, commands[i].name);
}

static void offer_settings(const struct sink *s)
{
    static const char *const settings[] = {"weight=", "cap=", "cap=off",
                                           "affinity=", "affinity=all"};

    for (unsigned i = 0; i < sizeof(settings) / sizeof(*settings); i++)
        offer(s, settings[i]);
}

/* Whether the option takes the word behind it. */
static bool takes_next(const struct args_option *o, const char *word)
{
    for (; o && o->name; o++)
        if (o->value && ((word[1] == o->letter && o->letter && !word[2]) ||
                         (word[1] == '-' && !strcmp(word + 2, o->name))))
            return true;
    return false;
}

struct words {
    const char *word[ARGS_WORDS];
    int count;
};

/* The command among whole words, and the words that stand behind it. */
static const struct command *find_command(char *const word[], int at, struct words *behind)
{
    const struct command *command = NULL;

    behind->count = 0;
    for (int i = 0; i < at; i++) {
        if (word[i][0] == '-' && word[i][1]) {
            i += takes_next(command_globals, word[i]) ||
                 (command && takes_next(command->options, word[i]));
        } else if (!command) {
            command = command_find(word[i]);
            if (!command)
                return NULL;
        } else if (behind->count < ARGS_WORDS) {
            behind->word[behind->count++] = word[i];
        }
    }
    return command;
}

static void offer_any(void *ctx, const char *text) { offer(ctx, text); }

bool complete(struct ctl *c, char *const word[], int at, void (*each)(void *ctx, const char *text),
              void *ctx)
{
    struct sink s = {word[at], each, ctx};
    const struct command *command;
    struct words behind;
    enum word kind;

    command = find_command(word, at, &behind);
    if (word[at][0] == '-') {
        offer_options(command ? command->options : NULL, &s);
        offer_options(command_globals, &s);
        return false;
    }
    if (!command) {
        offer_commands(&s);
        return false;
    }
    kind = behind.count ? command->rest : command->first;
    if (behind.count >= command->most || kind == WORD_FILE)
        return kind == WORD_FILE;
    if (kind == WORD_COMMAND)
        offer_commands(&s);
    else if (kind == WORD_SETTING)
        offer_settings(&s);
    else if (kind == WORD_VM)
        offer_list(c, &s, "query-vms");
    else if (kind == WORD_EXECUTE)
        offer_list(c, &s, "query-commands");
    else if (kind == WORD_MONITOR)
        offer_monitor(c, &s);
    else if (complete_verbs_knows(kind))
        complete_verbs(c, kind, behind.word, behind.count, offer_any, &s);
    return false;
}

static void print(void *ctx, const char *text)
{
    (void)ctx;
    text_put_safe(stdout, text);
    putchar('\n');
}

/* __complete WORD...: the last one is being typed; those before it come behind "trapctl". For the completion of bash:
   a line for each possibility, "FILES" for files. */
int cmd_complete(struct ctl *c, const struct args *a)
{
    static char *nothing[] = {""};
    char *const *word = a->words ? a->word : nothing;
    int at = a->words ? a->words - 1 : 0;
    struct words behind;
    const struct command *command = find_command(word, at, &behind);

    for (int i = 0; i + 1 < a->words; i++) {
        if (!strncmp(word[i], "--connect=", 10))
            c->connect = word[i] + 10;
        else if (!strcmp(word[i], "--connect") || !strcmp(word[i], "-c"))
            c->connect = word[i + 1];
    }
    c->timeout_ms = COMPLETE_MS;
    if (command && command->first != WORD_NONE && command->first != WORD_FILE &&
        command->first != WORD_COMMAND && word[at][0] != '-')
        (void)ctl_connect(c); /* its complaint is dropped by the caller */
    if (complete(c, word, at, print, NULL))
        puts("FILES");
    return EXIT_OK;
}
