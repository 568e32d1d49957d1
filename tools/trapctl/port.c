// SPDX-License-Identifier: BSD-2-Clause
#include "port.h"

#include <string.h>

#include "exit.h"

int port_parse(const char *word, const char *command, bool uplink_too, struct port *p)
{
    const char *slash = strchr(word, '/');
    size_t len = slash ? (size_t)(slash - word) : 0;

    *p = (struct port){.name = word};
    if (!len || len >= sizeof(p->of) || !slash[1])
        return say_error(EXIT_USAGE, "%s: '%s' is no port: VM/net-0%s (`trapctl net` lists them)",
                         command, word, uplink_too ? ", or NET/uplink" : "");
    memcpy(p->of, word, len);
    p->device = slash + 1;
    p->uplink = !strcmp(p->device, "uplink");
    if (p->uplink && !uplink_too)
        return say_error(EXIT_USAGE, "%s: '%s' is the outside's port: this is for VMs' (VM/net-0)",
                         command, word);
    return EXIT_OK;
}

json_t *port_capture_arguments(const struct port *p)
{
    if (p->uplink)
        return json_pack("{s:s, s:s}", "net", p->of, "port", "uplink");
    return json_pack("{s:s, s:s}", "vm", p->of, "device", p->device);
}
