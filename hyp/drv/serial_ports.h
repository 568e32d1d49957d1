// SPDX-License-Identifier: BSD-2-Clause
// Ports of the host's virtio serial device (virtio 1.2, 5.3, MULTIPORT): byte streams to programs on the machine
// beyond; under QEMU each is a socket, or what else QEMU's chardev is.
//
// A port is open while somebody is connected to its other end. What is read waits in the device's buffers and what is
// written in the driver's, so neither side outruns the other. Nothing waits: reading and writing take what there is.
// Lock rank: none. Callers: the control thread only (ctl.c), which wake is for.
#pragma once
#include "base/util.h"

enum { SERIAL_PORTS = 4 };

/* wake, from the interrupt path: there may be something to do. NULL before: nothing is lost. */
void serial_ports_start(void (*wake)(void));
/* Takes what the device says about its ports: call it when woken, before the ports are looked at. */
void serial_ports_step(void);
/* 0: nobody is connected; else a number that is another one for each connection. */
unsigned serial_port_connection(unsigned port);
/* How many bytes were read or taken for writing; what is written to a port that is not open is lost. */
size_t serial_port_read(unsigned port, char *to, size_t max);
size_t serial_port_write(unsigned port, const char *data, size_t len);
