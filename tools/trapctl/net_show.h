// SPDX-License-Identifier: BSD-2-Clause
// A network as query-nets describes it (docs/control.md), in tables for people. Pure. Callers: cmd_net.
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* A line about it, its ports, leases and forwards; with_macs: also where it has learnt which address is. */
void net_show(const json_t *net, bool with_macs, FILE *to);
/* "web/net-0: link=up rate=off isolated=off" */
void net_show_port(const json_t *port, FILE *to);
