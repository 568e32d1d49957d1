// SPDX-License-Identifier: BSD-2-Clause
// fmt_snprintf of base/log.h by the host's own, for stand-alone host programs.
#include <stdio.h>

#include "base/log.h"

int fmt_snprintf(char *to, size_t size, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(to, size, fmt, ap);

    va_end(ap);
    return n;
}
