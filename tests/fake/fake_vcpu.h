// SPDX-License-Identifier: BSD-2-Clause
// What hyp/vm stands on, for tests: vCPUs that park when asked (late, or never), threads as
// coroutines, stage 2 as an array of real frames, devices that stay busy, disks, consoles, boot
// options, firmware. Link: tests/fake/fake_vcpu.c tests/fake/fake_base.c tests/fake/fake_mem.c
// hyp/mem/frame.c All of stage 2 and of the devices is weak: a test may link the real files.
#pragma once
#include "vm/vm.h"

void fake_vm_start(uint64_t host_ram); /* a machine with so much RAM, everything as new */
void fake_vm_end(void);

/* Each thread_yield is a step: time goes on by a millisecond, vCPUs that were asked to may park. */
extern unsigned fake_park_delay; /* steps until a vCPU parks */
extern bool fake_park_never;
extern void (*fake_step)(void); /* called in each step; NULL */
extern uint64_t fake_steps;

/* Lets the manager (the one thread that was created) run until it blocks; false: nobody woke it. */
bool fake_manager_run(void);
/* Lets the time of its timer come; false: there is none. */
bool fake_timer_run(void);

extern int fake_creates_left; /* vCPUs, consoles, devices, disks that can be made; -1: all */
extern int fake_heap_left; /* heap_allocs that still work; -1: all */
extern unsigned fake_heap_blocks; /* blocks in use */
extern int fake_parts; /* how many of these exist */
extern unsigned fake_device_busy; /* steps for which the block device says that it is busy */
extern bool fake_reset_while_busy; /* a device was reset or destroyed while busy */
extern unsigned fake_host_disks;
extern bool fake_host_rtc; /* the host has a clock of the day */
extern bool fake_flush_lost; /* a flush is taken and never ends */
void fake_flush_ends(void); /* ... until this call */
extern unsigned fake_flushes;
extern struct port_config fake_last_port; /* of the card that was made last */
extern struct console *fake_focus; /* NULL: the shell */
extern const char *fake_options[4];
extern unsigned fake_timers_set; /* vcpu_set_timer calls */
extern uint64_t fake_mem_writes; /* guest_mem_write calls */

/* Reads what the guest would see. */
void fake_guest_read(struct vm *vm, uint64_t gpa, void *to, size_t len);
/* All lines that were logged since the start, one after the other. */
extern char fake_log[16384];
