// SPDX-License-Identifier: BSD-2-Clause
// What people write of networks, in bundles and commands: modes, addresses, forwards, rates.
// Pure. Lock rank: none. Callers: vm/bundle_net.c, ctl.
#pragma once
#include "net/switch.h"

enum { NET_TEXT_IP4 = sizeof("255.255.255.255/32") };

/* Each: false if that is not what the text is. */
bool net_text_mode(const char *s, enum switch_mode *mode);
/* "10.0.2.15", or with "/24" behind it (8 to 30) where prefix is not NULL. */
bool net_text_ip4(const char *s, uint32_t *address, uint8_t *prefix);
/* prefix 0: without. */
void net_text_put_ip4(char to[NET_TEXT_IP4], uint32_t address, unsigned prefix);
/* One of the settings of a switch: mode, subnet, address, router, dns; the last but the router may be "dhcp". */
bool net_text_setting(const char *key, const char *value, struct switch_change *c);
/* "tcp:2222:vm0:22": from port 2222 of the outer address to port 22 of vm0's first card (vm0.1: of its second). */
bool net_text_forward(const char *s, struct nat_forward *w);
/* Bytes a second, with K, M or G (of 1024) behind the number: len characters in all, at least PORT_RATE_MIN. */
bool net_text_rate(const char *s, size_t len, uint32_t *rate);
