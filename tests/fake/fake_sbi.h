// SPDX-License-Identifier: BSD-2-Clause
// A guest for tests of vcpu/sbi/: vCPUs, harts, RAM, a console; and an ecall, done as switch.S and
// exit.c do it. What the SBI code asks of the rest of the hypervisor is recorded here.
// Link: tests/fake/fake_sbi.c tests/fake/fake_base.c and the files of vcpu/sbi/.
#pragma once
#include "vcpu/sbi/sbi.h"

#define FAKE_RAM 0x80000000ul
#define FAKE_RAM_SIZE 0x10000ul
#define FAKE_ECALL_PC 0x80001002ul
#define FAKE_ROOT 0x12345000ul
#define FAKE_HARTS 8

extern struct guest fake_guest;
extern struct vcpu fake_vcpus[GUEST_MAX_VCPUS];
extern uint8_t fake_ram[FAKE_RAM_SIZE];

/* count vCPUs: vCPU 0 is started and loaded on hart 0, the calling one; the others are started and
 * on no hart. */
void fake_sbi_reset(unsigned count);
void fake_sbi_load(unsigned vcpu, int hart); /* loads it there (hart's hgatp too), or -1 */
extern uint64_t fake_hgatp[FAKE_HARTS];

struct fake_result {
    enum exit_result verdict; /* EXIT_RESUME: answered */
    bool slow;                /* by sbi_dispatch_slow */
    bool ended;               /* it ended a handler of a software event: no reply */
    long error;               /* a0 and a1 afterwards */
    unsigned long value;
};
/* An ecall of vCPU 0 (fake_caller). Fails the test when other registers change, when a0, a1 or pc
 * change although the fast path said EXIT_SLOW, when an answered call does not go on at pc + 4. */
extern unsigned fake_caller;
struct fake_result fake_ecall(unsigned long ext, unsigned long fid, unsigned long a0,
                              unsigned long a1, unsigned long a2, unsigned long a3,
                              unsigned long a4);
/* The same, and the answer must be this. */
void fake_expect(struct fake_result r, long error, unsigned long value);

/* What was asked for. */
extern unsigned fake_starts, fake_ssip[GUEST_MAX_VCPUS], fake_timers, fake_injects, fake_events;
extern unsigned fake_populates, fake_xcall_runs, fake_vectors; /* of exit_choose_vectors */
extern uint64_t fake_xcall_mask; /* of the last xcall */
extern uint64_t fake_start_pc, fake_start_arg, fake_timer, fake_inject_cause, fake_inject_tval;
extern uint64_t fake_populated; /* the last one */
extern struct vcpu *fake_started;
extern enum guest_event fake_event;
extern uint32_t fake_reason;
extern int fake_start_result; /* instead of what vcpu_start would say, when not 0 */
extern int fake_populate_result;
extern int fake_walk_result; /* of vcpu_walk_vs, which finds fake_walk_out */
extern uint64_t fake_walk_out;
extern void (*fake_before_xcall)(void); /* what others do after the caller has looked */
extern void (*fake_on_request)(struct vcpu *v);

/* The console: takes fake_console_room more bytes; has fake_input to read. */
extern char fake_output[8192];
extern size_t fake_output_len, fake_console_room;
extern const char *fake_input;
extern size_t fake_input_len, fake_largest_piece;
extern int fake_mem_error; /* of guest_mem_read and guest_mem_write, when not 0 */
extern uint64_t fake_mem_error_from; /* at this address and above */

extern struct thread *fake_ready, *fake_yielded_to; /* waits for this hart; was yielded to */
