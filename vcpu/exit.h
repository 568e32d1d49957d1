// SPDX-License-Identifier: BSD-2-Clause
// Exits: what happens when a guest traps into the hypervisor.
//
// switch.S saves the caller-saved registers on entry and calls the row of the one table
// (exit_table, by scause). A row that is marked slow first has s0..s11 and the trap CSRs saved.
// A handler returns a verdict; it never switches threads or re-enters the guest. exit.c applies the
// verdict, then does what the exit boundary asks: requests, parking, waiting, scheduling.
// Invariants: a handler that cannot finish returns EXIT_BLOCK before any side effect; the
// instruction is then run again. Nothing a guest does makes a handler panic.
// Lock rank: handlers hold none on entry or return. Callers: switch.S only.
#pragma once
#include "vcpu/vcpu.h"

enum exit_result {
    EXIT_RESUME, /* go on at pc: the access is to be retried, or pc is set already */
    EXIT_ADVANCE, /* go on after the instruction; its length is vcpu->exit_length (4 for ecall) */
    EXIT_INJECT, /* vcpu_inject was called: deliver the exception */
    EXIT_BLOCK, /* wait (WFI, a busy backend), then run the instruction again or go on */
    EXIT_STOP, /* the vCPU must not go on: the VM ends, restarts or crashed */
    EXIT_SLOW, /* fast path only: do it again with everything saved */
};

/* The report about a guest access that nothing handles; stops the VM. */
enum exit_result exit_crash(struct vcpu *v, const char *what);
const char *exit_cause_name(unsigned index); /* index into vcpu->exits */
/* Costs in instructions by cause, switched on and off for all vCPUs. */
void exit_set_costs(bool on);
/* Sets the trap vector of this hart as costs and the loaded vCPU's guest want it. */
void exit_choose_vector(void);
/* The same on all harts that run vCPUs of the guest now; others do it when they load one. */
void exit_choose_vectors(const struct guest *g);
