# SPDX-License-Identifier: BSD-2-Clause
"""The hypervisor broken on purpose (`fault` in its shell): the report, and that the machine stops; and its own
address space, as QEMU sees it."""
import json
import re
import socket

import pytest

import harness
from harness import vm


def shell_of_its_own(machine, bundle, **options):
    """A machine with a VM that is off, at Trapline's shell."""
    m = machine(bundle=bundle(vm(autostart=False)), append="keep", **options)
    m.expect(harness.SHELL_PROMPT, 60)
    return m


DRILLS = [  # kind, harts, scause, function that the pc lies in, one that must be among its callers
    ("null", 1, 13, "drill_null", "command_run"),
    ("null", 2, 13, "drill_null", "command_run"),
    ("stack", 1, 15, "drill_deeper", "drill_deeper"),
    ("text", 1, 15, "(drill_text|cmd_fault)", "command_run"),
    ("rodata", 1, 15, "(drill_rodata|cmd_fault)", "command_run"),
    ("data", 1, 12, r"\?", "command_run"),
]


@pytest.mark.parametrize("kind, harts, cause, function, caller", DRILLS)
def test_fault_is_loud(machine, bundle, kind, harts, cause, function, caller):
    m = shell_of_its_own(machine, bundle, harts=harts)
    m.line(f"fault {kind}")
    m.expect(rf"HYPERVISOR FAULT on hart \d: scause {cause} stval [0-9a-f]{{16}}", fail=None)
    m.expect(rf"pc [0-9a-f]{{16}} {function}", fail=None)
    m.expect(r"thread control", fail=None)
    registers = m.expect(r"ra +[0-9a-f]{16}[^!]*?t6 +[0-9a-f]{16}\n", fail=None).group()
    names = re.findall(r"(\w+) +[0-9a-f]{16}", registers)
    assert len(names) == 31 and len(set(names)) == 31, registers
    m.expect(rf"possible callers, newest first:\n(  ffffffff80\w{{6}} \S+\n)*  ffffffff80\w{{6}} {caller}[.\w]*\+0x",
             fail=None)
    m.expect(r"The machine stops\.", fail=None)
    m.expect_off()
    assert m.output.count("HYPERVISOR FAULT") == 1


def test_panic_is_loud(machine, bundle):
    m = shell_of_its_own(machine, bundle, harts=2)
    m.line("fault panic")
    m.expect(r"HYPERVISOR PANIC on hart \d: a drill: the shell was asked for it", fail=None)
    m.expect(r"  ffffffff80\w{6} (cmd_fault|command_run)\+0x", fail=None)
    m.expect(r"The machine stops\.", fail=None)
    m.expect_off()


BROKEN_RULES = [  # kind, image, what the panic says
    ("rank", harness.TRAPLINE, r"lock out of rank: the stage-2 lock at 0x\w+ \(rank \d+, by (drill_rank|cmd_fault)\S*\), "
                               r"while holding the frame lock at 0x\w+ \(rank \d+, by (drill_rank|cmd_fault)"),
    ("unlock", harness.TRAPLINE, r"unlock of what this hart does not hold: the frame lock at 0x\w+ .*, "
                                 r"while holding the stage-2 lock"),
    ("switch", harness.TRAPLINE, r"a switch of threads with a lock held: the frame lock .*by (drill_switch|cmd_fault)"),
    ("undefined", harness.DEBUG, r"undefined behaviour at hyp/ctl/cmd_fault\.c:\d+:\d+: "
                                 r"1 of type '(long )?unsigned (long )?int' shifted by 64"),
    ("margin", harness.DEBUG, r"stack of control: [67]\d\d\d of 8192 bytes were used, less than the margin of 1024 is left"),
]


@pytest.mark.parametrize("kind, image, text", BROKEN_RULES, ids=[row[0] for row in BROKEN_RULES])
def test_rules_are_checked(machine, bundle, kind, image, text):
    m = shell_of_its_own(machine, bundle, kernel=image)
    if image == harness.DEBUG:  # and a person is told what the other build would do
        assert "debug build" in m.command("info")
    m.line(f"fault {kind}")
    m.expect(rf"HYPERVISOR PANIC on hart \d: {text}", fail=None)
    m.expect(r"  ffffffff80\w{6} (cmd_fault|command_run)\+0x", fail=None)
    m.expect(r"The machine stops\.", fail=None)
    m.expect_off()


