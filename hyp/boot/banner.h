// SPDX-License-Identifier: BSD-2-Clause
// What was found, in a few aligned lines at boot and by the shell's "info".
// Lock rank: none. Callers: main.c, ctl.
#pragma once
#include "base/log.h"
#include "boot/platform.h"

struct banner_facts {
    unsigned vmid_bits;
};
extern struct banner_facts banner_facts;

void banner_print(const struct platform *p); /* to the log */
/* The same lines to anybody. */
void banner_lines(const struct platform *p, void (*emit)(void *ctx, const char *line), void *ctx);
/* The log's way to the terminal while no shell or VM has it. */
void banner_log_sink(enum log_level level, const char *line, size_t len);
