// SPDX-License-Identifier: BSD-2-Clause
// What guests get of the host's ISA: probed and switched, never only promised.
// Lock rank: none, constant after boot. Callers: boot (probe), vm (guest's device tree), vcpu.
#pragma once
#include "vcpu/vcpu.h"

struct platform;
/* Probes on the boot hart: optional CSRs under a trap guard, whatever the device tree says. */
void features_probe(const struct platform *p);
/* Extensions that a guest has, space separated, in the device tree's spelling: "i m a f d c ..." */
const char *vcpu_isa(void);
/* Sets what the guest's hardware state enables, to match vcpu_isa(). */
void features_apply(struct guest *g);
