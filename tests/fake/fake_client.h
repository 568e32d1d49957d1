// SPDX-License-Identifier: BSD-2-Clause
// A client of the machine protocol, for unit tests: bytes into a session, answers out. Link: tests/fake/fake_client.c and tests/fake/ctl.units.
#pragma once
#include "ctl/qmp.h"

/* There are two; this says which one is meant. */
enum { FAKE_CLIENTS = 2 };
extern unsigned fake_client;
extern struct qmp_session fake_sessions[FAKE_CLIENTS];
#define fake_session fake_sessions[fake_client]
extern char fake_sent[QMP_OUTPUT + 1]; /* what came back */
extern size_t fake_sent_len;
extern size_t fake_room; /* bytes that the client still takes */
extern size_t fake_unread; /* bytes sent that the session has not read */

/* A new session; with it the greeting has been read. */
void fake_client_begin(bool negotiated);
void fake_client_end(void);
/* Sends bytes; what came back, all of it. */
const char *fake_ask(const char *text);
const char *fake_ask_bytes(const char *data, size_t len);
/* The same with a client that takes only so much; what was not read waits. */
void fake_send(const char *data, size_t len, size_t room);
void fake_step(size_t room); /* it takes more */
/* Fails the test unless the answer is this, or has it in it. */
void fake_expect(const char *text, const char *answer);
void fake_expect_part(const char *text, const char *part);
/* A command by its name, with arguments: "\"vm\": \"on\"". */
void fake_command(const char *name, const char *arguments, const char *part);
