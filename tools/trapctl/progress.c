// SPDX-License-Identifier: BSD-2-Clause
#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "stream.h"
#include "term.h"
#include "text.h"

enum { EVERY_MS = 100, BAR_MIN = 8, BAR_MAX = 40 };

void progress_line(const struct progress *p, uint64_t done, int64_t ms, unsigned columns, char *to,
                   size_t size)
{
    char rate[TEXT_NUMBER], left[TEXT_NUMBER], tail[96];
    uint64_t speed = ms > 0 ? done * 1000 / (uint64_t)ms : 0;
    unsigned percent = p->total ? (unsigned)(done * 100 / p->total) : 100;
    int n, room, filled;

    n = snprintf(tail, sizeof(tail), " %3u %%  %s/s  %s left", percent, text_bytes(speed, rate),
                 speed ? text_duration((p->total - done + speed - 1) / speed, left) : "?");
    room = (int)columns - 1 - (int)strlen(p->what) - n - 3;
    if (room > BAR_MAX)
        room = BAR_MAX;
    if (room < BAR_MIN) {
        snprintf(to, size, "%.*s %3u %%", columns > 8 ? (int)columns - 8 : 0, p->what, percent);
        return;
    }
    filled = p->total ? (int)((uint64_t)room * done / p->total) : room;
    n = snprintf(to, size, "%s [", p->what);
    for (int i = 0; i < room && (size_t)n + 1 < size; i++)
        to[n++] = i < filled ? '#' : '-';
    snprintf(to + n, size - (size_t)n, "]%s", tail);
}

void progress_begin(struct progress *p, const char *what, uint64_t total, bool quiet)
{
    *p = (struct progress){.what = what, .total = total, .began = stream_now()};
    p->shown = !quiet && isatty(STDERR_FILENO);
    p->drawn = p->began - EVERY_MS;
}

void progress_at(struct progress *p, uint64_t done)
{
    int64_t now = stream_now();
    unsigned columns, rows;
    char line[512];

    if (!p->shown || (now - p->drawn < EVERY_MS && done < p->total))
        return;
    p->drawn = now;
    term_size(&columns, &rows);
    progress_line(p, done, now - p->began, columns, line, sizeof(line));
    fputc('\r', stderr);
    text_put_safe(stderr, line);
    fputs("\033[K", stderr);
}

void progress_end(struct progress *p)
{
    if (p->shown)
        fputs("\r\033[K", stderr);
    p->shown = false;
}
