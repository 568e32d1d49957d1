// SPDX-License-Identifier: BSD-2-Clause
// The log: a ring of text lines with time stamps, shown on the console (until a shell takes it)
// and by the shell's "log". One line a call, without a newline.
// Formats: %c %s %d %i %u %x %X %p with l, ll, z, width, precision (%.*s), 0, - and #.
// Lock rank: LOCK_LOG. Callers: everyone, holding any lock.
#pragma once
#include <stdarg.h>
#include <stddef.h>

#include "base/util.h"

/* A notice is nothing bad, but a person wants to see it at once, whatever has the terminal. */
enum log_level { LOG_ERROR, LOG_WARN, LOG_NOTICE, LOG_INFO, LOG_DEBUG };

void log_write(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);
#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARN, __VA_ARGS__)
#define log_notice(...) log_write(LOG_NOTICE, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)

/* Where lines go besides the ring: one sink, set when a console exists. Called with LOCK_LOG held,
 * never for LOG_DEBUG. */
void log_set_sink(void (*sink)(enum log_level level, const char *line, size_t len));
/* Calls emit for each line in the ring, oldest first. */
void log_dump(void (*emit)(void *ctx, const char *line), void *ctx);

/* Time stamps: seconds since this call (0 before it), by arch_time() at hz ticks a second. */
void log_set_timebase(uint64_t hz);

/* Lines that can be provoked at will ask first: true for a burst of LOG_BURST within a window of LOG_WINDOW_SECONDS, then
 * false; the next window begins by saying how many lines were left out. A window in which more than half a burst was
 * asked for makes the next one twice as long, LOG_WINDOW_DOUBLINGS times at most; one without any ends that.
 * Zero-initialised but for `of`. Each VM has one, struct guest's, that all lines share which its guest can provoke
 * (ci/loglimit sees to it). Without a time base, and for NULL, nothing is held back. */
struct log_limit {
    const char *of; /* whose lines, for people; NULL: the lines say it */
    uint64_t started;
    uint32_t count, doublings;
};
enum { LOG_BURST = 10, LOG_WINDOW_SECONDS = 5, LOG_WINDOW_DOUBLINGS = 6 };
bool log_ratelimit(struct log_limit *l);
/* A person has looked after what the lines are about: says how many were left out, and the next burst is whole. */
void log_limit_renew(struct log_limit *l);
/* One such line. */
#define log_limited(limit, level, ...) \
    do { \
        if (log_ratelimit(limit)) \
            log_write(level, __VA_ARGS__); \
    } while (0)

/* snprintf of base/fmt.c: returns the length that would have been written. */
int fmt_snprintf(char *to, size_t size, const char *fmt, ...) PRINTF_LIKE(3, 4);
int fmt_vsnprintf(char *to, size_t size, const char *fmt, va_list ap);
