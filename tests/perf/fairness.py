# SPDX-License-Identifier: BSD-2-Clause
"""What the scheduler does, for `tests/perf/bench --only sched`; guests/sched has the guest's side.

All in virtual time, which under -icount is instructions: with one hart exactly, with two those of both together (QEMU runs one
hart at a time, and not evenly: what a hart computed in its time is no measure of fairness, the time itself is).
"""
import os
import re

import harness

GUEST = os.path.join(harness.BUILD, "guests", "sched.bin")
WEIGHTS = (1, 2, 4, 1, 2, 4, 1, 2)
SECONDS = 10


def make(tmp, *vms):
    """vms: (command line, weight)."""
    words = [harness.vm(f"v{i}", GUEST, None, line, ram="16M") + ["--weight", str(weight)]
             for i, (line, weight) in enumerate(vms)]
    return harness.make_bundle(f"{tmp}/sched.itb", *words)


def one_result(tmp, name, row, *vms):
    with harness.Machine(f"bench-sched-{name}", bundle=make(tmp, *vms), icount=True) as m:
        return int(m.expect(rf"sched {row} (\d+)[ \n]", 60).group(1))


def seconds_run(m):
    text = m.command("top", 60)
    return [float(s) for s in re.findall(r"^v\d +\d+% +\d+ +- all +(\d+\.\d+)", text, re.M)]


def share_error(tmp):
    """The worst of 8 busy VMs on 2 harts, over SECONDS of the machine's time, as a fraction of its share."""
    path = make(tmp, *[(f"hog seconds={SECONDS * 8}", 100 * w) for w in WEIGHTS])
    with harness.Machine("bench-sched-share", bundle=path, harts=2, append="keep",
                         args=["-icount", "shift=3,sleep=off"]) as m:
        m.to_shell()
        begin, ran = seconds_run(m), []
        while sum(ran) < 2 * SECONDS:
            ran = [now - then for now, then in zip(seconds_run(m), begin)]
    return max(abs(r * sum(WEIGHTS) / (w * sum(ran)) - 1) for r, w in zip(ran, WEIGHTS))


def work(tmp, vms):
    """Rounds that so many computing VMs do together on 2 harts, each in a second of the machine's time."""
    path = make(tmp, *[("hog tick seconds=1", 100)] * vms)
    with harness.Machine(f"bench-sched-work-{vms}", bundle=path, harts=2, icount=True, append="keep") as m:
        for _ in range(vms):
            m.expect(r"v\d+: stopped", 120)
        m.expect("no VM runs", 30)
        rounds = 0
        for i in range(vms):  # each console shows what it has had
            m.send(harness.ESCAPE)
            m.expect(rf"console of v{i}", 10)
            rounds += int(m.expect(r"sched hog (\d+)\nsched guest: end\n", 10).group(1))
        return rounds


def rows(tmp):
    """[(row, value, most that it should be, or least where that is negated, how it is shown)]"""
    # Two that do nothing but yield: each waits for the other's exit and two switches.
    switch = one_result(tmp, "switch", "yield", ("yield", 100), ("yield", 100)) // 2
    wake = one_result(tmp, "wake", "wake", ("wake", 100), ("hog seconds=1", 100))
    return [
        ("share error, 8 VMs of weights 1:2:4 on 2 harts, 10 s", share_error(tmp), 0.01, "{:.2%}"),
        ("WRS.NTO's exit and switch to another VM's vCPU", switch, 400, "{}"),
        ("work of 8 computing VMs on 2 harts, over that of 2", work(tmp, 8) / work(tmp, 2), -0.98, "{:.4f}"),
        ("wake-up by a timer beside a hog, after the timer", wake, 3000, "{}"),
    ]
