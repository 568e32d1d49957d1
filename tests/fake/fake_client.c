// SPDX-License-Identifier: BSD-2-Clause
#include "fake_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct qmp_session fake_sessions[FAKE_CLIENTS];
unsigned fake_client;
char fake_sent[QMP_OUTPUT + 1];
size_t fake_sent_len, fake_room, fake_unread;
static char to_read[200000];
static size_t to_read_at;

static size_t port_read(void *port, char *to, size_t max)
{
    size_t n = fake_unread < max ? fake_unread : max;

    (void)port;
    if (n)
        memcpy(to, to_read + to_read_at, n);
    to_read_at += n;
    fake_unread -= n;
    return n;
}

static size_t port_write(void *port, const char *data, size_t len)
{
    size_t n = len < fake_room ? len : fake_room;

    (void)port;
    assert_true(fake_sent_len + n < sizeof(fake_sent));
    memcpy(fake_sent + fake_sent_len, data, n);
    fake_sent_len += n;
    fake_sent[fake_sent_len] = '\0';
    fake_room -= n;
    return n;
}

void fake_step(size_t room)
{
    fake_room = room;
    while (qmp_step(&fake_session))
        ;
}

void fake_send(const char *data, size_t len, size_t room)
{
    assert_true(len <= sizeof(to_read));
    fake_sent_len = to_read_at = 0;
    fake_sent[0] = '\0';
    if (len)
        memcpy(to_read, data, len);
    fake_unread = len;
    fake_step(room);
}

const char *fake_ask_bytes(const char *data, size_t len)
{
    fake_send(data, len, sizeof(fake_sent) - 1);
    assert_int_equal(fake_unread, 0);
    return fake_sent;
}

const char *fake_ask(const char *text) { return fake_ask_bytes(text, strlen(text)); }

void fake_expect(const char *text, const char *answer)
{
    if (strcmp(fake_ask(text), answer))
        fail_msg("%.2000s\nanswered: %swanted:   %s", text, fake_sent, answer);
}

void fake_expect_part(const char *text, const char *part)
{
    if (!strstr(fake_ask(text), part))
        fail_msg("%.2000s\nanswered: %s, without: %s", text, fake_sent, part);
}

void fake_command(const char *name, const char *arguments, const char *part)
{
    static char text[sizeof(to_read)];

    snprintf(text, sizeof(text), "{\"execute\": \"%s\", \"arguments\": {%s}}", name, arguments);
    fake_expect_part(text, part);
}

void fake_client_begin(bool negotiated)
{
    memset(&fake_session, 0, sizeof(fake_session));
    fake_session.read = port_read;
    fake_session.write = port_write;
    assert_int_equal(qmp_open(&fake_session), 0);
    fake_expect("",
                "{\"QMP\": {\"version\": {\"qemu\": {\"major\": 0, \"minor\": 1, \"micro\": 0}, "
                "\"package\": \"Trapline\"}, \"capabilities\": []}}\r\n");
    if (negotiated)
        fake_expect("{\"execute\": \"qmp_capabilities\"}", "{\"return\": {}}\r\n");
}

void fake_client_end(void) { qmp_close(&fake_session); }
