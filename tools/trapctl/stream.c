// SPDX-License-Identifier: BSD-2-Clause
#include "stream.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "memory.h"

enum { FIRST = 65536, ENOUGH = 4096 };

volatile int stream_interrupted;

int64_t stream_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void stream_init(struct stream *s, int fd, bool is_socket)
{
    *s = (struct stream){.fd = fd, .is_socket = is_socket};
}

void stream_close(struct stream *s)
{
    if (s->fd >= 0)
        close(s->fd);
    free(s->in);
    *s = (struct stream){.fd = -1, .ended = STREAM_ENDED};
}

static int fail(struct stream *s, int error)
{
    s->error = error;
    /* What a peer that is gone looks like: to a socket, and to a serial line. */
    s->ended = error == EPIPE || error == ECONNRESET || error == EIO ? STREAM_ENDED : STREAM_FAILED;
    return s->ended;
}

/* Forgets the line that was given last. */
static void drop_line(struct stream *s)
{
    if (!s->line)
        return;
    s->len -= s->line;
    memmove(s->in, s->in + s->line, s->len);
    s->line = s->looked = 0;
}

int stream_fill(struct stream *s)
{
    while (!s->ended) {
        ssize_t n;

        if (s->size - s->len < ENOUGH) {
            s->size = s->size ? s->size * 2 : FIRST;
            s->in = memory_grow(s->in, s->size);
        }
        n = read(s->fd, s->in + s->len, s->size - s->len);
        if (n > 0) {
            s->len += (size_t)n;
            /* More than a line's most is not read ahead: what it holds decides first. */
            if (s->len > STREAM_LINE)
                return 0;
        } else if (n == 0) {
            s->ended = STREAM_ENDED;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return 0;
        } else if (errno != EINTR) {
            fail(s, errno);
        }
    }
    return s->ended;
}

/* The end of the line after the one given last, or NULL. */
static char *line_end(struct stream *s)
{
    size_t from = s->line + s->looked;
    char *end = from < s->len ? memchr(s->in + from, '\n', s->len - from) : NULL;

    if (!end)
        s->looked = s->len - s->line;
    return end;
}

bool stream_has_line(struct stream *s) { return line_end(s) || s->ended; }

/* Waits for events; what wakes it may be a signal for nothing. */
static int wait_for(struct stream *s, short events, int64_t deadline)
{
    struct pollfd p = {.fd = s->fd, .events = events};
    int64_t left = deadline - stream_now();

    if (stream_interrupted) {
        stream_interrupted = 0;
        return STREAM_INTERRUPTED;
    }
    if (left <= 0)
        return STREAM_TIMEOUT;
    if (poll(&p, 1, left > 1000000 ? 1000000 : (int)left) < 0 && errno != EINTR)
        return fail(s, errno);
    return 0;
}

int stream_read_line(struct stream *s, int64_t deadline, char **line, size_t *len)
{
    char *end;

    drop_line(s);
    while (!(end = line_end(s))) {
        int result;

        if (s->len > STREAM_LINE)
            s->ended = STREAM_TOO_LONG;
        if (s->ended)
            return s->ended;
        stream_fill(s);
        if (s->ended || s->len > STREAM_LINE || line_end(s))
            continue;
        result = wait_for(s, POLLIN, deadline);
        if (result)
            return result;
    }
    s->line = (size_t)(end - s->in) + 1;
    s->looked = 0;
    if (end > s->in && end[-1] == '\r')
        end--;
    *end = '\0';
    *line = s->in;
    *len = (size_t)(end - s->in);
    return 0;
}

int stream_write(struct stream *s, const char *data, size_t len, int64_t deadline)
{
    while (len) {
        ssize_t n;
        int result;

        if (s->ended)
            return s->ended;
        n = s->is_socket ? send(s->fd, data, len, MSG_NOSIGNAL) : write(s->fd, data, len);
        if (n > 0) {
            data += n;
            len -= (size_t)n;
            continue;
        }
        if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
            return fail(s, errno);
        result = wait_for(s, POLLOUT | (s->len <= STREAM_LINE ? POLLIN : 0), deadline);
        if (result)
            return result;
        if (s->len <= STREAM_LINE)
            stream_fill(s);
    }
    return 0;
}
