# SPDX-License-Identifier: BSD-2-Clause
"""Guests that mean harm (guests/hostile) beside a Debian VM that works and checks its work: no panic, the hostile
VM can be stopped and destroyed, and not a frame of it is left.

Longer: HOSTILE_SEEDS="1 2 3" HOSTILE_OPS=20000 (actions of each attack, on each vCPU), HOSTILE_WORK=200 (sums that
Debian makes), HOSTILE_ACTIONS=10000000 (of eight vCPUs), HOSTILE_MINUTES (of the machine's own time), with
TIMEOUT_FACTOR to match.
"""
import os
import re
import subprocess

import pytest

import harness
from harness import vm

HOSTILE = os.path.join(harness.BUILD, "guests", "hostile.bin")
SEEDS = os.environ.get("HOSTILE_SEEDS", "1").split()
OPS = int(os.environ.get("HOSTILE_OPS", "500"))
WORK = int(os.environ.get("HOSTILE_WORK", "6"))
ACTIONS = int(os.environ.get("HOSTILE_ACTIONS", "50000"))
MINUTES = int(os.environ.get("HOSTILE_MINUTES", "10"))
ROUND = 519  # instructions that guests/work makes in one of its rounds
RAM_DISK = 8 << 20
WORK_GUEST = os.path.join(harness.BUILD, "guests", "work.bin")
# Exits that a round of all attacks makes, whatever its random numbers are.
EXITS = ("sbi", "virtual-instruction", "load-guest-page", "store-guest-page", "ipi", "timer")
LIMIT = 60 + OPS // 10 + WORK * 4


def hostile(name, words, vcpus=3, disks=(), autostart=False, nets=()):
    return vm(name, HOSTILE, None, words, vcpus=vcpus, ram="128M", disks=disks, autostart=autostart, nets=nets)


def free_kib(m):
    """Of the whole machine."""
    return int(re.search(r"^all\s+(\d+)", m.command("frames"), re.M).group(1))


def frames_of(m, name):
    """KiB that the VM owns, in any state."""
    return int(re.search(rf"^{name}\s+.*\s(\d+)$", m.command("frames"), re.M).group(1))


def begin(m, *names):
    """To the shell; free memory once every VM has run (a VM's first start makes things that stay)."""
    m.to_shell()
    for name in names:
        m.command(f"start {name}")
        end(m, name)
    return free_kib(m)


def end(m, name):
    """Stops it, as a person would, whatever it is doing; and nothing of it is left."""
    for _ in range(50):  # while it crashes, or is restarted, a command is refused
        m.command(f"stop {name}")
        if re.search(rf"^{name}\s+off", m.command("list"), re.M):
            break
    assert frames_of(m, name) == 0


def check_exits(m, name):
    text = m.command(f"exits {name}")
    for cause in EXITS:
        assert re.search(rf"^\s*{cause}\s+[1-9]", text, re.M), f"no exit by {cause}:\n{text}"


# The CPU max has vector registers, and most else that can be tried.
BUILDS = [(harness.TRAPLINE, "", "host", "max"), (harness.TRAPLINE, "nosstc nohtinst", "ram", "rv64"),
          (harness.DEBUG, "", "ram", "max")]


@pytest.mark.parametrize("image,append,kind,cpu", BUILDS, ids=["host", "ram", "debug"])
@pytest.mark.parametrize("seed", SEEDS)
def test_beside_a_vm_that_works(machine, bundle, disk, seed, image, append, kind, cpu):
    disks = ["host"] if kind == "host" else [disk(RAM_DISK)]
    path = bundle(vm("good", bootargs=harness.working_debian(WORK), autostart=False),
                  hostile("bad", f"seed={seed} ops={OPS} rounds=0 disks=1", disks=disks))
    m = machine(kernel=image, bundle=path, harts=2, cpu=cpu, append=f"keep {append}", disk=disk(), limit=LIMIT * 3)
    free = begin(m, "good", "bad")
    m.command("start bad")
    m.command("start good")
    m.line("console good")
    # Linux hands 16 characters over at once, the line's end among them: no line of the log parts these.
    m.expect("sums are right", LIMIT)
    m.expect("good: stopped: guest shut down", 30)
    m.to_shell()
    m.line("console bad")
    m.expect(r"hostile: \w+: \d+ actions", LIMIT)  # it has not been killed by its own doing
    m.to_shell()
    check_exits(m, "bad")
    end(m, "bad")
    written = free - free_kib(m)  # to a disk in RAM: it outlives the VM's stop
    assert written == 0 if kind == "host" else 0 <= written <= 2 * RAM_DISK >> 10
    m.command("destroy bad")
    assert free_kib(m) >= free
    assert not re.search(r"^bad\b", m.command("frames"), re.M)
    assert "not given back" not in m.output
    assert "hostile: FAIL" not in m.output
    assert "well: " in m.command("stacks")


def finish(m, name, free=0):
    """Stops and destroys it, in the shell; and nothing of it is left."""
    m.to_shell()
    end(m, name)
    m.command(f"destroy {name}")
    assert free_kib(m) >= free
    assert not re.search(rf"^{name}\b", m.command("frames"), re.M)
    assert "not given back" not in m.output
    assert "hostile: FAIL" not in m.output


