// SPDX-License-Identifier: BSD-2-Clause
// A network port or a disk as people name it: VM/net-N, NET/uplink, VM/disk-N. Callers: commands about them.
#pragma once
#include "ctl.h"

enum { PORT_NAME = 128 };

struct port {
    const char *name; /* as it was typed */
    char of[PORT_NAME]; /* the VM, or the network of an uplink */
    const char *device; /* "net-0"; of an uplink "uplink" */
    bool uplink;
};

/* 0, or EXIT_USAGE, said with the command's name. */
int port_parse(const char *word, const char *command, bool uplink_too, struct port *p);
/* {"vm", "device"}, or {"net", "port": "uplink"}. */
json_t *port_capture_arguments(const struct port *p);
