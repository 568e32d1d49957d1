// SPDX-License-Identifier: BSD-2-Clause
// The disks of a machine, for the tests of commands: one, `web`, and partitions; what is done to them is noted.
#pragma once
#include <stdbool.h>

extern char fake_disk_deed[160]; /* the last thing that was done to disks */
extern unsigned fake_disk_more; /* partitions besides `web`: the first is called `template` */
struct vdev;
extern struct vdev *fake_disk_told; /* the last one that was told that its disk has grown */
extern bool fake_disk_slow; /* counting takes too long */
