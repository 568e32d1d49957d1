// SPDX-License-Identifier: BSD-2-Clause
// A progress bar on standard error: drawn in place, only on a terminal, at most ten times a second.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
    const char *what;
    uint64_t total;
    int64_t began, drawn; /* stream_now() */
    bool shown;
};

/* quiet: nothing is ever drawn. */
void progress_begin(struct progress *p, const char *what, uint64_t total, bool quiet);
void progress_at(struct progress *p, uint64_t done);
/* Wipes the bar. */
void progress_end(struct progress *p);
/* The line for a terminal of that width: "what [####----]  50 %  12.3 MiB/s  0:01". Pure. */
void progress_line(const struct progress *p, uint64_t done, int64_t ms, unsigned columns, char *to,
                   size_t size);
