// SPDX-License-Identifier: BSD-2-Clause
// The exit codes of trapctl, as its manual promises them, and how an error is said.
// Callers: all; a function that returns one of these codes has said why.
#pragma once

enum exit_code {
    EXIT_OK = 0,
    EXIT_REFUSED = 1, /* the machine said no */
    EXIT_USAGE = 2, /* bad options or arguments */
    EXIT_CONNECT = 3, /* no machine, or none of its ports is free */
    EXIT_LOST = 4, /* it went away, did not answer in time, or does not speak the protocol */
    EXIT_LOCAL = 5, /* a file or the terminal here */
    EXIT_INTERRUPTED = 130, /* Ctrl-C, in the shell; elsewhere the signal itself ends trapctl */
};

/* "trapctl: …" to stderr; returns code. */
int say_error(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same for what is no error: kept quiet by --quiet. */
void say_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
extern int say_quiet;
