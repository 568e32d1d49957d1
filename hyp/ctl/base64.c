// SPDX-License-Identifier: BSD-2-Clause
// Uploads are decoded by this, so the loop over whole groups has one look-up a character and one branch a group.
#include "ctl/base64.h"

#include <errno.h>

enum { GROUP = 4, BYTES = 3, BAD = 0x80 };

/* A digit's value, BAD for all other characters; by runs of digits, filled in on first use. */
static uint8_t value_of[256];

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void fill(void)
{
    for (unsigned i = 0; i < sizeof(value_of); i++)
        value_of[i] = BAD;
    for (unsigned i = 0; i < sizeof(alphabet) - 1; i++)
        value_of[(uint8_t)alphabet[i]] = (uint8_t)i;
}

static void put(uint8_t *to, uint32_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        to[i] = (uint8_t)(v >> (16 - 8 * i));
}

/* The last group, of 2 or 3 digits before the padding: their bits beyond whole bytes must be 0. */
static bool decode_last(const uint8_t *s, unsigned digits, uint8_t *to)
{
    uint32_t v = 0;

    for (unsigned i = 0; i < digits; i++) {
        if (value_of[s[i]] & BAD)
            return false;
        v |= (uint32_t)value_of[s[i]] << (18 - 6 * i);
    }
    if (v & (digits == 2 ? 0xFFFFu : 0xFFu))
        return false;
    put(to, v, digits - 1);
    return true;
}

int64_t base64_decode(const char *text, size_t len, uint8_t *to, size_t max)
{
    const uint8_t *s = (const uint8_t *)text, *end;
    unsigned padding;
    size_t bytes;

    if (!value_of[0])
        fill();
    if (len % GROUP)
        return -EINVAL;
    if (!len)
        return 0;
    padding = (unsigned)(s[len - 1] == '=') + (s[len - 1] == '=' && s[len - 2] == '=');
    bytes = len / GROUP * BYTES - padding;
    if (bytes > max)
        return -ENOSPC;
    for (end = s + len - (padding ? GROUP : 0); s < end; s += GROUP, to += BYTES) {
        uint32_t a = value_of[s[0]], b = value_of[s[1]], c = value_of[s[2]], d = value_of[s[3]];
        uint32_t v = a << 18 | b << 12 | c << 6 | d;

        if ((a | b | c | d) & BAD)
            return -EINVAL;
        to[0] = (uint8_t)(v >> 16);
        to[1] = (uint8_t)(v >> 8);
        to[2] = (uint8_t)v;
    }
    if (padding && !decode_last(s, GROUP - padding, to))
        return -EINVAL;
    return (int64_t)bytes;
}

size_t base64_encode(char *to, const uint8_t *data, size_t len)
{
    char *at = to;

    for (; len; at += GROUP) {
        size_t n = min_u64(len, BYTES);
        uint32_t v =
            (uint32_t)data[0] << 16 | (n > 1 ? (uint32_t)data[1] << 8 : 0) | (n > 2 ? data[2] : 0);

        for (unsigned i = 0; i < GROUP; i++)
            at[i] = i <= n ? alphabet[v >> (18 - 6 * i) & 63] : '=';
        data += n;
        len -= n;
    }
    return (size_t)(at - to);
}
