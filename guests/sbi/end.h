// SPDX-License-Identifier: BSD-2-Clause
// The calls that do not return, one a run: end=WAY in the command line.
#pragma once

void end_machine(void);
