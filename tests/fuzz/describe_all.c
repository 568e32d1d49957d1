// SPDX-License-Identifier: BSD-2-Clause
// Reads 32-bit instructions in hexadecimal, one a line, and prints for each its kind, length and
// disassembly, separated by tabs: the hypervisor's side of decode_vs_objdump.py. Host only.
#include <inttypes.h>
#include <stdio.h>

#include "vcpu/insn.h"

int main(void)
{
    uint32_t raw;

    while (scanf("%" SCNx32, &raw) == 1) {
        struct insn in;
        char text[64];
        int err = insn_decode(raw, &in);

        insn_describe(raw, text, sizeof(text));
        printf("%s\t%d\t%s\n", insn_name(err < 0 ? INSN_ILLEGAL : in.kind), in.length, text);
    }
    return 0;
}
