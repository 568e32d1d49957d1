// SPDX-License-Identifier: BSD-2-Clause
// Sessions: messages out of a stream of bytes, and their answers back.
#include "ctl/qmp.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "ctl/qmp_command.h"
#include "ctl/upload.h"
#include "mem/heap.h"

enum { FIRST_OUTPUT = 4096, READ_CHUNK = 4096 };
#define GENERIC "GenericError"
#define NOT_FOUND "CommandNotFound"

/* ---- output ---- */

static bool buffer_grow(struct qmp_buffer *b, size_t need)
{
    size_t size = b->size ? b->size : FIRST_OUTPUT;
    char *data;

    while (size < need)
        size *= 2;
    if (size > QMP_OUTPUT || !(data = heap_alloc(size)))
        return false;
    if (b->len)
        memcpy(data, b->data, b->len);
    heap_free(b->data);
    b->data = data;
    b->size = size;
    return true;
}

static void buffer_put(void *ctx, const char *data, size_t len)
{
    struct qmp_buffer *b = ctx;

    if (b->full || (len > b->size - b->len && !buffer_grow(b, b->len + len))) {
        b->full = true;
        return;
    }
    memcpy(b->data + b->len, data, len);
    b->len += len;
}

/* The buffer as it was when it had len bytes. */
static void buffer_cut(struct qmp_buffer *b, size_t len)
{
    b->len = len;
    b->full = false;
}

static struct json_out to_buffer(struct qmp_buffer *b)
{
    return (struct json_out){.put = buffer_put, .ctx = b};
}

bool qmp_flush(struct qmp_session *s)
{
    struct qmp_buffer *b = &s->out;

    while (b->sent < b->len) {
        size_t n = s->write(s->port, b->data + b->sent, b->len - b->sent);

        if (!n)
            return false;
        b->sent += n;
    }
    b->sent = b->len = 0;
    return true;
}

/* ---- answers ---- */

static void put_line_end(struct qmp_session *s) { buffer_put(&s->out, "\r\n", 2); }

static void put_id(struct qmp_session *s, struct json_out *o, int id)
{
    if (id >= 0)
        json_put_copy(o, "id", &s->json, id);
}

/* An answer that does not fit is no answer: this one does, since it begins an empty buffer. */
static void answer_error(struct qmp_session *s, const char *class, const char *desc, int id)
{
    struct json_out o = to_buffer(&s->out);

    json_begin_object(&o, NULL);
    json_begin_object(&o, "error");
    json_put_string(&o, "class", class);
    json_put_string(&o, "desc", desc);
    json_end_object(&o);
    put_id(s, &o, id);
    json_end_object(&o);
    put_line_end(s);
}

static void put_greeting(struct qmp_session *s)
{
    struct json_out o = to_buffer(&s->out);

    json_begin_object(&o, NULL);
    json_begin_object(&o, "QMP");
    qmp_put_version(&o, "version");
    json_begin_array(&o, "capabilities");
    json_end_array(&o);
    json_end_object(&o);
    json_end_object(&o);
    put_line_end(s);
}

/* ---- arguments ---- */

static const char *type_name(enum command_type type)
{
    static const char *const name[] = {"string", "non-negative integer", "boolean", "array", "any"};

    return name[type];
}

static bool has_type(const struct json *j, int i, enum command_type type)
{
    static const enum json_type is[] = {
        [ARG_STRING] = JSON_STRING, [ARG_BOOL] = JSON_BOOL, [ARG_ARRAY] = JSON_ARRAY};
    uint64_t ignored;

    if (type == ARG_INT)
        return !json_u64(j, i, &ignored);
    return type == ARG_ANY || j->value[i].type == is[type];
}

static bool is_known(const struct command *q, const struct json *j, int key)
{
    for (unsigned a = 0; a < COMMAND_ARGS && q->arg[a].name; a++) {
        size_t len = strlen(q->arg[a].name);

        if (j->value[key].end - j->value[key].start == len &&
            !memcmp(j->text + j->value[key].start, q->arg[a].name, len))
            return true;
    }
    return false;
}

static int check_arguments(const struct command *q, struct qmp_call *c)
{
    const struct json *j = c->in;

    for (unsigned i = 0; i < j->count && c->arguments >= 0; i++)
        if (j->value[i].parent == c->arguments && !is_known(q, j, (int)i))
            return qmp_fail(c, -EINVAL, "Parameter '%.*s' is unexpected",
                            (int)min_u64(j->value[i].end - j->value[i].start, 60),
                            j->text + j->value[i].start);
    for (unsigned a = 0; a < COMMAND_ARGS && q->arg[a].name; a++) {
        int i = json_member(j, c->arguments, q->arg[a].name);

        if (i < 0 && !q->arg[a].optional)
            return qmp_fail(c, -EINVAL, "Parameter '%s' is missing", q->arg[a].name);
        if (i >= 0 && !has_type(j, i, q->arg[a].type))
            return qmp_fail(c, -EINVAL, "Invalid parameter type for '%s', expected: %s",
                            q->arg[a].name, type_name(q->arg[a].type));
    }
    return 0;
}

