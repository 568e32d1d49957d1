// SPDX-License-Identifier: BSD-2-Clause
// The shell's console for tests that do not look at it: what is written to the host's terminal is gone. In tests/fake/ctl.units.
#pragma once

extern unsigned fake_shell_wakes; /* how often its thread was woken */

/* Starts the shell, if it has not been. */
void fake_shell_start(void);
