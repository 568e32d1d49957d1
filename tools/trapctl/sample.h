// SPDX-License-Identifier: BSD-2-Clause
// Two looks at a machine, and what it did between them: the rows of `top`. Pure but for sample_take.
// Invariant: anything may be missing from what the machine answers; what is missing is 0.
#pragma once
#include "ctl.h"

enum { SAMPLE_NAME = 48, SAMPLE_HARTS = 64 };

/* What a row's numbers are. Shares are percent of one hart; rates are per second. */
enum sample_value {
    SAMPLE_VCPUS,
    SAMPLE_CPU,
    SAMPLE_WAIT,
    SAMPLE_CAPPED,
    SAMPLE_EXITS,
    SAMPLE_MEMORY,
    SAMPLE_MAPPED,
    SAMPLE_SHARED,
    SAMPLE_READ,
    SAMPLE_WRITE,
    SAMPLE_RECEIVED,
    SAMPLE_SENT,
    SAMPLE_WEIGHT,
    SAMPLE_CAP,
    SAMPLE_TIME, /* nanoseconds, in all */
    SAMPLE_UPTIME, /* seconds */
    SAMPLE_VALUES,
};

struct sample_row {
    char vm[SAMPLE_NAME];
    int vcpu; /* -1: the whole VM */
    char state[SAMPLE_NAME];
    char harts[SAMPLE_NAME]; /* that it may run on; of a vCPU, where it ran last */
    bool unrated; /* a vCPU, when the look before had none: its shares and rates are not known */
    double value[SAMPLE_VALUES];
};

struct sample_host {
    double seconds; /* between the looks, by the machine's clock */
    unsigned harts;
    double busy[SAMPLE_HARTS]; /* percent */
    double uptime, total, free, promised, overcommitted;
    unsigned vms, running;
};

struct sample {
    json_t *vms, *stats, *vcpus, *host;
};

/* One look: commands are sent together. 0, or an exit code, said. */
int sample_take(struct ctl *c, bool with_vcpus, struct sample *s);
void sample_free(struct sample *s);
/* The rows, each VM's vCPUs behind it: *rows is to be freed; how many. before may be empty: rates are then since the
   machine's start. */
size_t sample_rows(const struct sample *before, const struct sample *now, struct sample_row **rows);
void sample_host(const struct sample *before, const struct sample *now, struct sample_host *h);
/* A state as people call it: "running", "off", … */
const char *sample_state(const char *status);
