// SPDX-License-Identifier: BSD-2-Clause
// The switches of a machine, for the tests of commands: one, `lan0`, with two ports.
#pragma once
#include "net/capture.h"
#include "net/switch.h"

extern bool fake_link; /* of the one port that has one to be pulled; its settings, its switch's */
extern bool fake_isolated;
extern uint32_t fake_rate;
extern struct switch_config fake_net;
extern struct capture *fake_capture; /* of its frames */
extern const int fake_captured;
extern struct nat_forward fake_forward; /* port 0: there is none */
