// SPDX-License-Identifier: BSD-2-Clause
// console: what a VM has written, then what it writes; and what is typed, to it. Input waits here while the VM does not
// read, up to a bound; the way out is found in it at once.
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "escape.h"
#include "exit.h"
#include "term.h"
#include "text.h"

enum { TYPED_MAX = 65536, WRITE_MAX = 512, READ_MAX = 1024, RETRY_MS = 50 };

struct console {
    struct ctl *c;
    const char *vm;
    bool terminal, leave, gone, input_ended;
    struct escape escape;
    char typed[TYPED_MAX]; /* for the VM, not sent yet */
    size_t count;
    json_int_t next; /* position of the output that comes next; -1: not known */
    int64_t retry_at; /* when the VM had no room: not before this */
};

/* A line of trapctl's own, between the VM's output. */
static void note(const struct console *k, const char *text)
{
    if (!k->c->quiet)
        fprintf(stderr, "%s[trapctl: %s: %s]%s", k->terminal ? "\r\n" : "", k->vm, text,
                k->terminal ? "\r\n" : "\n");
}

/* ---- output ---- */

static int put_output(struct console *k, const json_t *data)
{
    const json_t *text = json_object_get(data, "data");
    const json_t *position = json_object_get(data, "position"),
                 *next = json_object_get(data, "next");
    const char *s = json_string_value(text);
    size_t len = s ? json_string_length(text) : 0;

    if (position && k->next >= 0 && json_integer_value(position) > k->next)
        note(k, "some output was lost here: this terminal is too slow");
    if (next)
        k->next = json_integer_value(next);
    if (fwrite(s ? s : "", 1, len, stdout) != len || fflush(stdout))
        return say_error(EXIT_LOCAL, "standard output: %s", strerror(errno));
    return EXIT_OK;
}

static int take_event(struct console *k, const json_t *event)
{
    const json_t *data = json_object_get(event, "data");
    const char *name = json_string_value(json_object_get(event, "event"));
    const char *vm = json_string_value(json_object_get(data, "vm"));

    if (!name || !vm || strcmp(vm, k->vm))
        return EXIT_OK;
    if (!strcmp(name, "CONSOLE_OUTPUT"))
        return put_output(k, data);
    if (!strcmp(name, "SHUTDOWN"))
        note(k, k->terminal ? "off; Ctrl-] leaves" : "off");
    else if (!strcmp(name, "GUEST_PANICKED"))
        note(k, "crashed: `trapctl report` says how");
    else if (!strcmp(name, "VM_DESTROYED")) {
        note(k, "removed");
        k->gone = true;
    }
    return EXIT_OK;
}

static int take_events(struct console *k)
{
    int code;

    for (;;) {
        json_t *event;

        code = qmp_event(&k->c->qmp, 0, &event);
        if (code)
            return ctl_failed(k->c, code);
        if (!event)
            return EXIT_OK;
        code = take_event(k, event);
        json_decref(event);
        if (code)
            return code;
    }
}

/* ---- input ---- */

static void read_input(struct console *k)
{
    char in[READ_MAX], filtered[2 * READ_MAX];
    ssize_t n = read(STDIN_FILENO, in, sizeof(in));
    size_t len;

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {
        k->input_ended = true;
        k->leave |= k->terminal;
        return;
    }
    if (k->terminal) {
        len = escape_filter(&k->escape, in, (size_t)n, filtered, &k->leave);
    } else {
        memcpy(filtered, in, (size_t)n);
        len = (size_t)n;
    }
    /* What the VM does not read for so long is given up; only a terminal's user can type on regardless. */
    if (len > TYPED_MAX - k->count) {
        note(k, "it does not read: what was typed is dropped");
        return;
    }
    memcpy(k->typed + k->count, filtered, len);
    k->count += len;
}

/* Sends some of what was typed. JSON has no bytes, and the console takes no NUL. */
static int send_input(struct console *k)
{
    char part[WRITE_MAX];
    size_t len = k->count < WRITE_MAX ? k->count : WRITE_MAX, whole;
    json_t *value;
    json_int_t written;
    int code;

    memcpy(part, k->typed, len);
    whole = text_whole_utf8(part, len);
    if (!whole && (k->input_ended || len == WRITE_MAX))
        whole = len, memset(part, '?', len);
    if (!whole) {
        k->retry_at = stream_now() + RETRY_MS; /* the rest of a character has yet to come */
        return EXIT_OK;
    }
    for (size_t i = 0; i < whole; i++)
        if (!part[i])
            part[i] = '?';
    code = qmp_ask(&k->c->qmp, "console-write",
                   json_pack("{s:s, s:s%}", "vm", k->vm, "data", part, whole), k->c->timeout_ms,
                   &value);
    if (code)
        return ctl_failed(k->c, code);
    written = json_integer_value(json_object_get(value, "written"));
    json_decref(value);
    if (written < 0 || (size_t)written > whole)
        written = (json_int_t)whole;
    k->count -= (size_t)written;
    memmove(k->typed, k->typed + written, k->count);
    k->retry_at = (size_t)written < whole ? stream_now() + RETRY_MS : 0;
    return EXIT_OK;
}

/* ---- the loop ---- */

/* Until something can be done. */
static void wait_for_something(struct console *k)
{
    bool read_more = !k->input_ended && (k->terminal || k->count < TYPED_MAX - 2 * READ_MAX);
    struct pollfd p[2] = {{.fd = k->c->qmp.stream.fd, .events = POLLIN},
                          {.fd = read_more ? STDIN_FILENO : -1, .events = POLLIN}};
    int64_t left = k->retry_at - stream_now();
    int wait = !k->count ? -1 : left > 0 ? (int)left : 0;

    if (stream_has_line(&k->c->qmp.stream))
        wait = 0;
    if (poll(p, 2, wait) < 0)
        return;
    if (p[1].revents)
        read_input(k);
}

static int talk(struct console *k)
{
    int code = EXIT_OK;

    while (!code && !k->leave && !k->gone) {
        code = take_events(k);
        if (!code && !k->gone && k->count && stream_now() >= k->retry_at)
            code = send_input(k);
        if (!code && !k->gone && !json_array_size(k->c->qmp.events))
            wait_for_something(k);
    }
    /* What was typed before the way out is for the VM still, as far as it has room. */
    for (k->retry_at = 0; !code && !k->gone && k->count && !k->retry_at;)
        code = send_input(k);
    return code;
}

int cmd_console(struct ctl *c, const struct args *a)
{
    struct console *k = calloc(1, sizeof(*k));
    int code;

    if (!k)
        return say_error(EXIT_LOCAL, "out of memory");
    *k = (struct console){.c = c, .vm = a->word[0], .next = -1};
    k->terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    code = ctl_ask(c, "console-attach", ctl_vm(k->vm), NULL);
    if (!code) {
        if (k->terminal)
            note(k, "its console; Ctrl-] leaves");
        if (k->terminal)
            code = term_raw(TERM_RAW);
        if (!code)
            code = talk(k);
        /* A message after the terminal is itself again looks as it should. */
        term_restore();
        if (k->terminal && !c->quiet)
            fprintf(stderr, "\n[trapctl: left the console of %s]\n", k->vm);
        if (!code && c->in_shell && c->connected && !k->gone)
            code = ctl_ask(c, "console-detach", ctl_vm(k->vm), NULL);
    }
    free(k);
    return code;
}
