// SPDX-License-Identifier: BSD-2-Clause
// A client of the machine protocol (docs/control.md): one session over one stream.
// Answers are matched by "id", so that several commands may be under way; those to nobody (given up) are dropped.
// Events that come in between wait in a queue, of which the oldest go first when nobody takes them.
// Results are exit codes (exit.h); q->why says what happened, for the caller to say.
#pragma once
#include <jansson.h>

#include "stream.h"

enum { QMP_EVENTS = 4096, QMP_WHY = 512 };
#define QMP_RESTART "\xFF" /* on a serial line: begins a new session, and the greeting comes */

struct qmp {
    struct stream stream;
    json_t *events; /* an array: those not taken yet */
    json_t *greeting; /* the "QMP" object */
    json_int_t last_id;
    char why[QMP_WHY];
    bool unknown; /* the machine refused because it has no such command */
};

/* Whether a line is the greeting; *greeting is a new reference to its "QMP" object. */
bool qmp_is_greeting(const char *line, size_t len, json_t **greeting);
/* A session over a stream whose greeting has been read (its reference is taken over): negotiates. */
int qmp_begin(struct qmp *q, const struct stream *s, json_t *greeting, int timeout_ms);
void qmp_end(struct qmp *q);

/* Sends a command; arguments may be NULL, and their reference is taken over. *id is for qmp_wait. */
int qmp_send(struct qmp *q, const char *command, json_t *arguments, int timeout_ms, json_int_t *id);
/* The answer to it: *value, a new reference, is what was returned. EXIT_REFUSED: the machine's reason in why. */
int qmp_wait(struct qmp *q, json_int_t id, int timeout_ms, json_t **value);
int qmp_ask(struct qmp *q, const char *command, json_t *arguments, int timeout_ms, json_t **value);

/* The next event, a new reference; NULL and EXIT_OK when none came in time (0: what is there now). */
int qmp_event(struct qmp *q, int timeout_ms, json_t **event);
/* What there is to say about a stream that ended so. */
int qmp_stream_why(struct qmp *q, int stream_result, const char *doing, int timeout_ms);
