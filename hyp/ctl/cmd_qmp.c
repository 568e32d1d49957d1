// SPDX-License-Identifier: BSD-2-Clause
// The shell's way to what only the machine protocol has: one message a line, its answer as it comes. All lines are of
// one session, which begins with the first and has negotiated; it gets no events.
#include <errno.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/qmp.h"
#include "mem/heap.h"

/* What the session reads is the line, and what it writes is cut into lines. */
struct line_port {
    const struct command_out *out;
    const char *text;
    size_t left;
    char line[COMMAND_LINE];
    size_t len;
};

static struct qmp_session *session;
static struct line_port port;

static size_t port_read(void *ctx, char *to, size_t max)
{
    struct line_port *p = ctx;
    size_t n = min_u64(max, p->left);

    memcpy(to, p->text, n);
    p->text += n;
    p->left -= n;
    return n;
}

static void end_line(struct line_port *p)
{
    p->line[p->len] = '\0';
    if (p->len)
        p->out->emit(p->out->ctx, p->line);
    p->len = 0;
}

static size_t port_write(void *ctx, const char *data, size_t len)
{
    struct line_port *p = ctx;

    for (size_t i = 0; i < len; i++) {
        if (data[i] == '\n' || p->len == sizeof(p->line) - 1)
            end_line(p);
        if (data[i] != '\r' && data[i] != '\n')
            p->line[p->len++] = data[i];
    }
    return len;
}

static int begin(const struct command_out *out)
{
    session = heap_alloc(sizeof(*session));
    if (session) {
        session->read = port_read;
        session->write = port_write;
        session->port = &port;
        if (!qmp_open(session)) {
            qmp_begin_quietly(session);
            return 0;
        }
    }
    heap_free(session);
    session = NULL;
    return command_fail(out, -ENOMEM, "no memory for a session");
}

int cmd_qmp(const struct command_out *out, int argc, char *const argv[])
{
    if (argc != 2 || !argv[1][0])
        return COMMAND_USAGE;
    if (out->from_protocol)
        return command_fail(out, -EINVAL, "this is the protocol already: send the message itself");
    port = (struct line_port){.out = out, .text = argv[1], .left = strlen(argv[1])};
    if (!session && begin(out))
        return -ENOMEM;
    while (qmp_step(session))
        ;
    qmp_end_message(session); /* one that does not end with its line never does */
    (void)qmp_step(session);
    end_line(&port);
    return 0;
}
