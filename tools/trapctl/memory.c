// SPDX-License-Identifier: BSD-2-Clause
#include "memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exit.h"

static void *sure(void *p)
{
    if (!p)
        exit(say_error(EXIT_LOCAL, "out of memory"));
    return p;
}

void *memory_grow(void *old, size_t size) { return sure(realloc(old, size)); }

char *memory_copy(const char *text) { return sure(strdup(text)); }

char *memory_print(const char *fmt, ...)
{
    char *text;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        text = NULL;
    va_end(ap);
    return sure(text);
}
