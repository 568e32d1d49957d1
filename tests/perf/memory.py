# SPDX-License-Identifier: BSD-2-Clause
"""What VMs cost in memory, and how soon one is there, for `tests/perf/bench --only memory`."""
import os
import re
import subprocess

import harness

VMS = 16
PATIENCE = 400


def image_kib():
    """Trapline itself: text, data, bss, the boot stack."""
    text = subprocess.run(["size", "-A", harness.ELF], check=True, capture_output=True, text=True).stdout
    sections = re.findall(r"^\.(?:text|rodata|data|bss|sdata|sbss|stack)\S* +(\d+)", text, re.M)
    return sum(map(int, sections)) >> 10


def column(table, name, n):
    return int(re.search(rf"^{name}((?: +\d+)+)$", table, re.M)[1].split()[n])


def start_instructions(tmp):
    """To make and to load a Debian VM of a bundle that is in memory, its hashes checked, in instructions: virtual time."""
    path = harness.make_bundle(f"{tmp}/start.itb", harness.vm(ram="128M"))
    with harness.Machine("bench-start", bundle=path, icount=True, limit=PATIENCE) as m:
        made, loaded = m.expect(r"vm0: started.*; made in (\d+) us, loaded in (\d+) us", 120).groups()
    return 1000 * int(made), 1000 * int(loaded)


def debians(tmp, name, count, mem):
    """So many Debians of 128 MiB at their shells: (frames, [(own, shared)] in KiB)."""
    words = [harness.vm(f"d{n}", ram="128M") for n in range(count)]
    path = harness.make_bundle(f"{tmp}/{name}.itb", *words)
    with harness.Machine(f"bench-{name}", bundle=path, harts=2, mem=mem, append="keep", limit=PATIENCE) as m:
        m.to_shell(count + 2)
        for n in range(count):
            m.line(f"console d{n}")
            m.expect(rf"\[trapline: console of d{n}\b[^\n]*\]", 30)
            m.expect(r"guest:~# ", PATIENCE)
            m.to_shell(count + 2)
        frames, listed = m.command("frames", 60), m.command("list", 60)
    own = [tuple(map(int, pair)) for pair in re.findall(r"^d\d+ +running +\d+ +\d+ MiB +(\d+) KiB +(\d+) KiB", listed, re.M)]
    if len(own) != count:
        raise AssertionError(f"not all {count} VMs run:\n{listed}")
    return frames, own


def rows(tmp):
    """[(row, value, most that it should be, how it is shown)]"""
    made, loaded = start_instructions(tmp)
    frames, own = debians(tmp, "sixteen", VMS, "2G")
    beside = column(frames, "all", 1)
    short, tight = debians(tmp, "short", VMS, "1G")
    del short

    def mean(pairs, n):
        return sum(pair[n] for pair in pairs) // len(pairs)

    return [
        ("128 MiB Debian VM: make it, instructions", made, None, "{}"),
        ("    made and loaded, its vCPU about to be woken", made + loaded, 1000000, "{}"),
        (f"{VMS} VMs: hypervisor's memory beside RAM and tables, KiB", beside, 3 << 10, "{}"),
        ("    Trapline's image, KiB (in no row above)", image_kib(), None, "{}"),
        ("    page tables, KiB", column(frames, "all", 2), None, "{}"),
        (f"RAM of its own, each of {VMS} Debians at a shell, 2 GiB host, KiB", mean(own, 0), None, "{}"),
        ("    shared with the bundle's images, KiB", mean(own, 1), None, "{}"),
        (f"RAM of its own, each of {VMS} Debians at a shell, 1 GiB host, KiB", mean(tight, 0), None, "{}"),
        ("    shared with the bundle's images, KiB", mean(tight, 1), None, "{}"),
    ]
