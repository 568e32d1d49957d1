// SPDX-License-Identifier: BSD-2-Clause
// capture: the frames of a port as pcapng, into a file or a pipe, until Ctrl-C or until whoever reads has left.
// The machine sends whole blocks, so what was written is a good file at any time.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base64.h"
#include "command.h"
#include "exit.h"
#include "memory.h"
#include "port.h"
#include "term.h"
#include "text.h"

struct capture {
    struct ctl *c;
    struct port port;
    json_int_t id;
    const char *path; /* NULL: standard output */
    int fd;
    int64_t until; /* stream_now(); INT64_MAX: no end */
    uint64_t snaplen; /* 0: whole frames */
    uint64_t bytes, frames, lost;
    bool done, reader_left;
    bool ended; /* the last of it has come */
};

static const char *name_of(const struct capture *k)
{
    return k->path ? k->path : "standard output";
}

/* ---- where it goes ---- */

static int file_open(struct capture *k, const char *path)
{
    k->path = path && strcmp(path, "-") ? path : NULL;
    k->fd = STDOUT_FILENO;
    if (!k->path && isatty(STDOUT_FILENO))
        return say_error(EXIT_USAGE,
                         "capture: frames are nothing for a terminal: name a file, or lead it to a "
                         "program (trapctl capture %s - | wireshark -k -i -)",
                         k->port.name);
    if (!k->path)
        return EXIT_OK;
    k->fd = open(k->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    return k->fd < 0 ? say_error(EXIT_LOCAL, "%s: %s", k->path, strerror(errno)) : EXIT_OK;
}

static int file_write(struct capture *k, const unsigned char *data, size_t len)
{
    while (len) {
        ssize_t n = write(k->fd, data, len);

        if (n < 0 && errno == EPIPE) {
            k->reader_left = k->done = true;
            return EXIT_OK;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return say_error(EXIT_LOCAL, "%s: %s", name_of(k), strerror(errno));
        data += n;
        len -= (size_t)n;
        k->bytes += (uint64_t)n;
    }
    return EXIT_OK;
}

/* ---- what comes ---- */

static int take_data(struct capture *k, const json_t *data)
{
    const json_t *text = json_object_get(data, "data");
    size_t len = json_is_string(text) ? json_string_length(text) : 0;
    unsigned char *bytes = memory_grow(NULL, len + 1);
    int code = EXIT_OK;

    k->ended |= json_is_true(json_object_get(data, "end"));
    if (!len || !base64_decode(json_string_value(text), len, bytes, &len))
        code = say_error(EXIT_LOST, "capture: what came is not base64");
    else if (!k->reader_left)
        code = file_write(k, bytes, len);
    free(bytes);
    return code;
}

static int take_event(struct capture *k, const json_t *event)
{
    const char *name = json_string_value(json_object_get(event, "event"));
    const json_t *data = json_object_get(event, "data");

    if (name && !strcmp(name, "CAPTURE_DATA") &&
        json_integer_value(json_object_get(data, "capture")) == k->id)
        return take_data(k, data);
    return EXIT_OK;
}

/* All that has come; afterwards, what is to be written is written. */
static int take_events(struct capture *k)
{
    json_t *event = NULL;
    int code;

    do {
        json_decref(event);
        code = qmp_event(&k->c->qmp, 0, &event);
        if (code == EXIT_INTERRUPTED) {
            k->done = true;
            code = EXIT_OK;
        } else if (code) {
            ctl_failed(k->c, code);
        } else if (event) {
            code = take_event(k, event);
        }
    } while (!code && event);
    json_decref(event);
    return code;
}

/* Also watches whether the reader of a pipe is still there, while nothing comes. */
static void wait_for_more(struct capture *k)
{
    struct pollfd p[2] = {{.fd = k->c->qmp.stream.fd, .events = POLLIN}, {.fd = k->fd}};
    int64_t left = k->until - stream_now();

    if (left <= 0 || stream_interrupted) {
        k->done = true;
        return;
    }
    poll(p, 2, left < 60000 ? (int)left : 60000);
    if (p[1].revents & (POLLERR | POLLNVAL))
        k->reader_left = k->done = true;
}

static int take_until_done(struct capture *k)
{
    int code = EXIT_OK;

    while (!code && !k->done && !k->ended) {
        code = take_events(k);
        if (!code && !k->done && !k->ended)
            wait_for_more(k);
    }
    return code;
}

/* ---- from begin to end ---- */

static int begin(struct capture *k)
{
    json_t *arguments = port_capture_arguments(&k->port), *answer;
    int code;

    if (k->snaplen)
        json_object_set_new(arguments, "snaplen", json_integer((json_int_t)k->snaplen));
    code = ctl_ask(k->c, "capture-open", arguments, &answer);
    if (code)
        return code;
    k->id = json_integer_value(json_object_get(answer, "capture"));
    json_decref(answer);
    say_note("%s: captured to %s until %s", k->port.name, name_of(k),
             k->until < INT64_MAX ? "the time is over, or Ctrl-C" : "Ctrl-C");
    return EXIT_OK;
}

/* What the machine still has of it; a second Ctrl-C gives that up. */
static int take_rest(struct capture *k)
{
    int code;

    k->done = k->reader_left;
    k->until = stream_now() + k->c->timeout_ms;
    code = take_until_done(k);
    if (!code && !k->ended && !k->reader_left)
        code = say_error(EXIT_LOST, "%s: the rest did not come", k->port.name);
    return code;
}

static int end(struct capture *k)
{
    json_t *answer;
    int code;

    stream_interrupted = 0;
    code = ctl_ask(k->c, "capture-close", json_pack("{s:I}", "capture", k->id), &answer);
    if (code)
        return code;
    k->frames = (uint64_t)json_integer_value(json_object_get(answer, "frames"));
    k->lost = (uint64_t)json_integer_value(json_object_get(answer, "lost"));
    json_decref(answer);
    return take_rest(k);
}

static void report(const struct capture *k)
{
    char size[TEXT_NUMBER];

    say_note("%s: %" JSON_INTEGER_FORMAT " frames, %" JSON_INTEGER_FORMAT " lost; %s in %s",
             k->port.name, (json_int_t)k->frames, (json_int_t)k->lost, text_bytes(k->bytes, size),
             name_of(k));
    if (k->c->json && k->path) {
        json_t *j = json_pack("{s:I, s:I, s:I}", "frames", (json_int_t)k->frames, "lost",
                              (json_int_t)k->lost, "bytes", (json_int_t)k->bytes);

        ctl_print_json(j);
        json_decref(j);
    }
}

static void on_end(int sig)
{
    (void)sig;
    stream_interrupted = 1;
}

/* Signals end it in order: the machine is asked for what is left, and for the counts. */
static void catch_signals(const struct capture *k, bool on)
{
    struct sigaction action = {.sa_handler = on ? on_end : SIG_DFL};

    sigaction(SIGTERM, &action, NULL);
    if (!k->c->in_shell)
        sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, on ? SIG_IGN : SIG_DFL);
}

static int run(struct capture *k)
{
    int code;

    catch_signals(k, true); /* who reads that it has begun may send one at once */
    code = begin(k);
    if (!code)
        code = take_until_done(k);
    if (!code && k->ended)
        say_note("%s: the card is gone", k->port.name);
    if (!code)
        code = end(k);
    catch_signals(k, false);
    if (!code)
        report(k);
    return code;
}

int cmd_capture(struct ctl *c, const struct args *a)
{
    struct capture k = {.c = c, .until = INT64_MAX};
    const char *seconds = a->value[CAPTURE_DURATION], *snaplen = a->value[CAPTURE_SNAPLEN];
    unsigned ms;
    int code = port_parse(a->word[0], "capture", true, &k.port);

    if (code)
        return code;
    if (seconds && !text_interval(seconds, &ms))
        return say_error(EXIT_USAGE, "capture: --duration=%s: not a number of seconds, up to 3600",
                         seconds);
    if (snaplen && (!text_u64(snaplen, &k.snaplen) || !k.snaplen || k.snaplen > INT32_MAX))
        return say_error(EXIT_USAGE, "capture: --snaplen=%s: not a number of bytes", snaplen);
    code = file_open(&k, a->words > 1 ? a->word[1] : NULL);
    if (code)
        return code;
    code = ctl_connect(c);
    if (seconds)
        k.until = stream_now() + ms;
    if (!code)
        code = run(&k);
    if (k.path && close(k.fd) && !code)
        code = say_error(EXIT_LOCAL, "%s: %s", k.path, strerror(errno));
    return code;
}
