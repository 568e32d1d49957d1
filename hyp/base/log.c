// SPDX-License-Identifier: BSD-2-Clause
// The log's ring. Lines lie one after another, each ended by a newline; a new line pushes the oldest
// ones out. Positions count bytes since boot, so a reader can tell that its place was overwritten.
#include <string.h>

#include "base/arch.h"
#include "base/log.h"
#include "base/spinlock.h"

enum { RING = 16384, LINE = 256 };

static struct spinlock lock = SPINLOCK_INIT(LOCK_LOG);
static char ring[RING];
static uint64_t oldest, end; /* [oldest, end) is in the ring */
static uint64_t timebase, origin;
static void (*sink)(enum log_level level, const char *line, size_t len);

void log_set_timebase(uint64_t hz)
{
    timebase = hz;
    origin = arch_time();
}

void log_set_sink(void (*to)(enum log_level level, const char *line, size_t len))
{
    spin_lock(&lock);
    sink = to;
    spin_unlock(&lock);
}

static void ring_append(const char *text, size_t len)
{
    while (end + len - oldest > RING) {
        while (ring[oldest % RING] != '\n')
            oldest++;
        oldest++;
    }
    for (size_t i = 0; i < len; i++)
        ring[end++ % RING] = text[i];
}

static size_t put_stamp(char *to, size_t size)
{
    uint64_t t = timebase ? arch_time() - origin : 0, hz = timebase ? timebase : 1;
    uint64_t seconds = t / hz, micros = t % hz * 1000000 / hz;
    return (size_t)fmt_snprintf(to, size, "[%4lu.%06lu] ", (unsigned long)seconds,
                                (unsigned long)micros);
}

/* A guest's or a device tree's text must not drive the terminal. */
static void make_printable(char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)s[i] < 0x20 || (unsigned char)s[i] >= 0x7F)
            s[i] = '?';
}

void log_write(enum log_level level, const char *fmt, ...)
{
    static const char *const prefix[] = {[LOG_ERROR] = "error: ", [LOG_WARN] = "warning: "};
    char line[LINE];
    size_t room = sizeof(line) - 1; /* the newline */
    size_t len = put_stamp(line, room);
    if (level <= LOG_WARN)
        len += (size_t)fmt_snprintf(line + len, room - len, "%s", prefix[level]);

    va_list ap;
    va_start(ap, fmt);
    size_t text = (size_t)fmt_vsnprintf(line + len, room - len, fmt, ap);
    va_end(ap);
    if (text >= room - len)
        text = room - len - 1;
    make_printable(line + len, text);
    len += text;
    line[len++] = '\n';

    spin_lock(&lock);
    ring_append(line, len);
    if (sink && level != LOG_DEBUG)
        sink(level, line, len);
    spin_unlock(&lock);
}

/* The line at *at, without its newline; false at the end. */
static bool next_line(uint64_t *at, char line[LINE])
{
    spin_lock(&lock);
    if (*at < oldest)
        *at = oldest;
    bool found = *at < end;
    size_t n = 0;
    while (*at < end) {
        char c = ring[(*at)++ % RING];
        if (c == '\n')
            break;
        line[n++] = c;
    }
    spin_unlock(&lock);
    line[n] = '\0';
    return found;
}

/* emit is called with no lock held: it writes to a console, which comes before the log in rank. */
void log_dump(void (*emit)(void *ctx, const char *line), void *ctx)
{
    char line[LINE];
    uint64_t at = 0, stop = end; /* lines that emit itself adds are not for this dump */
    while (at < stop && next_line(&at, line))
        emit(ctx, line);
}

static void say_left_out(const struct log_limit *l, uint32_t count)
{
    if (count > LOG_BURST)
        log_warn("%s%s(%u more such lines were left out)", l->of ? l->of : "", l->of ? ": " : "",
                 count - LOG_BURST);
}

/* Two harts may both do it: then a line more is let through. */
static void begin_window(struct log_limit *l, uint64_t now, bool quiet)
{
    uint32_t count = __atomic_exchange_n(&l->count, 1, __ATOMIC_RELAXED);
    uint32_t doublings = __atomic_load_n(&l->doublings, __ATOMIC_RELAXED);

    if (quiet)
        doublings = 0;
    else if (count > LOG_BURST / 2 && doublings < LOG_WINDOW_DOUBLINGS)
        doublings++;
    __atomic_store_n(&l->doublings, doublings, __ATOMIC_RELAXED);
    __atomic_store_n(&l->started, now ? now : 1, __ATOMIC_RELAXED);
    say_left_out(l, count);
}

bool log_ratelimit(struct log_limit *l)
{
    uint64_t now = arch_time(), started, window;

    if (!timebase || !l)
        return true;
    started = __atomic_load_n(&l->started, __ATOMIC_RELAXED);
    window = timebase * LOG_WINDOW_SECONDS << __atomic_load_n(&l->doublings, __ATOMIC_RELAXED);
    if (!started || now - started >= window) {
        begin_window(l, now, !started || now - started >= 2 * window);
        return true;
    }
    return __atomic_add_fetch(&l->count, 1, __ATOMIC_RELAXED) <= LOG_BURST;
}

void log_limit_renew(struct log_limit *l)
{
    say_left_out(l, __atomic_exchange_n(&l->count, 0, __ATOMIC_RELAXED));
    __atomic_store_n(&l->doublings, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&l->started, 0, __ATOMIC_RELAXED);
}
