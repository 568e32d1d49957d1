// SPDX-License-Identifier: BSD-2-Clause
// What every command has: the settings, and the session with the machine, which begins when it is first needed.
#pragma once
#include "qmp.h"

struct ctl {
    const char *connect; /* --connect, or NULL */
    unsigned speed;
    int timeout_ms; /* for an answer */
    bool json, quiet;
    bool in_shell; /* the session stays, Ctrl-C does not end trapctl */
    bool connected;
    struct qmp qmp;
    char *where; /* the port, when connected */
};

/* 0, or an exit code, said. */
int ctl_connect(struct ctl *c);
void ctl_close(struct ctl *c);
/* One command: *value (may be NULL) is a new reference; arguments' reference is taken over. 0, or an exit code, said. */
int ctl_ask(struct ctl *c, const char *command, json_t *arguments, json_t **value);
/* The same with a time of its own for the answer. */
int ctl_ask_for(struct ctl *c, int timeout_ms, const char *command, json_t *arguments,
                json_t **value);
/* A failure of qmp_*: says q->why. A session that is lost is closed. */
int ctl_failed(struct ctl *c, int code);
/* {"vm": name} */
json_t *ctl_vm(const char *name);
/* A value as JSON on standard output, a line of its own. */
void ctl_print_json(const json_t *value);
/* What the hypervisor's shell prints for a line, on standard output; if the line fails, it is said. */
int ctl_monitor(struct ctl *c, const char *line);
/* What the hypervisor wrote for people, on standard output: lines end as they do here, controls are taken out. */
void ctl_print_text(const char *text);
