// SPDX-License-Identifier: BSD-2-Clause
// The report about a guest's access that nothing handles: what a person needs to find the cause.
// Invariants: only reads; guest memory through guest_mem, page tables by the bounded software walk.
// Lock rank: takes LOCK_STAGE2 (guest_mem). Callers: exit.c on the vCPU's own hart, or anyone while
// the vCPU is parked.
#pragma once
#include "vcpu/vcpu.h"

#define REPORT_SIZE 1024 /* as large as a report gets: struct vm's crash_report */

/* The report as text, lines separated by newlines, always terminated, cut at size. */
void report_guest_fault(struct vcpu *v, const char *what, char *buf, size_t size);
/* The same into the log, a line each, as errors. */
void report_log(struct vcpu *v, const char *what);
/* A line for each vCPU of the guest, parked, into the log, as errors: state and where it is. */
void report_log_vcpus(const struct guest *g);
