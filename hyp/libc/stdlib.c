// SPDX-License-Identifier: BSD-2-Clause
// strtoul, for libfdt, boot arguments and the shell.
#include <limits.h>
#include <stdlib.h>

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'Z')
        return c - 'A' + 10;
    return INT_MAX;
}

/* As in C: white space, sign, base 0 reads the prefix, ULONG_MAX when it does not fit. */
unsigned long strtoul(const char *s, char **end, int base)
{
    const char *p = s;
    int negative = 0, any = 0, over = 0;
    unsigned long v = 0;

    while (*p == ' ' || (*p >= '\t' && *p <= '\r'))
        p++;
    if (*p == '+' || *p == '-')
        negative = *p++ == '-';
    if ((base == 0 || base == 16) && p[0] == '0' && (p[1] == 'x' || p[1] == 'X') &&
        digit(p[2]) < 16) {
        p += 2;
        base = 16;
    } else if (base == 0) {
        base = *p == '0' ? 8 : 10;
    }
    for (; digit(*p) < base; p++, any = 1) {
        unsigned long d = (unsigned long)digit(*p);
        if (v > (ULONG_MAX - d) / (unsigned long)base)
            over = 1;
        v = v * (unsigned long)base + d;
    }
    if (end)
        *end = (char *)(any ? p : s);
    if (over)
        return ULONG_MAX;
    return negative ? -v : v;
}
