// SPDX-License-Identifier: BSD-2-Clause
// The protocol's commands about captures, and the events by which a session gets what they took.
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "ctl/base64.h"
#include "ctl/qmp.h"
#include "ctl/qmp_command.h"
#include "mem/heap.h"
#include "net/capture.h"
#include "net/switch.h"
#include "vm/vm_account.h"

enum { SNAPLEN = NET_FRAME_MAX }; /* unless told otherwise: all of a frame */
/* Bytes of JSON that may wait for a client while more is added: an event has room behind them. */
enum { MOST_WAITING = QMP_OUTPUT / 4, PIECE = 3 * 192 };
_Static_assert(MOST_WAITING + CAPTURE_BLOCK / 3 * 4 + 4096 < QMP_OUTPUT, "an event finds room");

struct qmp_capture {
    struct qmp_capture *next;
    unsigned id;
    bool closed; /* by its session: the last event ends it */
    struct capture *capture;
    uint8_t data[CAPTURE_BLOCK];
};

static void (*wake_reader)(void);
static void ready(void) { wake_reader(); }
void qmp_capture_start(void (*wake)(void)) { wake_reader = wake; }

static void drop(struct qmp_capture **place)
{
    struct qmp_capture *q = *place;

    switch_uncapture(q->capture);
    capture_free(q->capture);
    *place = q->next;
    heap_free(q);
}

void qmp_capture_close_all(struct qmp_session *s)
{
    while (s->captures)
        drop(&s->captures);
}

/* ---- commands ---- */

/* The port that is meant: a card's name, or "" for the uplink of "net". */
static int arg_port(struct qmp_call *c, char name[PORT_NAME_MAX])
{
    char word[16] = "", net[SWITCH_NAME] = "";
    struct switch_info info;

    if (qmp_arg(c, "vm") >= 0 && qmp_arg(c, "device") >= 0 && qmp_arg(c, "net") < 0 &&
        qmp_arg(c, "port") < 0)
        return qmp_arg_card(c, name);
    name[0] = '\0';
    if (qmp_arg(c, "net") < 0 || qmp_arg(c, "vm") >= 0 || qmp_arg(c, "device") >= 0 ||
        !qmp_arg_string(c, "port", word, sizeof(word)) || strcmp(word, "uplink"))
        return qmp_fail(c, -EINVAL,
                        "either 'vm' and 'device', or 'net' and 'port', which is \"uplink\"");
    qmp_arg_string(c, "net", net, sizeof(net));
    for (unsigned n = 0; switch_get(n, &info); n++)
        if (!strcmp(info.config.name, net))
            return info.uplink ? 0 : qmp_fail(c, -ENOENT, "%s: it has no uplink", net);
    return qmp_fail(c, -ENOENT, "no switch has this name, or no card is on it");
}

static int begin(struct qmp_call *c, const char *port, struct qmp_capture *q, uint32_t snaplen)
{
    static unsigned ids;
    const char *why;
    int error;

    q->capture = capture_make(port[0] ? port : "uplink", snaplen, ready, &why);
    if (!q->capture)
        return qmp_fail(c, -ENOMEM, "%s", why);
    error = switch_capture(port, q->capture);
    if (error) {
        capture_free(q->capture);
        return qmp_fail(c, error, "%s",
                        error == -EBUSY ? "somebody captures there already"
                                        : "there is no such card");
    }
    q->id = ++ids;
    return 0;
}

int qmp_capture_open(struct qmp_call *c)
{
    char port[PORT_NAME_MAX];
    uint64_t snaplen = SNAPLEN;
    struct qmp_capture *q;
    int error = arg_port(c, port);

    if (error)
        return error;
    if (c->session->quiet)
        return qmp_fail(c, -EINVAL, "this session gets no events");
    if (qmp_arg_u64(c, "snaplen", &snaplen) && (snaplen < CAPTURE_SNAPLEN_MIN || snaplen > SNAPLEN))
        return qmp_fail(c, -EINVAL, "Parameter 'snaplen' is %d to %d", CAPTURE_SNAPLEN_MIN,
                        SNAPLEN);
    q = heap_alloc(sizeof(*q));
    if (!q)
        return qmp_fail(c, -ENOMEM, "out of memory");
    error = begin(c, port, q, (uint32_t)snaplen);
    if (error) {
        heap_free(q);
        return error;
    }
    q->next = c->session->captures;
    c->session->captures = q;
    json_begin_object(c->out, NULL);
    json_put_u64(c->out, "capture", q->id);
    json_end_object(c->out);
    return 0;
}

int qmp_capture_close(struct qmp_call *c)
{
    struct qmp_capture **place = &c->session->captures, *q;
    struct capture_counts counts;
    uint64_t id = 0;
    bool ended;

    qmp_arg_u64(c, "capture", &id);
    while (*place && ((*place)->id != id || (*place)->closed))
        place = &(*place)->next;
    q = *place;
    if (!q)
        return qmp_fail(c, -ENOENT, "this session has no capture %lu", (unsigned long)id);
    switch_uncapture(q->capture);
    q->closed = true;
    counts = capture_counts(q->capture);
    if (!capture_waits(q->capture, &ended))
        drop(place); /* its port is gone, and all was sent */
    json_begin_object(c->out, NULL);
    json_put_u64(c->out, "frames", counts.frames);
    json_put_u64(c->out, "lost", counts.lost);
    json_end_object(c->out);
    return 0;
}

/* ---- events ---- */

static void put_base64(struct json_out *o, const char *key, const uint8_t *data, uint32_t len)
{
    char text[PIECE / 3 * 4];

    json_begin_string(o, key);
    for (uint32_t at = 0; at < len; at += PIECE) {
        size_t n = min_u64(len - at, PIECE);

        json_more_string(o, text, base64_encode(text, data + at, n));
    }
    json_end_string(o);
}

static void send_event(struct qmp_session *s, struct qmp_capture *q)
{
    struct json_out o = qmp_begin_event(s, "CAPTURE_DATA", vm_account_ns(arch_time()) / 1000);
    uint32_t len = capture_take(q->capture, q->data, sizeof(q->data));
    bool ended, last = !capture_waits(q->capture, &ended) && ended;

    json_begin_object(&o, NULL);
    json_put_u64(&o, "capture", q->id);
    put_base64(&o, "data", q->data, len);
    json_put_u64(&o, "lost", capture_counts(q->capture).lost);
    if (last)
        json_put_bool(&o, "end", true);
    json_end_object(&o);
    qmp_end_event(s, &o);
}

uint64_t qmp_captured_waits(struct qmp_session *s)
{
    uint64_t most = 0;
    bool ended;

    for (struct qmp_capture *q = s->captures; q; q = q->next)
        most = max_u64(most, capture_waits(q->capture, &ended));
    return s->out.len < MOST_WAITING ? most : 0;
}

void qmp_send_captured(struct qmp_session *s)
{
    for (struct qmp_capture **place = &s->captures; *place;) {
        struct qmp_capture *q = *place;
        bool ended;

        while (s->out.len < MOST_WAITING && capture_waits(q->capture, &ended))
            send_event(s, q);
        if (q->closed && !capture_waits(q->capture, &ended))
            drop(place);
        else
            place = &q->next;
    }
}
