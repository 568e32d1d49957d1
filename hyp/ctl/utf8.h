// SPDX-License-Identifier: BSD-2-Clause
// UTF-8 (RFC 3629): one character to bytes, and whether bytes are one.
// Pure. Lock rank: none. Callers: JSON, the protocol's console output.
#pragma once
#include "base/util.h"

enum { UTF8_MAX = 4, UTF8_REPLACEMENT = 0xFFFD };

/* How many bytes c, at most 0x10FFFF, became. */
static inline size_t utf8_put(char to[UTF8_MAX], uint32_t c)
{
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (char)(0xC0 | c >> 6);
        to[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        to[0] = (char)(0xE0 | c >> 12);
        to[1] = (char)(0x80 | (c >> 6 & 0x3F));
        to[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    to[0] = (char)(0xF0 | c >> 18);
    to[1] = (char)(0x80 | (c >> 12 & 0x3F));
    to[2] = (char)(0x80 | (c >> 6 & 0x3F));
    to[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

/* How long the character is that s begins with, or 0 when its bytes are not UTF-8. */
static inline size_t utf8_length(const char *s, size_t len)
{
    const unsigned char *b = (const unsigned char *)s;
    size_t need = b[0] < 0x80   ? 1
                  : b[0] < 0xC2 ? 0
                  : b[0] < 0xE0 ? 2
                  : b[0] < 0xF0 ? 3
                  : b[0] < 0xF5 ? 4
                                : 0;

    if (need > len)
        return 0;
    for (size_t i = 1; i < need; i++)
        if ((b[i] & 0xC0) != 0x80)
            return 0;
    if ((b[0] == 0xE0 && b[1] < 0xA0) ||
        (b[0] == 0xED && b[1] > 0x9F) || /* overlong; half a surrogate pair */
        (b[0] == 0xF0 && b[1] < 0x90) || (b[0] == 0xF4 && b[1] > 0x8F))
        return 0;
    return need;
}

/* len, less a character at the end of which there is only a part. */
static inline size_t utf8_whole(const char *s, size_t len)
{
    for (size_t back = 1; back < UTF8_MAX && back <= len; back++) {
        unsigned char c = (unsigned char)s[len - back];

        if (c >= 0xC0)
            return utf8_length(s + len - back, back) || back >= (c < 0xE0   ? 2u
                                                                 : c < 0xF0 ? 3u
                                                                            : 4u)
                       ? len
                       : len - back;
        if (c < 0x80)
            break;
    }
    return len;
}
