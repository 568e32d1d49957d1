// SPDX-License-Identifier: BSD-2-Clause
// What DHCP's two sides have in common: messages and options (RFC 2131, 2132).
// Pure. Lock rank: none. Callers: nat_service.c (server), dhcp_client.c.
#pragma once
#include "net/packet.h"

enum { /* from the UDP header's end */
       DHCP_OP = 0,
       DHCP_HARDWARE = 1,
       DHCP_HARDWARE_LEN = 2,
       DHCP_XID = 4,
       DHCP_SECONDS = 8,
       DHCP_FLAGS = 10,
       DHCP_CLIENT = 12,
       DHCP_YOURS = 16,
       DHCP_SERVER = 20,
       DHCP_MAC = 28,
       DHCP_MAC_FIELD = 16,
       DHCP_MAGIC = 236,
       DHCP_OPTIONS = 240,
       DHCP_LEAST = 300, /* RFC 1542, 2.1: BOOTP's */
       DHCP_MOST = 548 /* of a message that is looked at: 576 bytes with its headers */
};
enum { DHCP_SERVER_PORT = 67, DHCP_CLIENT_PORT = 68, UDP_HEADER = 8 };
enum { DHCP_ASKS = 1, DHCP_ANSWERS = 2, DHCP_ETHERNET = 1 };
enum dhcp_type {
    DHCP_DISCOVER = 1,
    DHCP_OFFER,
    DHCP_REQUEST,
    DHCP_DECLINE,
    DHCP_ACK,
    DHCP_NAK,
    DHCP_RELEASE,
    DHCP_INFORM
};
enum { /* options */
       DHCP_OPTION_PAD = 0,
       DHCP_OPTION_MASK = 1,
       DHCP_OPTION_ROUTER = 3,
       DHCP_OPTION_DNS = 6,
       DHCP_OPTION_MTU = 26,
       DHCP_OPTION_ADDRESS = 50,
       DHCP_OPTION_LEASE = 51,
       DHCP_OPTION_TYPE = 53,
       DHCP_OPTION_SERVER = 54,
       DHCP_OPTION_WANTED = 55,
       DHCP_OPTION_T1 = 58,
       DHCP_OPTION_T2 = 59,
       DHCP_OPTION_CLIENT = 61,
       DHCP_OPTION_END = 255
};
#define DHCP_COOKIE 0x63825363u

/* An option's value of at least len bytes, in a message of size bytes; or NULL. */
const uint8_t *dhcp_find(const uint8_t *m, uint32_t size, uint8_t option, uint8_t len);
/* A number of len bytes as an option; where the next one goes. */
uint8_t *dhcp_put(uint8_t *to, uint8_t option, uint8_t len, uint32_t value);
