# SPDX-License-Identifier: BSD-2-Clause
"""Performance counters in a Debian guest: guests/linux-tools/perfcount asks its kernel as perf does. Under -icount
QEMU counts instructions exactly; without, its instructions are the host's nanoseconds."""
import os
import re
import subprocess

import pytest

import harness
from harness import vm

LOOP = 20_000_000  # instructions in user mode of perfcount's loop
PERIOD = 1_000_000
PAGES = 64
MOVES = 200


@pytest.fixture(scope="module")
def initrd(tmp_path_factory):
    out = str(tmp_path_factory.mktemp("pmu") / "initrd.cpio")
    linux = os.path.join(harness.BUILD, "linux")
    tool = os.path.join(harness.BUILD, "guests", "linux-tools", "perfcount")
    subprocess.run([os.path.join(harness.TOP, "guests", "linux", "mkinitrd"), f"{linux}/busybox",
                    f"{linux}/modules", out, "--add", f"bin/perfcount={tool}"], check=True)
    return out


def perf(m, what):
    return {name: int(value) for name, value in re.findall(r"^perf (\S+) (-?\d+)$", m.run(f"perfcount {what}"), re.M)}


def test_stat_and_samples_are_exact(machine, bundle, initrd):
    m = machine(bundle=bundle(vm(initrd=initrd)), cpu="max", icount=True)
    m.boot()
    assert "riscv-pmu-sbi: 16 firmware and 18 hardware counters" in m.output
    counts = perf(m, "stat")
    assert PAGES <= counts["page-faults"] < 2 * PAGES
    # the first event of a program may be interrupted more often than the rest
    for name in ("cycles-user", "instructions-user"):
        assert LOOP <= counts[name] < 1.001 * LOOP, counts
    assert LOOP < counts["instructions"] < 1.1 * LOOP, counts
    assert counts["instructions"] <= counts["cycles"] + LOOP // 100, counts  # one cycle an instruction here
    assert 100 < counts["instructions-kernel"] < LOOP / 10, counts
    assert 0 < counts["dtlb-load-misses"] < 100_000, counts
    samples = perf(m, "record")
    assert LOOP <= samples["sampled-cycles"] < 1.01 * LOOP, samples
    assert LOOP // PERIOD // 2 <= samples["samples"] <= LOOP // PERIOD + 1, samples  # some are throttled


@pytest.mark.parametrize("harts", [1, 2])
def test_perf_on_two_vcpus(machine, bundle, initrd, harts):
    m = machine(bundle=bundle(vm(vcpus=2, initrd=initrd)), cpu="max", harts=harts)
    m.boot()
    counts = perf(m, "stat")
    assert all(value > 0 for value in counts.values()), counts
    assert counts["instructions-user"] > LOOP / 4, counts  # the host's nanoseconds
    assert perf(m, "record")["samples"] > 2
    assert MOVES / 2 < perf(m, "ipi")["ipi-sent"] < 20 * MOVES
    assert re.search(r"riscv-pmu$", m.run("grep riscv-pmu /proc/interrupts"), re.M)


def test_no_overflow_without_aia(machine, bundle, initrd):
    m = machine(bundle=bundle(vm(initrd=initrd)), cpu="rv64,sscofpmf=true", icount=True)
    m.boot()
    assert "sscofpmf" not in m.run("grep -m1 ^isa /proc/cpuinfo")
    counts = perf(m, "stat")
    assert LOOP < counts["instructions"] < 1.2 * LOOP, counts
    assert counts["cycles"] > LOOP / 2, counts
    assert counts["cycles-user"] < 0, counts  # Linux asks for Sscofpmf to choose by mode
    assert counts["dtlb-load-misses"] > 0, counts
    assert perf(m, "record")["samples"] < 0
