// SPDX-License-Identifier: BSD-2-Clause
// The machine protocol: JSON messages in the manner of QMP (QEMU's docs/interop/qmp-spec), so that its client
// libraries talk to Trapline unchanged: greeting, qmp_capabilities, then
//   -> {"execute": NAME, "arguments": {…}, "id": ANY}     <- {"return": VALUE, "id": ANY}
//                                                          <- {"error": {"class": C, "desc": TEXT}, "id": ANY}
// and events at any time after the negotiation. docs/control.md lists commands and events.
//
// A session is one client on one port. Invariants: an answer is whole before its first byte is sent, and no message is
// answered before the last answer is out (so a client that does not read slows only itself); a message is at most QMP_MESSAGE
// bytes; a client that goes away leaves nothing behind. Events are for clients that read: past QMP_OUTPUT bytes
// that wait they are dropped, and counted in the next one.
// Lock rank: none held on entry. Callers: the control thread only (ctl.c), so that no two commands, of the shell
// or of any session, run at a time.
#pragma once
#include "ctl/json.h"

enum { QMP_MESSAGE = 65536 - 64, QMP_OUTPUT = 262144 };
/* Never part of UTF-8. As QEMU's guest agent has it. */
#define QMP_ANEW '\xff'

/* Bytes that wait for a client; grows on the heap. */
struct qmp_buffer {
    char *data;
    size_t len, size, sent;
    bool full; /* something did not fit */
};

struct qmp_session {
    /* The port: neither waits; how many bytes were taken or given. */
    size_t (*read)(void *port, char *to, size_t max);
    size_t (*write)(void *port, const char *data, size_t len);
    void *port;
    bool negotiated;
    bool quiet; /* no events */
    bool is_line; /* nobody says when a client comes or goes: the byte QMP_ANEW does */
    struct qmp_session *next; /* of all sessions */
    /* What came in and has not been answered; of it, what has been looked at for the message's end. skipping: the message
     * is too long, what came is dropped, its end is awaited. */
    char *message;
    size_t have, scanned;
    size_t length; /* of the message that is being answered */
    unsigned depth;
    bool in_string, escaped, skipping;
    struct qmp_buffer out;
    size_t event_at; /* where the event that is being written begins */
    unsigned lost; /* events dropped since the last one that was sent */
    struct qmp_attachment *attached; /* consoles whose output it gets: qmp_console.c */
    struct qmp_capture *captures; /* qmp_capture.c */
    struct json json;
};

/* A client has come. 0 or -ENOMEM. */
int qmp_open(struct qmp_session *s) MUST_CHECK;
/* Sends what waits; whether all of it. */
bool qmp_flush(struct qmp_session *s);
/* Sends what waits, and takes and answers one message. True: there may be more to do at once; false: not before the
 * port has more, or takes more. */
bool qmp_step(struct qmp_session *s);
void qmp_close(struct qmp_session *s);
/* Right after qmp_open: a session that needs no greeting and no negotiation, and gets no events. */
void qmp_begin_quietly(struct qmp_session *s);
/* What has come of a message is all that comes: it is answered as it is, with an error. */
void qmp_end_message(struct qmp_session *s);

/* ---- events ---- */

struct qmp_session *qmp_first(void); /* of all sessions, by their next */
bool qmp_gets_events(const struct qmp_session *s);
/* data: a JSON object. Nothing happens before the client has negotiated. */
void qmp_send_event(struct qmp_session *s, const char *name, uint64_t time_us, const char *data,
                    size_t len);
/* The same in two parts: between them the data is written to the first one's result. */
struct json_out qmp_begin_event(struct qmp_session *s, const char *name, uint64_t time_us);
void qmp_end_event(struct qmp_session *s, struct json_out *o);

/* The events of bundles that were taken in since the last call (qmp_bundle.c). */
void qmp_send_committed(void);

/* ---- output of consoles (qmp_console.c) ---- */

/* Bytes that attached consoles have for this client; 0 while it has not read what was sent before, so that a slow
 * client loses output rather than having it kept. */
uint64_t qmp_output_waits(struct qmp_session *s);
void qmp_send_output(struct qmp_session *s);
void qmp_detach_all(struct qmp_session *s);

/* ---- captures (qmp_capture.c) ---- */

/* Once: what is called when there is something to send. From any hart, LOCK_DEVICE and less held. */
void qmp_capture_start(void (*wake)(void));
/* Bytes that wait; 0 while the client has much that it has not read. */
uint64_t qmp_captured_waits(struct qmp_session *s);
void qmp_send_captured(struct qmp_session *s);
void qmp_capture_close_all(struct qmp_session *s);
