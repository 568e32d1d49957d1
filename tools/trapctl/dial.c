// SPDX-License-Identifier: BSD-2-Clause
#include "dial.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>

#include "exit.h"
#include "find.h"
#include "memory.h"
#include "open.h"

enum { PATIENCE_MS = 300, RETRY_MS = 100 };

enum state { UNTRIED, FAILED, SILENT, RUBBISH };

struct attempt {
    enum state state;
    int error; /* errno of FAILED */
    bool serial;
    struct stream stream; /* of SILENT */
};

struct search {
    const struct dial *dial;
    struct find find;
    struct attempt attempt[FIND_MAX];
    unsigned tried;
    json_t *greeting;
};

static void give_up(struct attempt *a, enum state state, int error)
{
    if (a->state == SILENT)
        stream_close(&a->stream);
    a->state = state;
    a->error = error;
}

static void try_one(struct search *s, unsigned i)
{
    struct attempt *a = &s->attempt[i];
    const char *path = s->find.path[i];
    struct stat st;
    int fd, error;

    a->serial = !stat(path, &st) && S_ISCHR(st.st_mode);
    error = a->serial ? open_serial(path, s->dial->speed, &fd) : open_socket(path, &fd);
    if (error) {
        give_up(a, FAILED, -error);
        return;
    }
    stream_init(&a->stream, fd, !a->serial);
    a->state = SILENT;
    if (a->serial) {
        tcflush(fd, TCIFLUSH); /* what an earlier session left */
        stream_write(&a->stream, QMP_RESTART, 1, stream_now() + s->dial->timeout_ms);
    }
}

/* Whether the greeting has come. What comes before it on a serial line is of an earlier session. */
static bool listen_to(struct search *s, struct attempt *a)
{
    char *line;
    size_t len;
    int result;

    while (a->state == SILENT) {
        result = stream_read_line(&a->stream, 0, &line, &len);
        if (!result && qmp_is_greeting(line, len, &s->greeting))
            return true;
        if (result == STREAM_TIMEOUT)
            return false;
        if (result == STREAM_FAILED)
            give_up(a, FAILED, a->stream.error);
        else if (result || !a->serial)
            give_up(a, result == STREAM_ENDED ? FAILED : RUBBISH, ECONNRESET);
    }
    return false;
}

/* Whether its queue of clients was full: one that gave up waiting is in it until the port is free again. */
static bool is_queue_full(const struct attempt *a)
{
    return a->state == FAILED && a->error == EAGAIN;
}

/* Waits for any of those under way. */
static void wait_for_some(struct search *s, int64_t until)
{
    struct pollfd p[FIND_MAX];
    unsigned n = 0;
    int64_t left = until - stream_now();

    for (unsigned i = 0; i < s->tried; i++)
        if (s->attempt[i].state == SILENT)
            p[n++] = (struct pollfd){.fd = s->attempt[i].stream.fd, .events = POLLIN};
    poll(p, n, left > 0 ? (int)left : 0);
}

static unsigned count_in(const struct search *s, enum state state)
{
    unsigned n = 0;

    for (unsigned i = 0; i < s->find.count; i++)
        n += s->attempt[i].state == state;
    return n;
}

/* The one that greeted, or NULL. */
static struct attempt *search_run(struct search *s)
{
    int64_t deadline = stream_now() + s->dial->timeout_ms, next = 0;

    for (;;) {
        bool full = false;

        if (stream_interrupted)
            return NULL;
        if (s->tried < s->find.count && (stream_now() >= next || !count_in(s, SILENT))) {
            try_one(s, s->tried++);
            next = stream_now() + PATIENCE_MS;
        }
        for (unsigned i = 0; i < s->tried; i++) {
            if (is_queue_full(&s->attempt[i]))
                try_one(s, i);
            full |= is_queue_full(&s->attempt[i]);
            if (listen_to(s, &s->attempt[i]))
                return &s->attempt[i];
        }
        if (s->tried == s->find.count && !full && !count_in(s, SILENT))
            return NULL;
        if (stream_now() >= deadline)
            return NULL;
        if (s->tried == s->find.count)
            next = full ? stream_now() + RETRY_MS : deadline;
        wait_for_some(s, next < deadline ? next : deadline);
    }
}

