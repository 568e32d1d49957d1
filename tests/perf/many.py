# SPDX-License-Identifier: BSD-2-Clause
"""Boots of many VMs at once, for `tests/perf/bench --only many`: one hart under -icount, whose time is the instructions of all."""
import re

import harness

MANY = 8


def boots(path, n, bootargs, initrd):
    """Instructions from the first VM's start to the last one's power off, n Debian VMs at once."""
    harness.make_bundle(path, *(harness.vm(f"v{i}", initrd=initrd, bootargs=bootargs, ram="128M") for i in range(n)))
    with harness.Machine(f"bench-many-{n}", bundle=path, icount=True, mem="2G", limit=900) as m:
        m.expect("no VM runs: powering off", 800)
        starts = re.findall(r"\[ *(\d+\.\d+)\] v\d+: started", m.output)
        ends = re.findall(r"\[ *(\d+\.\d+)\] v\d+: stopped", m.output)
        assert len(ends) == n, ends
        return round((float(ends[-1]) - float(starts[0])) * 1e9)


def rows(tmp, bootargs, initrd):
    """[(row, value)]"""
    one = boots(f"{tmp}/one.itb", 1, bootargs, initrd)
    many = boots(f"{tmp}/many.itb", MANY, bootargs, initrd)
    return [
        ("one Debian VM of 128 MiB, from its start to its power off", f"{one}"),
        (f"{MANY} of them at once", f"{many}"),
        (f"{MANY} at once, over {MANY} times one", f"{many / one / MANY:.3f}"),
    ]
