// SPDX-License-Identifier: BSD-2-Clause
#include "qmp.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exit.h"

enum { SHOWN = 60 };

static int because(struct qmp *q, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int because(struct qmp *q, int code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(q->why, sizeof(q->why), fmt, ap);
    va_end(ap);
    return code;
}

int qmp_stream_why(struct qmp *q, int result, const char *doing, int timeout_ms)
{
    switch (result) {
    case STREAM_TIMEOUT:
        return because(q, EXIT_LOST,
                       "%s: no answer in %g s (--timeout=SECONDS waits longer; is the machine "
                       "stopped, or very busy?)",
                       doing, timeout_ms / 1000.0);
    case STREAM_TOO_LONG:
        return because(q, EXIT_LOST, "%s: a line of more than %d MiB came: this is no Trapline",
                       doing, STREAM_LINE >> 20);
    case STREAM_INTERRUPTED:
        return because(q, EXIT_INTERRUPTED, "%s: interrupted", doing);
    case STREAM_FAILED:
        return because(q, EXIT_LOST, "%s: %s", doing, strerror(q->stream.error));
    default:
        return because(q, EXIT_LOST, "%s: the machine is gone (powered off, or QEMU ended)", doing);
    }
}

/* ---- messages ---- */

static json_t *parse(const char *line, size_t len)
{
    json_t *j = json_loadb(line, len, JSON_ALLOW_NUL, NULL);

    if (j && !json_is_object(j)) {
        json_decref(j);
        j = NULL;
    }
    return j;
}

bool qmp_is_greeting(const char *line, size_t len, json_t **greeting)
{
    json_t *j = parse(line, len);

    *greeting = json_incref(json_object_get(j, "QMP"));
    json_decref(j);
    if (json_is_object(*greeting))
        return true;
    json_decref(*greeting);
    *greeting = NULL;
    return false;
}

static void keep_event(struct qmp *q, json_t *message)
{
    if (json_array_size(q->events) == QMP_EVENTS)
        json_array_remove(q->events, 0);
    json_array_append(q->events, message);
}

/* The next message: an event is kept, and *message is NULL; an answer is a new reference. Blank lines are nothing.
   0, a stream_result (negative), or an exit code with the reason set. */
static int receive(struct qmp *q, int64_t deadline, json_t **message)
{
    char *line;
    size_t len;
    int result = stream_read_line(&q->stream, deadline, &line, &len);

    *message = NULL;
    if (result || !len)
        return result;
    *message = parse(line, len);
    if (!*message)
        return because(q, EXIT_LOST, "what came is no message of the machine protocol: %.*s", SHOWN,
                       line);
    if (!json_object_get(*message, "event"))
        return 0;
    keep_event(q, *message);
    json_decref(*message);
    *message = NULL;
    return 0;
}

/* Takes an answer's reference. */
static int take_answer(struct qmp *q, json_t *answer, json_t **value)
{
    json_t *error = json_object_get(answer, "error"), *result = json_object_get(answer, "return");
    const char *desc = json_string_value(json_object_get(error, "desc"));
    const char *class = json_string_value(json_object_get(error, "class"));
    int code = EXIT_OK;

    q->unknown = class && !strcmp(class, "CommandNotFound");
    if (error)
        code = because(q, EXIT_REFUSED, "%s%s", desc ? desc : "refused, without a reason",
                       q->unknown ? " (this machine's Trapline is older than trapctl?)" : "");
    else if (!result)
        code = because(q, EXIT_LOST, "an answer came that neither returns nor refuses");
    else if (value)
        *value = json_incref(result);
    json_decref(answer);
    return code;
}

/* ---- commands ---- */

int qmp_send(struct qmp *q, const char *command, json_t *arguments, int timeout_ms, json_int_t *id)
{
    json_t *message = json_object();
    char *text;
    int result;

    *id = ++q->last_id;
    json_object_set_new(message, "execute", json_string(command));
    if (arguments)
        json_object_set_new(message, "arguments", arguments);
    json_object_set_new(message, "id", json_integer(*id));
    text = json_dumps(message, JSON_COMPACT);
    json_decref(message);
    if (!text)
        return because(q, EXIT_LOCAL, "%s: out of memory, or a word that is no UTF-8", command);
    result = stream_write(&q->stream, text, strlen(text), stream_now() + timeout_ms);
    if (!result)
        result = stream_write(&q->stream, "\n", 1, stream_now() + timeout_ms);
    free(text);
    return result ? qmp_stream_why(q, result, command, timeout_ms) : EXIT_OK;
}

int qmp_wait(struct qmp *q, json_int_t id, int timeout_ms, json_t **value)
{
    int64_t deadline = stream_now() + timeout_ms;

    if (value)
        *value = NULL;
    for (;;) {
        json_t *answer, *of;
        int result = receive(q, deadline, &answer);

        if (result)
            return result < 0 ? qmp_stream_why(q, result, "waiting for an answer", timeout_ms)
                              : result;
        if (!answer)
            continue;
        of = json_object_get(answer, "id");
        /* Without an id: to something that could not be read, which can only be the last one sent. */
        if (!of || json_integer_value(of) == id)
            return take_answer(q, answer, value);
        json_decref(answer);
    }
}

int qmp_ask(struct qmp *q, const char *command, json_t *arguments, int timeout_ms, json_t **value)
{
    json_int_t id;
    int code = qmp_send(q, command, arguments, timeout_ms, &id);

    if (value)
        *value = NULL;
    return code ? code : qmp_wait(q, id, timeout_ms, value);
}

int qmp_event(struct qmp *q, int timeout_ms, json_t **event)
{
    int64_t deadline = stream_now() + timeout_ms;

    *event = NULL;
    while (!json_array_size(q->events)) {
        json_t *answer;
        int result = receive(q, deadline, &answer);

        json_decref(answer);
        if (result == STREAM_TIMEOUT)
            return EXIT_OK;
        if (result)
            return result < 0 ? qmp_stream_why(q, result, "waiting for events", timeout_ms)
                              : result;
    }
    *event = json_incref(json_array_get(q->events, 0));
    json_array_remove(q->events, 0);
    return EXIT_OK;
}

/* ---- sessions ---- */

int qmp_begin(struct qmp *q, const struct stream *s, json_t *greeting, int timeout_ms)
{
    *q = (struct qmp){.stream = *s, .greeting = greeting, .events = json_array()};
    return qmp_ask(q, "qmp_capabilities", NULL, timeout_ms, NULL);
}

void qmp_end(struct qmp *q)
{
    /* Nobody sees that a serial line's client has left: this ends the session. */
    if (q->stream.fd >= 0 && !q->stream.is_socket)
        stream_write(&q->stream, QMP_RESTART, 1, stream_now());
    stream_close(&q->stream);
    json_decref(q->events);
    json_decref(q->greeting);
    *q = (struct qmp){.stream = {.fd = -1}};
}