/* ---- what to say ---- */

static int say_silent(const struct search *s)
{
    if (s->find.count == 1)
        return say_error(
            EXIT_CONNECT,
            "%s: no greeting in %g s. Another client has this port (a port serves one at a time: "
            "--connect=%s takes another), or the machine is still starting (--timeout=SECONDS "
            "waits longer)",
            s->find.path[0], s->dial->timeout_ms / 1000.0,
            s->attempt[0].serial ? "DEVICE" : "build/control.2");
    return say_error(
        EXIT_CONNECT,
        "no greeting in %g s from %s to %s. Other clients have all ports (end one of them: "
        "consoles, top, events), or the machine is still starting (--timeout=SECONDS waits longer)",
        s->dial->timeout_ms / 1000.0, s->find.path[0], s->find.path[s->find.count - 1]);
}

static int say_failed(const struct search *s, unsigned i)
{
    const char *path = s->find.path[i];
    int error = s->attempt[i].error;

    switch (error) {
    case ENOENT:
        return say_error(EXIT_CONNECT,
                         "%s: no such socket or device: start the machine with `make run`, which "
                         "says where its sockets are",
                         path);
    case ECONNREFUSED:
    case ECONNRESET:
        return say_error(EXIT_CONNECT,
                         "%s: nobody answers there: the machine has ended. Start it with `make "
                         "run`",
                         path);
    case EBUSY:
        return say_error(EXIT_CONNECT,
                         "%s: busy: another program has it; end that, or take another line with "
                         "--connect=DEVICE",
                         path);
    case EACCES:
    case EPERM:
        return say_error(EXIT_CONNECT, "%s: %s: be who started the machine%s", path,
                         strerror(error), s->attempt[i].serial ? ", or in the group dialout" : "");
    case EINVAL:
        return say_error(EXIT_USAGE,
                         "--speed=%u: not a speed of serial lines (9600, 115200, 1500000, …)",
                         s->dial->speed);
    case ENOTTY:
        return say_error(EXIT_CONNECT, "%s: a device, but not a serial line", path);
    default:
        return say_error(EXIT_CONNECT, "%s: %s", path, strerror(error));
    }
}

static int say_nothing(const struct search *s)
{
    if (stream_interrupted) {
        stream_interrupted = 0;
        return say_error(EXIT_INTERRUPTED, "interrupted");
    }
    if (!s->find.count)
        return say_error(EXIT_CONNECT,
                         "%s: start the machine with `make run`, or say where it is with "
                         "--connect=SOCKET (or TRAPCTL_CONNECT)",
                         s->find.named ? "there is no control.1 to control.4 in that folder"
                                       : "no machine found (no build/control.1 here)");
    for (unsigned i = 0; i < s->find.count; i++)
        if (s->attempt[i].state == SILENT || is_queue_full(&s->attempt[i]))
            return say_silent(s);
    for (unsigned i = 0; i < s->find.count; i++)
        if (s->attempt[i].state == RUBBISH)
            return say_error(EXIT_CONNECT,
                             "%s: whoever answers there does not speak Trapline's protocol",
                             s->find.path[i]);
    return say_failed(s, 0);
}

int dial(const struct dial *d, struct qmp *q, char **where)
{
    struct search s = {.dial = d};
    struct attempt *found = NULL;
    int code = EXIT_CONNECT;

    find_ports(&s.find, d->connect);
    if (s.find.count)
        found = search_run(&s);
    if (!found) {
        code = say_nothing(&s);
    } else {
        code = qmp_begin(q, &found->stream, s.greeting, d->timeout_ms);
        found->state = UNTRIED;
        *where = memory_copy(s.find.path[found - s.attempt]);
        if (code) {
            say_error(code, "%s: %s", *where, q->why);
            qmp_end(q);
            free(*where);
            *where = NULL;
        }
    }
    for (unsigned i = 0; i < s.tried; i++)
        give_up(&s.attempt[i], UNTRIED, 0);
    find_free(&s.find);
    return code;
}
