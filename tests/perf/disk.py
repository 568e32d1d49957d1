# SPDX-License-Identifier: BSD-2-Clause
"""What a disk costs, for `tests/perf/bench --only disk`: fio in Debian, as a guest and natively, on the same QEMU disk.

Natively /dev/vda1 is the partition that the guest has as its raw disk; the image is another partition, all its clusters allocated.
Throughput is in requests a second of wall time, two harts each; the two machines are up together and measured by turns,
so that what else the machine is doing meets both; medians. What an exit costs by the clock is a small guest's to tell. Exits and instructions are differences between a long run
and a short one, so that fio's own start is not in them; instructions under -icount, one hart, of all that the machine does.
"""
import os
import re
import statistics
import subprocess

import harness
from qmp import Client

DISK = "disk.img"
MIB = 128
ROUNDS = 3
SECONDS = 2
JOBS = [(rw, depth) for rw in ("read", "write", "randread", "randwrite") for depth in (1, 16)]
NAMES = {"read": "sequential read", "write": "sequential write", "randread": "random read", "randwrite": "random write"}
TARGET = {"raw": 0.85, "qcow2": 0.75}
EXITS = 0.5  # a request, depth 16
BATCHES = "--iodepth_batch_submit=16 --iodepth_batch_complete_min=8 --iodepth_batch_complete_max=16"
COST_JOBS = [("random read, depth 1", "randread", 1, ""), ("random read, depth 16, one by one", "randread", 16, ""),
             ("random read, depth 16, in batches", "randread", 16, BATCHES),
             ("random write, depth 16, in batches", "randwrite", 16, BATCHES)]
SHORT, LONG, WARM_UP = 1000, 5000, 5000
BOOTARGS = "console=hvc0 initcall_blacklist=pmu_sbi_devinit"


def make_disk(tmp):
    """A partition of random bytes, and a qcow2 image of the same in another."""
    path, raw, image = (os.path.join(tmp, name) for name in (DISK, "raw", "image"))
    parts = harness.make_partitions(harness.make_disk(path, (2 * MIB + 64) << 20), (2 * MIB + 64) << 20,
                                    raw=f"{MIB}MiB", image=f"{MIB + 16}MiB")
    with open(raw, "wb") as file:
        for _ in range(MIB):
            file.write(os.urandom(1 << 20))
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, image], check=True)
    harness.copy_in(path, parts["raw"], raw)
    harness.copy_in(path, parts["image"], image)
    os.remove(raw)
    os.remove(image)
    return path


def make_initrd(tmp):
    return harness.make_initrd(f"{tmp}/fio.cpio", [harness.linux_tool("instret")],
                               program=os.path.join(harness.BUILD, "fio") + "=usr/bin/fio")


def copy_of_disk(tmp, name):
    image = os.path.join(tmp, f"{name}.img")
    subprocess.run(["cp", "--sparse=never", os.path.join(tmp, DISK), image], check=True)
    return image


