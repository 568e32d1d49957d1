# SPDX-License-Identifier: BSD-2-Clause
"""What a neighbour loses beside a VM that means harm, in the emulated machine's own time.

The neighbour (guests/work) computes on one vCPU for a fixed time, beside a VM of eight vCPUs: first one that only
computes, which leaves the neighbour its fair share; then each attack of guests/hostile. loss = 1 - work beside the
attack / work beside the computing. -icount shift=0,sleep=off: time is instructions of all harts together, so both
are exact, whatever this machine does besides; an idle hart leaves its instructions to the others, so that a
neighbour beside an attack that sleeps does more, not less (a negative loss).
"""
import os

import harness

GUESTS = os.path.join(harness.BUILD, "guests")
VCPUS = 8
LIMIT = 0.05
STORMS = ("storm fence ipi timer wfi irq nap hsm sbi mmio virtio paging csr system console").split()
FINALS = ("lost", "reboot", "crowd")  # what no VM comes back from


def work_beside(tmp, attack, harts, ms=500, words="", vcpus=1, then=False):
    """Rounds that the neighbour did in that many milliseconds."""
    bad = f"rounds=0 ops=1000000000 disks=1 attack={attack}" if not then else f"attack=none then={attack}"
    vms = [harness.vm("good", os.path.join(GUESTS, "work.bin"), None, f"ms={ms} {words}", vcpus=vcpus, ram="16M")]
    if attack:
        vms.append(harness.vm("bad", os.path.join(GUESTS, "hostile.bin"), None, bad, vcpus=VCPUS, ram="128M",
                              disks=["host"]))
    path = harness.make_bundle(f"{tmp}/storm.itb", *vms)
    disk = harness.make_disk(f"{tmp}/storm.img", 64 << 20)
    with harness.Machine(f"storm-{attack or 'alone'}-{harts}", bundle=path, harts=harts, icount=True, disk=disk,
                         append="keep", limit=400) as m:
        return int(m.expect(r"work: done (\d+) rounds", 380).group(1))


def losses(tmp, harts, storms=STORMS, finals=FINALS, **options):
    """(work beside computing, {attack: loss})."""
    fair = work_beside(tmp, "hog", harts, **options)
    work = {name: work_beside(tmp, name, harts, **options) for name in storms}
    work.update({name: work_beside(tmp, name, harts, then=True, **options) for name in finals})
    return fair, {name: 1 - n / fair for name, n in work.items()}
