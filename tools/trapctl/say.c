// SPDX-License-Identifier: BSD-2-Clause
#include <stdarg.h>
#include <stdio.h>

#include "exit.h"
#include "term.h"
#include "text.h"

int say_quiet;

/* What the machine or a guest wrote may be part of it. */
static void say(const char *fmt, va_list ap)
{
    char line[1024];

    vsnprintf(line, sizeof(line), fmt, ap);
    term_restore(); /* an error ends what has the whole screen: it is to be seen afterwards */
    fflush(stdout);
    fputs("trapctl: ", stderr);
    text_put_safe(stderr, line);
    fputc('\n', stderr);
}

int say_error(int code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(fmt, ap);
    va_end(ap);
    return code;
}

void say_note(const char *fmt, ...)
{
    va_list ap;

    if (say_quiet)
        return;
    va_start(ap, fmt);
    say(fmt, ap);
    va_end(ap);
}
