// SPDX-License-Identifier: BSD-2-Clause
// test_vm_ends over the real stage 2 and guest_mem: what they take for a VM comes back, too.
// units: tests/fake/life.units stage2/*.c tests/fake/fake_xcall.c
#include "test_vm_ends.c" // NOLINT(bugprone-suspicious-include)
