# SPDX-License-Identifier: BSD-2-Clause
"""SBI 3.0 by its letter: guests/sbi calls every function with good and bad arguments, and prints a line for
each. docs/sbi.md has the table of what is offered, and what OpenSBI does its own way."""
import os
import re

import pytest

import harness

SBI = os.path.join(harness.BUILD, "guests", "sbi.bin")
LIMIT = 300

# How many functions each chapter's "Function Listing" has: counted here once more, apart from the guest's
# own list. RULE is the guest's name for chapter 3.
FUNCTIONS = {
    "RULE": 3, "BASE": 7, "legacy": 9, "TIME": 1, "IPI": 1, "RFENCE": 7, "HSM": 4, "SRST": 1, "PMU": 9,
    "DBCN": 3, "SUSP": 1, "CPPC": 4, "NACL": 5, "STA": 1, "SSE": 10, "FWFT": 2, "DBTR": 8, "MPXY": 8,
}
OFFERED = {"RULE", "BASE", "legacy", "TIME", "IPI", "HSM", "SRST", "PMU", "DBCN", "SUSP", "SSE", "FWFT"}
# Where OpenSBI (1.6) has ways of its own, so that a native run fails there.
OPENSBI = {"PMU", "SSE", "FWFT", "DBTR"}

LINE = re.compile(r"^sbi-spec (\w+)\.(\w+): (?:(not offered), )?(?:(\d+) checks, (\d+) failed|(no check|skipped) ?.*)$",
                  re.M)


def verdicts(m, timeout=LIMIT - 60):
    """{(chapter, function): (offered, checks, failed, skipped)} when the guest has come to its end."""
    m.expect(r"^sbi guest: \d+ functions, .*", timeout, fail=r"unexpected trap|PANIC")
    found = {}
    for chapter, name, absent, checks, failed, other in LINE.findall(m.output):
        assert (chapter, name) not in found, name
        assert other != "no check", f"{chapter}.{name} is not checked"
        found[chapter, name] = (not absent, int(checks or 0), int(failed or 0), other == "skipped")
    return found


def check_listed(found):
    for chapter, count in FUNCTIONS.items():
        names = [name for c, name in found if c == chapter]
        assert len(names) == count, f"{chapter}: {names}"
    assert len(found) == sum(FUNCTIONS.values())


def spec_vm(vcpus, bootargs=""):
    return harness.vm("sbi", SBI, None, bootargs, vcpus=vcpus, ram="128M")


SHAPES = [  # vcpus, harts, cpu, Trapline's options
    (1, 1, "rv64", ""),
    (4, 4, "rv64", ""),
    (4, 1, "rv64,sstc=off", ""),
    (1, 2, "rv64", "nosstc"),
    (4, 2, "max", ""),
]


@pytest.mark.parametrize("vcpus,harts,cpu,append", SHAPES)
def test_sbi_spec(machine, bundle, vcpus, harts, cpu, append):
    m = machine(bundle=bundle(spec_vm(vcpus)), harts=harts, cpu=cpu, append=append, limit=LIMIT)
    found = verdicts(m)
    check_listed(found)
    failures = re.findall(r"FAIL .*", m.output)
    assert not failures, "\n".join(failures)
    for (chapter, name), (offered, checks, failed, skipped) in found.items():
        assert failed == 0 and (checks > 0 or skipped), f"{chapter}.{name}"
        assert offered or chapter not in OFFERED, f"{chapter}.{name} is not offered"
    # A hart alone cannot stop and tell.
    assert [n for (_, n), v in found.items() if v[3]] == (["hart_stop"] if vcpus == 1 else [])
    assert "sbi guest: this line lies over the end of a page\n" in m.output
    m.expect_off()


def test_typed(machine, bundle):
    m = machine(bundle=bundle(spec_vm(2, "only=DBCN type=specification")), harts=2)
    m.expect("sbi guest: type now")
    m.send("specification")
    m.expect("sbi guest: type one more")
    m.send("x")
    found = verdicts(m)
    assert len(found) == 3 and not any(v[2] for v in found.values()), m.output[-2000:]
    m.expect_off()


@pytest.mark.parametrize("end", ["msb", "legacy", "stop"])
def test_off(machine, bundle, end):
    """Calls that do not return: shutdown, by several ways."""
    m = machine(bundle=bundle(spec_vm(2, f"only=BASE end={end}")), harts=2)
    m.expect(f"sbi guest: end by {end}")
    m.expect_off()
    assert "FAIL" not in m.output


@pytest.mark.parametrize("end", ["reboot", "warm"])
def test_reboot(machine, bundle, end):
    m = machine(bundle=bundle(spec_vm(2, f"only=BASE end={end}")), harts=2)
    for _ in range(3):
        m.expect(r"^sbi guest: 2 harts")
        m.expect(f"sbi guest: end by {end}")
    assert "FAIL" not in m.output


@pytest.mark.parametrize("cpu", ["rv64", "rv64,sstc=off"])
def test_native(machine, cpu):
    """The checks themselves are right: another implementation passes, where it follows the letter."""
    m = machine(kernel=SBI, harts=4, mem="256M", cpu=cpu, limit=LIMIT)
    found = verdicts(m)
    check_listed(found)
    bad = [f"{c}.{n}" for (c, n), v in found.items() if v[2] and c not in OPENSBI]
    assert not bad, bad
