// SPDX-License-Identifier: BSD-2-Clause
// Where a machine may be: the sockets that are tried when trapctl starts, in order.
#pragma once
#include <stdbool.h>

enum { FIND_MAX = 16, FIND_PORTS = 4 };

struct find {
    char *path[FIND_MAX]; /* that there are */
    unsigned count;
    bool named; /* by --connect or TRAPCTL_CONNECT: nothing else is looked for */
};

/* connect (NULL: none given) is a socket, a serial device, or a folder with control.1 to control.4. Else TRAPCTL_CONNECT
   likewise, build/ of the checkout that the current folder is in, $XDG_RUNTIME_DIR/trapline. */
void find_ports(struct find *f, const char *connect);
void find_free(struct find *f);
