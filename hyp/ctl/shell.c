// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/shell.h"

#include <string.h>

#include "base/log.h"
#include "ctl/command.h"
#include "ctl/console.h"
#include "ctl/lineedit.h"

#define PROMPT "trapline> "
enum { LIST_COLUMN = 12 };

static struct lineedit editor;

/* What comes from bundles and guests must not drive the terminal. One write, so no log line gets
 * between. */
static void shell_emit(void *ctx, const char *line)
{
    char text[COMMAND_LINE + 2];
    size_t n = 0;

    (void)ctx;
    for (size_t len = strnlen(line, COMMAND_LINE); n < len; n++)
        text[n] = (unsigned char)line[n] < ' ' || (unsigned char)line[n] > '~' ? '?' : line[n];
    text[n++] = '\r';
    text[n++] = '\n';
    console_write(console_shell(), text, n);
}

static const struct command_out out = {.emit = shell_emit};

static void show(void) { console_edit(PROMPT, editor.text, editor.len, editor.cursor); }

static void list_completions(void)
{
    char line[LINEEDIT_MAX], word[LINEEDIT_MAX], row[80];
    size_t from = lineedit_word(&editor);
    int at = 0;

    memcpy(line, editor.text, editor.cursor);
    line[editor.cursor] = '\0';
    console_edit(NULL, NULL, 0, 0);
    for (unsigned n = 0; command_complete(NULL, line, from, n, word, sizeof(word)); n++) {
        if (at && (size_t)at + strlen(word) + 2 > sizeof(row)) {
            shell_emit(NULL, row);
            at = 0;
        }
        at += fmt_snprintf(row + at, sizeof(row) - (size_t)at, "%-*.*s ", LIST_COLUMN, 60, word);
    }
    if (at)
        shell_emit(NULL, row);
}

static void run(void)
{
    char line[LINEEDIT_MAX];

    console_edit(NULL, NULL, 0, 0);
    memcpy(line, editor.text, editor.len + 1);
    lineedit_clear(&editor, true);
    (void)command_run(&out, line); /* it has said what went wrong */
}

static void handle(enum lineedit_event event)
{
    switch (event) {
    case LINEEDIT_ENTER:
        run();
        break;
    case LINEEDIT_CANCEL:
        console_edit(NULL, NULL, 0, 0);
        lineedit_clear(&editor, false);
        break;
    case LINEEDIT_END:
        console_edit(NULL, NULL, 0, 0);
        shell_emit(NULL,
                   "Ctrl-] leaves this shell for the next console; `poweroff` ends everything");
        break;
    case LINEEDIT_LIST:
        list_completions();
        break;
    case LINEEDIT_REDRAW:
        console_clear_screen();
        break;
    case LINEEDIT_NONE:
    case LINEEDIT_BELL:
        return;
    case LINEEDIT_CHANGED:
        break;
    }
    show();
}

int shell_init(void (*wake)(void))
{
    int error = console_shell_start(wake);

    if (error)
        return error;
    lineedit_init(&editor, command_complete, NULL);
    show();
    return 0;
}

void shell_step(void)
{
    char key;

    console_deliver();
    while (console_read(console_shell(), &key, 1)) {
        handle(lineedit_key(&editor, key));
        console_deliver(); /* a command may have taken long */
    }
}
