# SPDX-License-Identifier: BSD-2-Clause
"""How Debian ends: by its own reboot, a panic, a watchdog, poweroff; each as on a machine."""
import os

import pytest

import harness
from harness import vm

BOOTARGS = "earlycon=sbi console=hvc0 panic=1"
PANIC = "echo c >/proc/sysrq-trigger"
REBOOTED = r"vm0: stopped: guest rebooted"


@pytest.fixture
def initrd(tmp_path):
    path = harness.make_initrd(str(tmp_path / "ends.cpio"), modules=["softdog"])
    yield path
    os.remove(path)


def test_panics_and_watchdog(machine, bundle, initrd):
    m = machine(bundle=bundle(vm(initrd=initrd, bootargs=BOOTARGS, vcpus=2)), harts=2)
    m.boot()
    # Nobody feeds it again in time: the kernel reboots the machine, and it comes up.
    m.line("watchdog -T 2 -t 100 /dev/watchdog")
    m.expect(REBOOTED)
    m.boot()
    m.line(PANIC)  # panic=1: a second later
    m.expect("Kernel panic - not syncing", fail=None)
    m.expect(REBOOTED, fail=None)
    m.boot()
    m.run("echo -1 >/proc/sys/kernel/panic")  # at once
    m.line(PANIC)
    m.expect(REBOOTED, fail=None)
    m.boot()
    m.run("echo 0 >/proc/sys/kernel/panic")  # it stands still, until a person comes
    m.line(PANIC)
    m.expect("end Kernel panic", fail=None)
    m.to_shell()
    assert "running" in m.command("list")
    m.line("reset vm0")
    m.line("console vm0")
    m.expect(harness.USERSPACE, 60, fail=None)  # behind what it had printed before
    m.expect(harness.PROMPT)
    m.line("poweroff")
    m.expect("vm0: stopped: guest shut down")
    m.expect_off()


def test_watchdog_device(machine, bundle, tmp_path):
    """It resets a VM that does not feed it, however deep it hangs; one that is paused is not at fault."""
    initrd = harness.make_initrd(str(tmp_path / "wdt.cpio"), modules=["sunxi_wdt"])
    m = machine(bundle=bundle(vm(initrd=initrd, watchdog=True)), harts=2)
    m.boot()
    m.line("watchdog -t 1 -T 3 /dev/watchdog; echo fed")  # every second
    m.expect("^fed")
    m.run("sleep 5", 60)
    m.to_shell()
    m.command("pause vm0")
    assert "watchdog" in m.command("devices vm0")
    m.command("resume vm0")
    m.line("console vm0")
    m.expect(r"\[trapline: console of vm0")
    m.line("killall -STOP watchdog")  # as a system that hangs
    m.expect(r"vm0: stopped: its watchdog expired", 60)
    m.boot()
    m.run("sleep 4", 60)  # after the reset it is off
    m.line("poweroff")
    m.expect_off()
