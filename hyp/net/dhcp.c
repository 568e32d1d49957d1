// SPDX-License-Identifier: BSD-2-Clause
#include "net/dhcp.h"

#include <stddef.h>

const uint8_t *dhcp_find(const uint8_t *m, uint32_t size, uint8_t option, uint8_t len)
{
    uint32_t at = DHCP_OPTIONS;

    while (at < size && m[at] != DHCP_OPTION_END) {
        if (m[at] == DHCP_OPTION_PAD) {
            at++;
            continue;
        }
        if (at + 2 > size || at + 2u + m[at + 1] > size)
            return NULL;
        if (m[at] == option)
            return m[at + 1] >= len ? m + at + 2 : NULL;
        at += 2u + m[at + 1];
    }
    return NULL;
}

uint8_t *dhcp_put(uint8_t *to, uint8_t option, uint8_t len, uint32_t value)
{
    to[0] = option;
    to[1] = len;
    for (unsigned i = 0; i < len; i++)
        to[2 + i] = (uint8_t)(value >> (8 * (len - 1 - i)));
    return to + 2 + len;
}