def test_minutes(machine, bundle, disk):
    """Ten minutes of the machine's own time, none of it idle: the neighbour computes throughout, and is not kept from
    half of its fair share. An instruction takes 128 ns here, so that they are 4.7 * 10^9 instructions: a slow machine,
    on which timers come the thicker."""
    ms = MINUTES * 60000
    path = bundle(vm("good", WORK_GUEST, None, f"ms={ms}", ram="16M"),
                  hostile("bad", "seed=10 ops=200 rounds=0 disks=1", vcpus=8, disks=["host"], autostart=True),
                  # Time of an idle machine runs away, and what is typed is not read.
                  vm("busy", HOSTILE, None, "attack=hog ops=1000000000", ram="16M"))
    m = machine(bundle=path, harts=2, append="keep", disk=disk(), icount=7, limit=MINUTES * 60)
    rounds = int(m.expect(r"work: done (\d+) rounds", MINUTES * 50).group(1))
    m.to_shell()
    check_exits(m, "bad")
    finish(m, "bad")
    instructions = ms * 1000000 // 128
    assert rounds * ROUND > instructions / 2 * (2 / 10) / 2, f"{rounds} rounds of {ROUND} instructions"


def test_many_actions(machine, bundle, disk):
    path = bundle(hostile("bad", "seed=77 ops=500 rounds=0 disks=1", vcpus=8, disks=["host"]))
    m = machine(bundle=path, harts=2, append="keep", disk=disk(), limit=LIMIT + ACTIONS // 200)
    free = begin(m, "bad")
    m.command("start bad")
    m.line("console bad")
    done = 0
    while done < ACTIONS:
        done += int(m.expect(r"^hostile: \w+: (\d+) actions", LIMIT).group(1))
    finish(m, "bad", free)


def test_ends(machine, bundle):
    """What a VM does not come back from: it crashes, with a report, or can be stopped."""
    first = 9 * int(SEEDS[0])  # kinds of accesses, by the seed
    holes = [hostile(f"hole{n}", f"seed={n} attack=none then=hole", vcpus=1) for n in range(first, first + 9)]
    others = ("lost", "reboot", "crowd")
    path = bundle(*holes, *(hostile(name, f"attack=none then={name}") for name in others))
    m = machine(bundle=path, harts=2, cpu="max", append="keep", limit=LIMIT * 3)
    names = [words[1] for words in holes]
    free = begin(m, *names, *others)
    crashed = 0
    for name in names:
        m.line(f"start {name}")
        # An atomic access over a device's end is an access fault of the guest's own, and it goes on.
        ended = m.expect(rf"{name}: (crashed|stopped: guest shut down)", 20).group(1)
        m.command("list")
        if ended == "crashed":
            assert "check:" in m.command(f"report {name}")
            crashed += 1
        end(m, name)
    assert crashed > len(names) // 2
    for name in others:
        m.line(f"start {name}")
    m.expect("crowd: crashed", 20)
    for name in others:
        m.command("list")
        end(m, name)
    assert free_kib(m) == free
    for name in (*names, *others):
        m.command(f"destroy {name}")
    assert "not given back" not in m.output
    # One report for each of its two starts, however many vCPUs came to grief, and were started again by others.
    assert 1 <= len(re.findall("error: crowd: (an access|a jump)", m.output)) <= 2


def test_crash_of_three(machine, bundle, tmp_path):
    """What a person has after a crash: all vCPUs, their last exits, the memory; and a core file for gdb."""
    m = machine(bundle=bundle(hostile("bad", "seed=3 attack=none then=crowd")), harts=2, append="keep", limit=LIMIT * 3)
    m.expect(harness.SHELL_PROMPT, 60)
    m.command("costs on")
    m.line("start bad")
    m.expect("bad: crashed: ", LIMIT)
    for n in range(3):
        m.expect(rf"  vCPU {n}: hart \w+[^:]*, V[SU]-mode, pc \w+, ra \w+, sp \w+, vsatp \w+\n")
    at = len(m.output)
    text = m.command("report bad")
    for n in range(3):
        block = text.partition(f"bad vCPU {n} of 3: VM crashed, hart ")[2].partition("bad vCPU")[0]
        assert re.search(r"^  ra [0-9a-f]{16} +sp [0-9a-f]{16}", block, re.M), text
        assert f"exits of vCPU {n}, oldest" in block or f"(vCPU {n}: exits are remembered" in block, text
    # The exit that was one too many is the last of its vCPU's.
    pc = re.search(r"vCPU (\d) \(hart id \d\), V[SU]-mode, pc 0x(\w+)", text)
    exits = text.partition(f" exits of vCPU {pc.group(1)}")[2].partition("bad vCPU")[0]
    assert exits.rstrip().splitlines()[-1].split()[2] == pc.group(2).zfill(16), text
    rows = m.command("dump bad 0x80200000 0x2000", 60)
    assert re.search(r"^0000000080200000  ([0-9a-f]{2} +){16}\|.{16}\|$", rows, re.M), rows
    console, core = tmp_path / "console", tmp_path / "core"
    console.write_text(m.output[at:])
    subprocess.run([os.path.join(harness.TOP, "tools", "dump2core"), console, core], check=True)
    image = core.read_bytes()
    with open(HOSTILE, "rb") as file:  # its text, which nothing has written to
        assert file.read(0x1000) in image
    ra = int(re.search(r"bad vCPU 2 of 3.*\n  ra (\w{16})", text).group(1), 16)
    assert image.count(b"CORE\0\0\0\0") == 3 and ra.to_bytes(8, "little") in image


def test_past_the_firmware(machine, bundle):
    """Instructions that OpenSBI sees first, and complains of on the same console, mid in any line of it."""
    path = bundle(hostile("bad", "attack=system firmware=1 then=off", vcpus=2))
    m = machine(bundle=path, harts=2, append="keep", limit=LIMIT * 3)
    m.to_shell()
    free = []
    for _ in range(2):  # a VM's first start makes things that stay
        m.line("start bad")
        m.expect("bad: stopped: guest shut down", LIMIT)  # nothing else writes by then
        end(m, "bad")
        free.append(free_kib(m))
    assert free[0] == free[1]
