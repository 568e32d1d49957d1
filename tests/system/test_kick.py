# SPDX-License-Identifier: BSD-2-Clause
"""`kick` and `sysrq`: a guest that hangs says where."""
import os

import pytest

import harness
from harness import vm

UNIT = os.path.join(harness.BUILD, "guests", "unit.bin")
SYSRQ = " sysrq_always_enabled"
KICKS = 20  # the kernel's part of the loop is nearly all; a kick that meets the other part says so


def test_interrupts_off(machine, bundle):
    """A hart that is deaf to interrupts: first by its software event, then by the exception."""
    m = machine(bundle=bundle(vm("unit", UNIT, None, "only=kick")), append="keep", harts=2)
    m.expect(r"^kick me: event\n", 60)
    m.to_shell()
    m.command("kick unit 7")
    assert "no such vCPU" in m.output[-400:]
    assert "gets the software event" in m.command("kick unit 0")
    m.send(harness.ESCAPE)
    m.expect(r"^kick me: exception\n", 60)
    m.to_shell()
    assert "hardware-error exception at pc" in m.command("kick unit")
    m.line("console unit")  # it may have ended already: then the shell has the terminal by itself
    m.expect(r"unit guest: 2 passed, 0 failed", 60)


def run_loop(m, command):
    """Begins a command that does not end, and goes to Trapline's shell when it runs."""
    m.line(f"echo run''ning; {command}")
    m.expect(r"^running\n")
    m.to_shell()


@pytest.mark.parametrize("console", ["virtio", "uart"])
def test_kernel_of_debian(machine, bundle, console):
    """One that is busy in its kernel: registers and call trace. (That an idle one and user mode are left in peace has unit
    tests: here any kick may come upon the kernel's timer.)"""
    bootargs = "console=ttyS0" if console == "uart" else harness.BOOTARGS
    m = machine(bundle=bundle(vm(bootargs=bootargs, console=console)), append="keep", harts=2)
    m.boot()
    run_loop(m, "dd if=/dev/zero of=/dev/null bs=64M")
    for _ in range(KICKS):
        said = m.command("kick vm0")
        if "hardware-error exception" not in said:
            continue
        m.send(harness.ESCAPE)
        try:
            m.expect(r"Oops - unknown exception \[#1\]", 5 if "if nothing comes" in said else 60, fail="PANIC")
            break
        except AssertionError:
            assert "if nothing comes" in said  # taken for a fault of the copy that was under way
            m.to_shell()
    else:
        raise AssertionError("dd is never in the kernel")
    m.expect(r"epc : \w+\+0x", fail="PANIC")
    m.expect(r"cause: 0000000000000013", fail="PANIC")
    m.expect(r"\[<[0-9a-f]+>\] \w+\+0x", fail="PANIC")
    m.expect(r"Kernel panic - not syncing", 60, fail="PANIC")


@pytest.mark.parametrize("console", ["virtio", "uart"])
def test_sysrq(machine, bundle, console):
    """User mode that hangs: the kernel's backtraces by its console, by Ctrl-O of hvc0 or a break of the UART."""
    bootargs = "console=ttyS0" if console == "uart" else harness.BOOTARGS
    m = machine(bundle=bundle(vm(bootargs=bootargs + SYSRQ, console=console)), harts=2)
    m.expect(harness.USERSPACE, 60)
    m.expect(harness.PROMPT)
    run_loop(m, "while :; do :; done")
    m.command("sysrq vm0 l")
    m.send(harness.ESCAPE)
    m.expect(r"\[<[0-9a-f]+>\] (sysrq_handle_showallcpus|__handle_sysrq)\+0x", 60)
    m.to_shell()
    m.command("sysrq vm0 m")
    m.send(harness.ESCAPE)
    m.expect(r"sysrq: Show Memory", 60)
    m.expect(r"Mem-Info:", 60)
