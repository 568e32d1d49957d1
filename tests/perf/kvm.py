# SPDX-License-Identifier: BSD-2-Clause
"""KVM on the same emulated machine, for `tests/perf/bench --only kvm`.

Debian's kernel natively on OpenSBI with its module kvm, and Debian's QEMU for riscv64 as the program that runs the
guests (tests/perf/kvm-host; Debian has no kvmtool for riscv64). `tools/setup bench` fetches that QEMU into build/kvm.
Linux is KVM's host as Trapline is its own: what a guest's time says under -icount, in instructions since its VM started, has
all in it that Linux, KVM and QEMU do for it, and nothing else is started there."""
import contextlib
import os
import re
import statistics

import disk
import harness

HERE = os.path.dirname(os.path.abspath(__file__))
QEMU = os.path.join(harness.BUILD, "kvm")
BENCH = os.path.join(harness.BUILD, "guests", "bench.bin")
CONSOLES = ("hvc0", "ttyS0")
BOOTS = 3
DISK_JOBS = [("randread", 1), ("randread", 16)]
# KVM's QEMU 10.0 clears scounteren, so that no program of a guest can read the time, unless the guest's Linux has the SBI's
# PMU to set it: KVM offers that on a host with Sscofpmf. All machines that boot Linux are of this kind, then.
CPU = "rv64,sscofpmf=true"
ROUNDS = 5  # of which each row's least counts: Linux's own housekeeping falls into some of them


def rows_in(text):
    """{row: instructions}, from what guests/bench printed."""
    return {row: int(value) for row, value in re.findall(r"^bench (?!guest)(.*) (\d+)$", text, re.M)}


def least(runs):
    """Each row's least, of several runs; all must have the same rows."""
    for run in runs:
        assert run.keys() == runs[0].keys(), f"rows differ: {sorted(run.keys() ^ runs[0].keys())}"
    return {row: min(run[row] for run in runs) for row in runs[0]}


def consoles_in(text):
    """[what each guest printed], from what tests/perf/kvm-host shows."""
    return [body for _, body in re.findall(r"^kvm-host: begin (\S+)\n(.*?)^kvm-host: end \1$", text, re.M | re.S)]


def host_initrd(tmp, guest_initrd):
    """The initrd of KVM's host, with the guests in it."""
    return harness.make_initrd(
        f"{tmp}/kvm-host.cpio", modules=["kvm"], program=f"{QEMU}=usr/bin/qemu-system-riscv64",
        add=[f"bin/kvm-host={HERE}/kvm-host", f"guest/bench.bin={BENCH}", f"guest/Image={harness.LINUX}",
             f"guest/initrd.cpio={guest_initrd}"])


def run_host(name, initrd, words, limit, icount=True, args=(), cpu="rv64"):
    """Runs tests/perf/kvm-host with these words, untouched from the start, so that it is the same every time; its output."""
    append = f'console=ttyS0 quiet tl.cmd="kvm-host {words}" tl.then=poweroff'
    with harness.Machine(f"bench-kvm-{name}", kernel=harness.LINUX, bundle=initrd, icount=icount, append=append,
                         limit=limit + 60, args=args, cpu=cpu) as m:
        m.expect(r"trapline-guest: exit 0\n", limit)
        return m.output


def exits(initrd):
    """{row: instructions}, of guests/bench under KVM."""
    runs = consoles_in(run_host("exits", initrd, f"exits {ROUNDS}", 240))
    assert len(runs) == ROUNDS, f"{len(runs)} of {ROUNDS} runs ended"
    return least([rows_in(text) for text in runs])


def boots(initrd, consoles, seed):
    """{console: instructions from the VM's start to user space}"""
    output = run_host(f"boot-{seed}", initrd, f"boot {' '.join(consoles)}", 400, args=("-seed", str(seed)), cpu=CPU)
    times = [int(re.search(r"bench userspace .*time=(\d+) end", text)[1]) * 100 for text in consoles_in(output)]
    assert all(times), "a guest of KVM cannot read the time"
    return dict(zip(consoles, times, strict=True))


def boot_exits(initrd, console):
    """Exits of such a boot, as KVM counts them; not under -icount, where the waiting would be counted."""
    output = run_host(f"exits-{console}", initrd, f"stats {console}", 240, icount=False, cpu=CPU)
    return int(re.search(r"kvm-host: exits (\d+)", output)[1])


# --- disks ---

class Disk(disk.Side):
    """KVM's host, and in it a Debian guest whose disk is the partition that the other sides use, past the host's page cache."""

    def __init__(self, tmp, initrd, name):
        self.native, self.control, self.device = False, None, {"raw": "/dev/vda"}
        self.machine = harness.Machine(f"bench-disk-{name}", kernel=harness.LINUX, bundle=initrd, harts=2, cpu=CPU, limit=1800,
                                       append="console=ttyS0", disk=disk.copy_of_disk(tmp, name))
        self.machine.boot(400)
        self.machine.line("kvm-host debian -smp 2 -m 512M -append console=ttyS0 -object iothread,id=disk "
                          "-drive if=none,id=d,format=raw,file=/dev/vda1,cache=none,aio=native "
                          "-device virtio-blk-device,drive=d,iothread=disk")
        self.machine.boot(400)


def disk_rates(tmp, host, initrd):
    """[(row, {side: requests a second})] by the clock, two harts; medians of what was measured by turns."""
    makers = {"native": lambda: disk.Side(True, tmp, initrd, "native", cpu=CPU), "KVM": lambda: Disk(tmp, host, "kvm"),
              "Trapline": lambda: disk.Side(False, tmp, initrd, "guest", cpu=CPU)}
    sides, rows = {}, []
    with contextlib.ExitStack() as stack:
        for name, make in makers.items():
            sides[name] = make()
            stack.callback(sides[name].machine.close)
        for rw, depth in DISK_JOBS:
            got = {name: [] for name in sides}
            for _ in range(disk.ROUNDS):
                for name, side in sides.items():
                    got[name].append(side.fio("raw", rw, depth, f"--time_based --runtime={disk.SECONDS}"))
            rows.append((f"{disk.NAMES[rw]}, depth {depth}", {name: statistics.median(rates) for name, rates in got.items()}))
    return rows