/* ---- commands ---- */

static void execute(struct qmp_session *s, const struct command *q, int arguments, int id)
{
    struct qmp_call c = {.session = s, .in = &s->json, .arguments = arguments};
    struct json_out o = to_buffer(&s->out);
    size_t start = s->out.len, empty;
    int error;

    json_begin_object(&o, NULL);
    buffer_put(&s->out, "\"return\": ", 10);
    empty = s->out.len;
    c.out = &o;
    error = check_arguments(q, &c);
    if (!error)
        error = q->qmp_run(&c);
    if (s->out.len == empty) {
        json_begin_object(&o, NULL);
        json_end_object(&o);
    }
    put_id(s, &o, id);
    json_end_object(&o);
    put_line_end(s);
    if (!error && s->out.full)
        error = qmp_fail(&c, -ENOMEM, "the answer is longer than %d bytes, or memory is short",
                         QMP_OUTPUT);
    if (!error)
        return;
    buffer_cut(&s->out, start);
    answer_error(s, GENERIC, c.desc, id);
}

static void negotiate(struct qmp_session *s, int id)
{
    struct json_out o = to_buffer(&s->out);

    s->negotiated = true;
    json_begin_object(&o, NULL);
    json_begin_object(&o, "return");
    json_end_object(&o);
    put_id(s, &o, id);
    json_end_object(&o);
    put_line_end(s);
}

static void answer_command(struct qmp_session *s, const char *name, int arguments, int id)
{
    const struct command *q = command_find_qmp(name);
    bool is_negotiation = q && !q->qmp_run;
    char desc[120];

    if (is_negotiation && !s->negotiated) {
        negotiate(s, id);
    } else if (is_negotiation) {
        answer_error(s, NOT_FOUND, "Capabilities negotiation is already complete, command ignored",
                     id);
    } else if (!s->negotiated) {
        answer_error(s, NOT_FOUND, "Expecting capabilities negotiation with 'qmp_capabilities'",
                     id);
    } else if (!q) {
        fmt_snprintf(desc, sizeof(desc), "The command %s has not been found", name);
        answer_error(s, NOT_FOUND, desc, id);
    } else {
        execute(s, q, arguments, id);
    }
}

static bool is_member_known(const struct json *j, const struct json_value *v)
{
    static const char *const names[] = {"execute", "arguments", "id"};

    for (unsigned n = 0; n < ARRAY_LEN(names); n++)
        if (v->end - v->start == strlen(names[n]) &&
            !memcmp(j->text + v->start, names[n], strlen(names[n])))
            return true;
    return false;
}

static void answer(struct qmp_session *s)
{
    struct json *j = &s->json;
    int id, arguments, error = json_parse(j, s->message, s->length);
    char name[64];

    if (error) {
        answer_error(s, GENERIC,
                     error == -E2BIG ? "too many values in one message" : "Invalid JSON syntax",
                     -1);
        return;
    }
    id = json_member(j, JSON_ROOT, "id");
    for (unsigned i = 0; i < j->count; i++)
        if (j->value[i].parent == JSON_ROOT && !is_member_known(j, &j->value[i])) {
            answer_error(s, GENERIC,
                         "QMP input has members besides 'execute', 'arguments' and 'id'", id);
            return;
        }
    arguments = json_member(j, JSON_ROOT, "arguments");
    if (json_member(j, JSON_ROOT, "execute") < 0)
        answer_error(s, GENERIC, "QMP input lacks member 'execute'", id);
    else if (json_string(j, json_member(j, JSON_ROOT, "execute"), name, sizeof(name)) < 0)
        answer_error(s, GENERIC,
                     "QMP input member 'execute' must be a string, the name of a command", id);
    else if (arguments >= 0 && j->value[arguments].type != JSON_OBJECT)
        answer_error(s, GENERIC, "QMP input member 'arguments' must be an object", id);
    else
        answer_command(s, name, arguments, id);
}

/* ---- input ---- */

static void message_begins(struct qmp_session *s)
{
    s->depth = 0;
    s->in_string = s->escaped = s->skipping = false;
}

/* The message is the first end bytes of what was read; the rest is what comes next. */
static void message_ends(struct qmp_session *s, size_t end)
{
    s->length = end;
    if (s->skipping)
        answer_error(s, GENERIC, "the message is too long: 65472 bytes at most", -1);
    else
        answer(s);
    s->have -= end;
    memmove(s->message, s->message + end, s->have);
    s->scanned = 0;
    message_begins(s);
}

/* Follows one character outside of strings; true: a value ends with it. An unended string would swallow all that
 * comes, but no JSON string has a line's end in it: so a line's end there, or outside of everything, ends a message. */
static bool follow(struct qmp_session *s, char c)
{
    if (s->in_string) {
        s->in_string = s->escaped || c != '"';
        s->escaped = !s->escaped && c == '\\';
        return c == '\n';
    }
    if (c == '"')
        s->in_string = true;
    else if (c == '{' || c == '[')
        s->depth++;
    else if ((c == '}' || c == ']') && s->depth)
        s->depth--;
    return !s->depth && (c == '}' || c == ']' || c == '\n');
}

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

