// SPDX-License-Identifier: BSD-2-Clause
// The names of a bundle's VMs, read from its file: a FIT image, whose tree has a node for each below /trapline
// (docs/bundle.md; Devicetree Specification 0.4, chapter 5). Nothing in the file is believed, and nothing is judged:
// names end where the tree makes no sense, since the machine checks the file as a whole and says what is wrong.
#pragma once
#include <stdio.h>

enum { FIT_NAME = 64 };

void fit_each_vm(FILE *file, void (*each)(void *ctx, const char *name), void *ctx);
