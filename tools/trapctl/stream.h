// SPDX-License-Identifier: BSD-2-Clause
// Lines over a socket or a serial line that may be slow, send rubbish, or go away. Every wait is bounded by a deadline.
// Invariants: the descriptor does not block; a line has STREAM_LINE bytes at most; while something is written, what
// comes meanwhile is read, so that two who write at once do not wait for each other.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STREAM_LINE = 16 << 20 };

/* Results besides 0. */
enum stream_result {
    STREAM_TIMEOUT = -1,
    STREAM_ENDED = -2, /* the other side closed */
    STREAM_FAILED = -3, /* errno of it in stream.error */
    STREAM_TOO_LONG = -4, /* a line of more than STREAM_LINE bytes */
    STREAM_INTERRUPTED = -5, /* stream_interrupted was set by a signal */
};

struct stream {
    int fd;
    bool is_socket;
    char *in;
    size_t len, size; /* of in */
    size_t line; /* of the line that was given last, with its end */
    size_t looked; /* bytes of in without a line's end */
    int ended; /* a stream_result that holds for good, once in is used up */
    int error;
};

/* Set by a signal handler: waits end with STREAM_INTERRUPTED, which takes it back. */
extern volatile int stream_interrupted;

/* Milliseconds of a clock that only goes forward. */
int64_t stream_now(void);

/* Takes the descriptor over. */
void stream_init(struct stream *s, int fd, bool is_socket);
void stream_close(struct stream *s);
/* Reads what there is, without waiting. 0, or a result that holds for good. */
int stream_fill(struct stream *s);
/* Whether a whole line, or an end, is there already. */
bool stream_has_line(struct stream *s);
/* The next line, NUL-terminated, without its end (LF, CR LF); it lasts until the next call. */
int stream_read_line(struct stream *s, int64_t deadline, char **line, size_t *len);
int stream_write(struct stream *s, const char *data, size_t len, int64_t deadline);
