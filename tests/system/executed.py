# SPDX-License-Identifier: BSD-2-Clause
"""Which instructions of the hypervisor ran on an emulated machine: for line coverage (ci/coverage --system).

QEMU logs each block of instructions when it translates it, which it does as the block is about to run: no
other build is needed, and a test takes hardly longer. The log names virtual addresses only, and a guest's kernel
may be linked at the very same ones: a block counts when its words are the hypervisor's.
"""
import functools
import re
import struct

LINE = re.compile(r"0x([0-9a-f]{16}):  ([0-9a-f]{4}(?:[0-9a-f]{4})?) ")


@functools.lru_cache
def text(elf):
    """(address, bytes) of the ELF file's executable segment."""
    with open(elf, "rb") as file:
        data = file.read()
    at, size, count = struct.unpack_from("<Q", data, 32)[0], *struct.unpack_from("<HH", data, 54)
    for i in range(count):
        kind, flags, offset, address, _, length = struct.unpack_from("<IIQQQQ", data, at + i * size)
        if kind == 1 and flags & 1:
            return address, data[offset : offset + length]
    raise ValueError(f"{elf} has no code")


def options(elf, log):
    """What QEMU is to be started with."""
    address, code = text(elf)
    return ["-d", "in_asm", "-dfilter", f"{address:#x}+{len(code):#x}", "-D", log]


def addresses(elf, log):
    """Of the instructions that ran, a set."""
    start, code = text(elf)
    ran, block, ours = set(), [], True
    with open(log, encoding="ascii", errors="replace") as file:
        for line in file:
            match = LINE.match(line)
            if match:
                address, word = int(match[1], 16), bytes.fromhex(match[2])[::-1]
                ours = ours and code[address - start : address - start + len(word)] == word
                block.append(address)
            elif line.startswith("IN:"):
                if ours:
                    ran.update(block)
                block, ours = [], True
    return ran.union(block) if ours else ran
