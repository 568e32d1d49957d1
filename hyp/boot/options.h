// SPDX-License-Identifier: BSD-2-Clause
// The hypervisor's own command line (/chosen/bootargs): words, each NAME or NAME=VALUE.
//   keep      do not power off the machine when the last VM has ended
//   stats     log the exits of a VM when it stops
//   nosstc    no Sstc for guests: timers by software, as on hosts without it
//   nohtinst  treat htinst as 0: decode every faulting instruction
//   nohtval   treat htval and htinst as 0 (no Shtvala): walk the guest's tables at each page fault that exits
//   watchdog=SECONDS  report a hart that is stuck in the hypervisor for so long (10; 0: never)
//   nosse     the firmware is not to interrupt such a hart, to say where it is
//   vmid0     behave as a host with 0 VMID bits
// Lock rank: none, constant after boot. Callers: everyone above base.
#pragma once
/* The value ("" when it has none), or NULL when the option is absent. */
const char *boot_option(const char *name);
void boot_options_set(const char *line);