/* Between messages blanks mean nothing. */
static void drop_blanks(struct qmp_session *s)
{
    size_t n = 0;

    while (n < s->have && is_blank(s->message[n]))
        n++;
    s->have -= n;
    memmove(s->message, s->message + n, s->have);
}

/* Looks for the message's end in what was read. Whether there was one, and it has been answered. */
static bool scan(struct qmp_session *s)
{
    if (!s->scanned && !s->skipping)
        drop_blanks(s);
    while (s->scanned < s->have) {
        const char *at = s->message + s->scanned;

        if (s->in_string && !s->escaped) {
            s->scanned += json_plain_length(at, s->have - s->scanned);
            if (s->scanned == s->have)
                break;
            at = s->message + s->scanned;
        }
        s->scanned++;
        if (follow(s, *at)) {
            message_ends(s, s->scanned);
            return true;
        }
    }
    if (s->have ==
        QMP_MESSAGE) { /* its end may still be the very next byte; but then it is one too many */
        s->skipping = true;
        s->have = s->scanned = 0;
    }
    return false;
}

/* What the session has under way. */
static void give_up_all(struct qmp_session *s)
{
    qmp_detach_all(s);
    qmp_capture_close_all(s);
    upload_close_all(s);
}

/* A client that comes says so within what it sends: of all before it, nothing is left. */
static void look_for_new_session(struct qmp_session *s, size_t read)
{
    size_t from = s->have;

    while (from > s->have - read && s->message[from - 1] != QMP_ANEW)
        from--;
    if (from == s->have - read)
        return;
    give_up_all(s);
    s->have -= from;
    memmove(s->message, s->message + from, s->have);
    s->scanned = 0;
    message_begins(s);
    s->negotiated = false;
    s->lost = 0;
    s->out.len = s->out.sent = 0;
    put_line_end(s); /* what was cut off there is no part of the greeting */
    put_greeting(s);
}

bool qmp_step(struct qmp_session *s)
{
    while (qmp_flush(s)) {
        size_t n;

        if (s->scanned < s->have && scan(s))
            return true;
        n = s->read(s->port, s->message + s->have, min_u64(QMP_MESSAGE - s->have, READ_CHUNK));
        if (!n)
            return false;
        s->have += n;
        if (s->is_line)
            look_for_new_session(s, n);
    }
    return false;
}

/* ---- sessions ---- */

static struct qmp_session *sessions;

struct qmp_session *qmp_first(void) { return sessions; }

int qmp_open(struct qmp_session *s)
{
    s->message = heap_alloc(QMP_MESSAGE);
    if (!s->message)
        return -ENOMEM;
    message_begins(s);
    s->have = s->scanned = 0;
    s->negotiated = s->quiet = false;
    s->lost = 0;
    s->out = (struct qmp_buffer){0};
    s->next = sessions;
    sessions = s;
    put_greeting(s);
    return 0;
}

void qmp_close(struct qmp_session *s)
{
    struct qmp_session **place = &sessions;

    while (*place && *place != s)
        place = &(*place)->next;
    if (*place)
        *place = s->next;
    give_up_all(s);
    heap_free(s->message);
    heap_free(s->out.data);
    s->message = NULL;
    s->out = (struct qmp_buffer){0};
}

void qmp_begin_quietly(struct qmp_session *s)
{
    s->negotiated = s->quiet = true;
    s->out.len = 0;
}

void qmp_end_message(struct qmp_session *s)
{
    if (s->have || s->skipping)
        message_ends(s, s->have);
}

/* ---- events ---- */

bool qmp_gets_events(const struct qmp_session *s) { return s->negotiated && !s->quiet; }

struct json_out qmp_begin_event(struct qmp_session *s, const char *name, uint64_t time_us)
{
    struct json_out o = to_buffer(&s->out);

    s->event_at = s->out.len;
    json_begin_object(&o, NULL);
    json_begin_object(&o, "timestamp");
    json_put_u64(&o, "seconds", time_us / 1000000);
    json_put_u64(&o, "microseconds", time_us % 1000000);
    json_end_object(&o);
    json_put_string(&o, "event", name);
    buffer_put(&s->out, ", \"data\": ", 10);
    o.comma = false;
    return o;
}

void qmp_end_event(struct qmp_session *s, struct json_out *o)
{
    if (s->lost)
        json_put_u64(o, "lost", s->lost);
    json_end_object(o);
    put_line_end(s);
    s->lost = s->out.full ? s->lost + 1 : 0;
    if (s->out.full)
        buffer_cut(&s->out, s->event_at);
}

void qmp_send_event(struct qmp_session *s, const char *name, uint64_t time_us, const char *data,
                    size_t len)
{
    struct json_out o;

    if (!qmp_gets_events(s))
        return;
    o = qmp_begin_event(s, name, time_us);
    buffer_put(&s->out, data, len);
    o.comma = true;
    qmp_end_event(s, &o);
}
