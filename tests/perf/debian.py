# SPDX-License-Identifier: BSD-2-Clause
"""What a whole Debian needs from QEMU's start to multi-user: natively, and as Trapline's guest.

Both have two harts, 512 MiB, and the same file system in the same partition of the same disk; each start has it as the template
was. The two take turns. Beside the wall time, which other work on this machine makes longer, the processor time that QEMU took.
"""
import os
import statistics
import subprocess
import time

import harness

TEMPLATE = os.path.join(harness.BUILD, "debian", "template.ext4")
ROUNDS = 3
MULTI_USER = r"Reached target .*multi-user\.target"
TARGET = 1.25


def make_disk(path):
    parts = harness.make_partitions(path, 2100 << 20, system="2048MiB")
    subprocess.run(["dd", f"if={TEMPLATE}", f"of={path}", "bs=1M", f"seek={parts['system'][0] >> 20}",
                    "conv=notrunc,sparse", "status=none"], check=True)
    return path


def cpu_time(parent):
    """Seconds of processor time of the one child of a process."""
    with open(f"/proc/{parent}/task/{parent}/children", encoding="ascii") as file:
        child = file.read().split()[0]
    with open(f"/proc/{child}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start(kind, tmp, number):
    """(wall, processor) seconds of one start."""
    disk = make_disk(f"{tmp}/debian.img")
    words = "systemd.hostname=debian console=" + ("ttyS0" if kind == "native" else "hvc0")  # what each has at once
    if kind == "native":
        options = {"kernel": harness.LINUX, "bundle": harness.INITRD, "mem": "512M", "append": f"root=/dev/vda1 {words}"}
    else:
        path = harness.make_bundle(f"{tmp}/debian.itb", harness.vm(
            "debian", bootargs=f"root=/dev/vda {words}", vcpus=2, ram="512M", disks=["part:system"]))
        options = {"bundle": path, "mem": "1G"}
    with harness.Machine(f"bench-debian-{kind}-{number}", harts=2, disk=disk, limit=1800, **options) as m:
        m.expect(MULTI_USER, 1500)
        result = time.monotonic() - m.started, cpu_time(m._process.pid)
    os.remove(disk)
    return result


def rows(tmp):
    """[what, native, Trapline, ratio], medians."""
    runs = {"native": [], "trapline": []}
    for number in range(ROUNDS):
        for kind, got in runs.items():
            got.append(start(kind, tmp, number))
    lines = []
    for index, what in enumerate(("wall time, s", "processor time, s")):
        native, ours = (statistics.median(run[index] for run in runs[kind]) for kind in ("native", "trapline"))
        lines.append((what, native, ours, ours / native))
    return lines
