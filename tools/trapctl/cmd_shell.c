// SPDX-License-Identifier: BSD-2-Clause
// shell: a prompt for trapctl's commands, over one session. Lines are edited by libedit, through its readline interface.
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <editline/readline.h>

#include "command.h"
#include "complete.h"
#include "exit.h"
#include "memory.h"
#include "term.h"
#include "text.h"

enum { HISTORY = 1000 };

static struct ctl *ctl_of_shell; /* readline's callbacks get no context */
static sigjmp_buf prompt_again;
static volatile sig_atomic_t at_prompt;

/* ---- completion ---- */

static struct {
    char **text;
    size_t count, next;
} found;

static void collect(void *ctx, const char *text)
{
    (void)ctx;
    found.text = memory_grow(found.text, (found.count + 1) * sizeof(*found.text));
    found.text[found.count++] = memory_copy(text);
}

static void find_all(const char *text, int start)
{
    char *line = memory_print("%.*s", start, rl_line_buffer), *word[ARGS_WORDS + 2];
    int count = text_split(line, word, ARGS_WORDS);

    while (found.count > found.next) /* those that were not taken */
        free(found.text[--found.count]);
    found.count = found.next = 0;
    if (count >= 0) {
        word[count] = memory_copy(text);
        complete(ctl_of_shell, word, count, collect, NULL);
        free(word[count]);
    }
    free(line);
    rl_completion_append_character = ' ';
    if (found.count == 1 && found.text[0][0] && found.text[0][strlen(found.text[0]) - 1] == '=')
        rl_completion_append_character = '\0'; /* its value follows */
}

static int word_start;

static char *generate(const char *text, int state)
{
    if (!state)
        find_all(text, word_start);
    return found.next < found.count ? found.text[found.next++] : NULL;
}

static char **attempt(const char *text, int start, int end)
{
    char *line = memory_print("%.*s", start, rl_line_buffer), *word[2];
    bool file;

    (void)end;
    word_start = start;
    file = text_split(line, word, 2) == 1 && !strcmp(word[0], "run");
    free(line);
    rl_attempted_completion_over = !file;
    return file ? NULL : rl_completion_matches(text, generate);
}

/* ---- history ---- */

/* A new string; NULL: there is no place for it. */
static char *history_path(bool make)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    char *folder, *path;

    if (state && *state)
        folder = memory_print("%s/trapctl", state);
    else if (home && *home)
        folder = memory_print("%s/.local/state/trapctl", home);
    else
        return NULL;
    for (char *s = folder + 1; make && *s; s++)
        if (*s == '/') {
            *s = '\0';
            mkdir(folder, 0700);
            *s = '/';
        }
    if (make)
        mkdir(folder, 0700);
    path = memory_print("%s/history", folder);
    free(folder);
    return path;
}

static void history_keep(bool save)
{
    char *path = history_path(save);

    if (path && save)
        write_history(path);
    else if (path)
        read_history(path);
    free(path);
}

/* ---- lines ---- */

static void put_commands(void)
{
    for (unsigned i = 0; i < command_count; i++)
        if (commands[i].summary && commands[i].run != cmd_shell)
            printf("  %-10s %s\n", commands[i].name, commands[i].summary);
    puts("  !LINE      a line for the hypervisor's own shell (!help lists its commands)\n"
         "  exit       leave (or Ctrl-D)\n\n`help COMMAND` explains one.");
}

static int run_line(struct ctl *c, char *line, bool *leave)
{
    char *word[ARGS_WORDS + 1];
    int count;

    line += strspn(line, " \t");
    if (*line == '!')
        return ctl_monitor(c, line + 1);
    if (*line == '#')
        return EXIT_OK;
    count = text_split(line, word, ARGS_WORDS);
    if (count < 0)
        return say_error(EXIT_USAGE, "a quote is not ended, or the line has too many words");
    if (!count)
        return EXIT_OK;
    if (!strcmp(word[0], "exit") || !strcmp(word[0], "quit")) {
        *leave = true;
        return EXIT_OK;
    }
    if (!strcmp(word[0], "help") && count == 1) {
        put_commands();
        return EXIT_OK;
    }
    if (!strcmp(word[0], "shell"))
        return say_error(EXIT_USAGE, "this is the shell");
    word[count] = NULL;
    return command_run(c, count, word);
}

/* Ctrl-C gives up the line, as in any shell. */
static void on_interrupt(int sig)
{
    (void)sig;
    if (at_prompt)
        siglongjmp(prompt_again, 1);
}

static char *read_prompt(void)
{
    char *line;

    if (sigsetjmp(prompt_again, 1)) {
        rl_deprep_terminal(); /* readline() has not come to it */
        term_restore();
        putchar('\n');
    }
    term_catch_interrupt(true);
    (void)term_guard();
    signal(SIGINT, on_interrupt);
    at_prompt = 1;
    line = readline("trapctl> ");
    at_prompt = 0;
    term_restore();
    return line;
}

static int run_prompt(struct ctl *c)
{
    bool leave = false;
    int code = EXIT_OK;
    char *line;

    ctl_of_shell = c;
    rl_readline_name = "trapctl";
    rl_catch_signals = 0;
    rl_attempted_completion_function = attempt;
    rl_completer_word_break_characters = " \t";
    using_history();
    stifle_history(HISTORY);
    history_keep(false);
    printf("%s; `help` lists commands, exit leaves\n", c->where);
    while (!leave && (line = read_prompt())) {
        if (*line)
            add_history(line);
        term_catch_interrupt(true);
        code = run_line(c, line, &leave);
        stream_interrupted = 0;
        fflush(stdout);
        free(line);
    }
    if (!leave)
        putchar('\n');
    history_keep(true);
    return leave || code == EXIT_OK ? EXIT_OK : code;
}

/* Standard input is a script: it stops at the first line that fails. */
static int run_script(struct ctl *c)
{
    bool leave = false;
    int code = EXIT_OK;
    char *line = NULL;
    size_t room = 0;
    ssize_t n;

    while (!code && !leave && (n = getline(&line, &room, stdin)) >= 0) {
        if (n && line[n - 1] == '\n')
            line[n - 1] = '\0';
        code = run_line(c, line, &leave);
    }
    free(line);
    return code;
}

int cmd_shell(struct ctl *c, const struct args *a)
{
    int code = ctl_connect(c);

    (void)a;
    if (code)
        return code;
    c->in_shell = true;
    code = isatty(STDIN_FILENO) ? run_prompt(c) : run_script(c);
    c->in_shell = false;
    return code;
}
