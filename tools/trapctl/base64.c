// SPDX-License-Identifier: BSD-2-Clause
#include "base64.h"

#include <stdint.h>

void base64_encode(const void *data, size_t len, char *to)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *s = data;

    for (; len; s += 3, to += 4) {
        uint32_t v = (uint32_t)s[0] << 16 | (len > 1 ? s[1] << 8 : 0) | (len > 2 ? s[2] : 0);

        to[0] = digit[v >> 18];
        to[1] = digit[v >> 12 & 63];
        to[2] = len > 1 ? digit[v >> 6 & 63] : '=';
        to[3] = len > 2 ? digit[v & 63] : '=';
        len -= len < 3 ? len : 3;
    }
    *to = '\0';
}
