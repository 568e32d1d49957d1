// SPDX-License-Identifier: BSD-2-Clause
// Finds a port that answers. A port serves one client: one that is taken accepts a connection and stays silent. So the
// candidates are tried one after the other, the next as soon as the last one fails or has been silent for a moment,
// while those before go on being listened to; the first greeting decides.
#pragma once
#include "qmp.h"

struct dial {
    const char *connect; /* --connect, or NULL */
    unsigned speed; /* of a serial device */
    int timeout_ms;
};

/* 0, and a session that has been negotiated, *where its path (to be freed); else an exit code, and it was said why. */
int dial(const struct dial *d, struct qmp *q, char **where);
