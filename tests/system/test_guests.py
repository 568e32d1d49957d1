# SPDX-License-Identifier: BSD-2-Clause
"""The project's own bare-metal guests (guests/): what the unit guest checks, natively and in VMs of several
shapes; and that the benchmark runs to its end. docs/guests.md says how to add a case."""
import os
import re

import pytest

import harness

UNIT = os.path.join(harness.BUILD, "guests", "unit.bin")
WORK = os.path.join(harness.BUILD, "guests", "work.bin")
BENCH = os.path.join(harness.BUILD, "guests", "bench.bin")
MIN_CASES = 45  # far fewer lines than the one-hart set has cases would mean that the guest lost them


LIMIT = 300  # the guests give up by themselves, much earlier than this on an idle host


def check_unit(m, timeout=LIMIT - 60):
    """Waits for the end of the unit guest; every FAIL line is in the failure's text."""
    end = m.expect(r"unit guest: (\d+) passed, (\d+) failed, (\d+) skipped|FAIL unexpected trap.*", timeout)
    failures = re.findall(r"FAIL .*", m.output)
    assert not failures, "\n".join(failures)
    passed, failed, skipped = map(int, end.groups())
    assert failed == 0
    assert passed >= MIN_CASES, f"only {passed} cases ran"
    return passed, skipped


@pytest.mark.parametrize("harts", [1, 2, 4])
@pytest.mark.parametrize("cpu", ["rv64", "rv64,sstc=off", "rv64,sscofpmf=true"])
def test_unit_native(machine, harts, cpu):
    m = machine(kernel=UNIT, harts=harts, mem="256M", cpu=cpu, limit=LIMIT)
    check_unit(m)
    m.expect_off()


SHAPES = [  # vcpus, harts, cpu, Trapline's options
    (1, 1, "rv64", ""),
    (2, 2, "rv64", ""),
    (4, 4, "rv64", ""),
    (1, 2, "rv64", ""),
    (4, 2, "rv64", ""),
    (3, 1, "rv64", ""),
    (2, 2, "rv64,sstc=off", ""),
    (4, 1, "rv64,sstc=off", ""),
    (2, 2, "rv64", "nosstc"),
    (2, 2, "rv64", "nohtinst"),
    (2, 2, "rv64", "nohtval"),
    (4, 2, "rv64", "vmid0"),
    (2, 2, "max", ""),
    (2, 2, "rv64,sscofpmf=true,ssaia=true,smaia=true", ""),
    (4, 2, "max", ""),
]


@pytest.mark.parametrize("vcpus,harts,cpu,append", SHAPES)
def test_unit_guest(machine, bundle, vcpus, harts, cpu, append):
    path = bundle(harness.vm("unit", UNIT, None, None, vcpus=vcpus, ram="128M"))
    m = machine(bundle=path, harts=harts, cpu=cpu, append=append, limit=LIMIT)
    check_unit(m)
    skipped = set(re.findall(r"^skip (\w+): (.*)", m.output, re.M))
    allowed = {"one hart"} if vcpus == 1 else set()
    allowed |= {"no Sstc"} if "sstc" in cpu + append else set()
    assert {why for _, why in skipped} <= allowed, skipped
    m.expect_off()


def check_stacks(m):
    """None of the stacks was ever used down into the margin."""
    text = m.command("stacks")
    assert re.search(r"^vCPUs +\d", text, re.M) and re.search(r"^idle +\d", text, re.M), text
    assert re.search(r"^well: ", text, re.M), text


def test_unit_guest_debug(machine, bundle):
    """On the debug build: undefined behaviour, or a stack used too deep, is a panic."""
    path = bundle(harness.vm("unit", UNIT, None, None, vcpus=4, ram="128M"))
    m = machine(kernel=harness.DEBUG, bundle=path, harts=2, append="keep", limit=LIMIT)
    check_unit(m)
    m.expect("unit: stopped: guest shut down", 30)
    m.expect(harness.SHELL_PROMPT)
    check_stacks(m)


def test_two_unit_guests_at_once(machine, bundle):
    path = bundle(*[harness.vm(n, UNIT, None, None, vcpus=2, ram="128M") for n in ("one", "two")])
    m = machine(bundle=path, harts=2, limit=LIMIT)
    m.expect_off(LIMIT - 60)  # powers off when both have
    assert not re.findall(r"FAIL .*", m.output)


def test_bench_guest(machine, bundle):
    path = bundle(harness.vm("bench", BENCH, None, None))
    m = machine(bundle=path, icount=True)
    m.expect("bench guest: end", 120)
    rows = dict(re.findall(r"^bench (?!guest)(.*) (\d+)$", m.output, re.M))
    assert len(rows) == 13, rows
    # Not the targets (tools and machines differ), but what would mean that something has gone wrong.
    assert 14 <= int(rows["SBI base get_spec_version"]) < 700, rows
    assert int(rows["WFI, interrupt pending"]) < 100, rows
    assert int(rows["wake-up from WFI by the timer"]) < 1000, rows
    m.expect_off()


def test_steal_time(machine, bundle):
    """Two busy vCPUs on one hart: each is told that much was stolen from it."""
    path = bundle(harness.vm("unit", UNIT, None, "only=steal stolen", vcpus=2, ram="128M"))
    m = machine(bundle=path, harts=1)
    m.expect("ok steal_time", 60, fail="FAIL|PANIC")
    m.expect_off()


def test_shares_of_a_running_vm(machine, bundle):
    """Weight, cap and affinity from the bundle and by `set`, as `top` shows what comes of them."""
    spin = harness.vm("hog", UNIT, None, "only=none", vcpus=1, ram="64M")
    path = bundle(spin + ["--weight", "50", "--cap", "20", "--affinity", "1"])
    m = machine(bundle=path, harts=2, append="keep")
    m.to_shell()
    assert "weight 50, cap 20%, affinity 1" in m.command("set hog")
    assert "cannot set hog" in m.command("set hog affinity=9")
    assert "weight 300, cap -, affinity all" in m.command("set hog weight=300 cap=off affinity=all")
    assert re.search(r"^hog .* 300 +- all ", m.command("top"), re.M)


def test_least_weight_beside_the_greatest(machine, bundle):
    """A VM whose turn comes once in a long time is paused, looked into and stopped as soon as any other."""
    path = bundle(harness.vm("hog", WORK, None, "ms=600000 wait=0", ram="16M") + ["--weight", "10000"],
                  harness.vm("small", WORK, None, "ms=600000 wait=0", ram="16M") + ["--weight", "1"])
    m = machine(bundle=path, harts=1, append="keep")
    m.to_shell()
    for _ in range(3):
        assert "vCPU 0 of 1" in m.command("regs small"), "it does not leave its guest"
        assert "cannot" not in m.command("pause small")
        assert "cannot" not in m.command("resume small")
    assert "cannot" not in m.command("stop small")
    assert re.search(r"^small .* off", m.command("list"), re.M)