class Side:
    """A machine, native or with Trapline, and its disks: {"raw": device, "qcow2": device}."""

    def __init__(self, native, tmp, initrd, copy, icount=False, cpu="rv64"):
        self.native = native
        harts = 1 if icount else 2
        image = copy_of_disk(tmp, copy)
        if native:
            self.device = {"raw": "/dev/vda1"}
            options = {"kernel": harness.LINUX, "bundle": initrd, "append": BOOTARGS.replace("hvc0", "ttyS0"), "mem": "512M"}
        else:
            self.device = {"raw": "/dev/vda", "qcow2": "/dev/vdb"}
            bundle = harness.make_bundle(f"{tmp}/disk-{copy}.itb", harness.vm(
                initrd=initrd, bootargs=BOOTARGS, ram="512M", vcpus=harts, disks=["part:raw", "qcow2:image"]))
            options = {"bundle": bundle, "append": "keep"}
            path = f"{tmp}/{copy}.control"
            options["args"] = ["-device", "virtio-serial-device,max_ports=8", "-chardev",
                               f"socket,id=c0,path={path},server=on,wait=off",
                               "-device", "virtserialport,chardev=c0,name=trapline.control.0"]
        self.machine = harness.Machine(f"bench-disk-{copy}", disk=image, harts=harts, icount=icount, cpu=cpu, limit=1800,
                                       **options)
        self.machine.boot(400)
        self.control = None if native else Client(path, timeout=300)

    def fio(self, kind, rw, depth, words):
        text = self.machine.run(
            f"/usr/bin/fio --name=x --filename={self.device[kind]} --direct=1 --ioengine=libaio --bs=4k --iodepth={depth} --rw={rw} "
            f"--output-format=terse --terse-version=3 {words}", 300)
        fields = next(line for line in text.splitlines() if line.startswith("3;")).split(";")
        assert fields[4] == "0", text
        return float(fields[7 if "read" in rw else 48])  # requests a second

    def exits(self):
        """{cause: count} so far."""
        if self.native:
            return {}
        exits = self.control.execute("query-exits", vm="vm0")
        return {"total": exits["total"], **{e["cause"]: e["count"] for e in exits["exits"]}}

    def instructions(self):
        return int(re.search(r"instret (\d+)", self.machine.run("instret")).group(1))

    def run_of(self, kind, rw, depth, ios, words):
        exits, start = self.exits(), self.instructions()
        self.fio(kind, rw, depth, f"--number_ios={ios} {words}")
        spent = self.instructions() - start
        return {cause: n - exits.get(cause, 0) for cause, n in self.exits().items()}, spent

    def per_request(self, kind, rw, depth, words):
        """Exits by cause, and instructions, for a request, once a disk that gathers has found out that it may (blk_gather.h)."""
        self.run_of(kind, rw, depth, WARM_UP, words)
        (few, spent), (many, spent_many) = (self.run_of(kind, rw, depth, n, words) for n in (SHORT, LONG))
        n = LONG - SHORT
        return {c: (many[c] - few.get(c, 0)) / n for c in many}, (spent_many - spent) / n


def throughput(tmp, initrd):
    """[(row, native, {kind: (requests a second, ratio)})]"""
    rows = []
    native, guest = Side(True, tmp, initrd, "native"), Side(False, tmp, initrd, "guest")
    try:
        for rw, depth in JOBS:
            got = {"native": [], "raw": [], "qcow2": []}
            for _ in range(ROUNDS):
                for name, values in got.items():
                    side, kind = (native, "raw") if name == "native" else (guest, name)
                    values.append(side.fio(kind, rw, depth, f"--time_based --runtime={SECONDS}"))
            base = statistics.median(got["native"])
            rows.append((f"{NAMES[rw]}, depth {depth}", base,
                         {k: (statistics.median(got[k]), statistics.median(got[k]) / base) for k in ("raw", "qcow2")}))
    finally:
        native.machine.close()
        guest.machine.close()
    return rows


def exit_clock(tmp):
    """[(what, {pages: nanoseconds as a guest}, {the same natively})]: guests/bench/clock.c"""
    image = os.path.join(harness.BUILD, "guests", "bench.bin")
    bundle = harness.make_bundle(f"{tmp}/clock.itb", harness.vm("bench", image, None, "clock"))
    found = []
    for options in ({"bundle": bundle}, {"kernel": image, "append": "clock"}):
        with harness.Machine("bench-clock", mem="512M", **options) as m:
            m.expect(r"bench guest: end", 120)
            found.append(re.findall(r"^clock (\S+) (\d+) (\d+)$", m.output, re.M))
    rows = {}
    for side, lines in enumerate(found):
        for what, pages, ns in lines:
            rows.setdefault(what, ({}, {}))[side][int(pages)] = int(ns)
    return [(what, *sides) for what, sides in rows.items()]


def costs(tmp, initrd, icount, jobs=COST_JOBS):
    """[(row, kind, exits by cause, instructions, native instructions)]; instructions only under icount."""
    rows = []
    sides = [Side(False, tmp, initrd, f"cost{icount:d}", icount)]
    if icount:
        sides.append(Side(True, tmp, initrd, "costnative", icount))
    try:
        for side in sides:
            side.run_of("raw", "randread", 1, 100, "")  # fio's files are in memory from here on
        for row, rw, depth, words in jobs:
            native = sides[1].per_request("raw", rw, depth, words)[1] if icount else None
            for kind in ("raw", "qcow2"):
                exits, spent = sides[0].per_request(kind, rw, depth, words)
                rows.append((row, kind, exits, spent, native))
    finally:
        for side in sides:
            side.machine.close()
    return rows