@pytest.mark.parametrize("cpu", ["rv64", "rv64,sstc=off"])
def test_watchdog(machine, bundle, cpu):
    """A hart that loops is found by another, and interrupted by the firmware to say where; one that waits for a lock
    says so itself, and who has it. The machine goes on, and a hart that runs a guest without exits is not stuck."""
    path = bundle(vm("busy", bootargs="console=hvc0 tl.cmd='while :; do :; done'", vcpus=1))
    m = machine(bundle=path, harts=3, cpu=cpu, append="keep watchdog=2")
    m.expect(harness.USERSPACE, 60)
    m.to_shell()
    for _ in range(2):  # SSE more than once
        m.line("fault stuck")
        m.expect(r"WATCHDOG: hart \d is stuck in the hypervisor, for more than 2 s\nthread control\n", 20)
        m.expect(r"interrupted by the firmware \(SSE\)\npc ffffffff80\w{6} drill_(loop|stuck)\S*\+0x\w+\n")
        m.expect(r"possible callers, newest first:\n(  ffffffff80\w{6} \S+\n)*  ffffffff80\w{6} command_run\+0x")
        m.expect(r"stuck: noticed; the machine goes on")
        m.expect(r"watchdog: hart \d goes on")
    m.line("fault deadlock")
    text = m.expect(r"deadlock: noticed; the machine goes on", 20)
    text = m.output[: text.end()].rpartition("fault deadlock")[2]
    reports = re.split("WATCHDOG: ", text)[1:]
    waits = [r for r in reports if re.match(r"hart \d is stuck .*\nthread control\n", r)]
    keeps = [r for r in reports if re.match(r"hart \d is stuck .*\nthread lock-keeper\n", r)]
    assert waits or keeps, text
    for r in waits:
        assert re.search(r"waits for the frame lock at 0x\w+, by (drill_deadlock|cmd_fault)\S*\n"
                         r"  held by hart \d \(thread lock-keeper\), taken by keeper_main", r), r
        # An emulated hart that has no processor for the moment is late with its answer, and is interrupted.
        assert re.search(r"spins, and answers|SSE\)\npc ffffffff80\w{6} (wait|hart_answer_xcalls)\S*\+", r), r
    for r in keeps:
        assert re.search(r"holds the frame lock at 0x\w+, by keeper_main", r), r
    assert "busy" in m.command("list")
    assert not re.search(r"thread busy/0", m.output)


def test_watchdog_without_sse(machine, bundle):
    path = bundle(vm(autostart=False))
    m = machine(bundle=path, harts=2, append="keep watchdog=1 nosse")
    m.expect(harness.SHELL_PROMPT, 60)
    m.line("fault stuck")
    m.expect(r"WATCHDOG: hart \d is stuck in the hypervisor, for more than 1 s\nthread control\n"
             r"it does not answer, and the firmware was not to interrupt it \(nosse\)", 20)
    m.expect(r"stuck: noticed; the machine goes on")


def test_watchdog_is_quiet(machine, bundle):
    """Nothing is stuck while VMs start, work and stop; with one hart, the drill says that nobody would see it."""
    m = shell_of_its_own(machine, bundle)
    assert "nobody to see it" in m.command("fault stuck")
    assert "WATCHDOG" not in m.output


class Monitor:
    """QEMU's, by QMP."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(30 * harness.FACTOR)
        self._socket.connect(path)
        self._file = self._socket.makefile("rw")
        self._file.readline()
        self._call("qmp_capabilities")

    def _call(self, name, **arguments):
        self._file.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
        self._file.flush()
        while True:
            answer = json.loads(self._file.readline())
            if "return" in answer or "error" in answer:
                return answer["return"]

    def human(self, line):
        return self._call("human-monitor-command", **{"command-line": line})

    def close(self):
        self._file.close()
        self._socket.close()


def test_own_address_space(machine, bundle, tmp_path):
    """W^X everywhere, the image nowhere twice, guard pages below stacks."""
    path = str(tmp_path / "qmp")
    m = shell_of_its_own(machine, bundle, harts=2, args=["-qmp", f"unix:{path},server=on,wait=off"])
    monitor = Monitor(path)
    text = monitor.human("info mem")
    monitor.close()
    rows = [(int(va, 16), int(pa, 16), int(size, 16), attr)
            for va, pa, size, attr in re.findall(r"^(\w{16}) (\w{16}) (\w{16}) (\S{7})", text, re.M)]
    assert len(rows) > 5, text
    for va, pa, size, attr in rows:
        assert "u" not in attr and not ("w" in attr and "x" in attr), text
    code = [row for row in rows if "x" in row[3]]
    assert len(code) == 1 and code[0][0] == 0xFFFFFFFF80000000, text
    # Each physical page of text and read-only data is mapped once.
    image = [row for row in rows if row[0] >= 0xFFFFFFFF80000000 and "w" not in row[3]]
    start, end = image[0][1], image[-1][1] + image[-1][2]
    assert [row for row in rows if row[1] < end and start < row[1] + row[2]] == image, text
    # Stacks: two pages, then at least one that is not mapped.
    stacks = sorted(row for row in rows if 0xFFFFFFF800000000 <= row[0] < 0xFFFFFFFF80000000)
    assert stacks, text
    pages = {va + offset for va, _, size, _ in stacks for offset in range(0, size, 4096)}
    for page in pages:
        assert not {page - 4096, page, page + 4096} <= pages, text
    m.command("list")
