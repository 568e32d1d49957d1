// SPDX-License-Identifier: BSD-2-Clause
// Every device that a VM may have, for the tests that must forget none: they walk this list, and ci/devices sees to
// it that each constructor of vdev/ is in it.
// Link: tests/fake/fake_devices.c and fake_vdev.c, fake_base.c, fake_guest_mem.c; the devices.
#pragma once
#include "fake_vdev.h"

enum { FAKE_TWINS = 2 }; /* of each there may be two at a time, with backends of their own */

struct fake_device {
    const char *name;
    struct vdev *(*make)(unsigned n); /* the nth, with its backends as new */
    unsigned queues; /* that its driver sets up; 0: it is no virtio device */
    unsigned chain; /* buffers of a request: one to be written, or 3: header, data, status */
    struct fake_chr *chr; /* its character streams, or NULL */
};
extern const struct fake_device fake_devices[];
extern const unsigned fake_device_count;
/* Its place in the list; the test fails when there is none. */
unsigned fake_device_find(const char *name);

/* Their backends. */
extern struct fake_chr fake_device_uart[FAKE_TWINS], fake_device_console[FAKE_TWINS];
extern struct fake_blk fake_device_disk[FAKE_TWINS];
extern struct fake_net fake_device_net[FAKE_TWINS];
extern unsigned fake_device_contexts; /* of the PLIC; 2 unless a test says otherwise */
extern bool fake_device_changes_only; /* it may not tell what it has told already (a load may) */
extern bool fake_device_external[FAKE_TWINS][4]; /* what it told the vCPUs */
extern uint64_t
    fake_device_clock[FAKE_TWINS]; /* us until the watchdog ends; UINT64_MAX: it stands */
extern uint64_t fake_device_day; /* the host's clock of the day, of all: ns */
/* Requests in flight end; the device, of which nothing may be left then, is destroyed. */
void fake_device_end(struct vdev *dev);
void fake_devices_free(void); /* the disks' memory */
