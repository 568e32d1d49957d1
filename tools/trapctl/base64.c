// SPDX-License-Identifier: BSD-2-Clause
#include "base64.h"

#include <stdint.h>
#include <string.h>

static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(const void *data, size_t len, char *to)
{
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

bool base64_decode(const char *text, size_t len, unsigned char *to, size_t *out)
{
    size_t padding = len && text[len - 1] == '=' ? 1 + (len > 1 && text[len - 2] == '=') : 0;
    unsigned char *at = to;

    if (len % 4)
        return false;
    for (size_t i = 0; i < len; i += 4) {
        uint32_t v = 0;

        for (unsigned k = 0; k < 4; k++) {
            bool pads = i + k >= len - padding;
            const char *d = pads ? digit : text[i + k] ? strchr(digit, text[i + k]) : NULL;

            if (!d)
                return false;
            v = v << 6 | (uint32_t)(d - digit);
        }
        *at++ = (unsigned char)(v >> 16);
        *at++ = (unsigned char)(v >> 8);
        *at++ = (unsigned char)v;
    }
    *out = (size_t)(at - to) - padding;
    return true;
}
