# SPDX-License-Identifier: BSD-2-Clause
"""Debian under Trapline: to userspace on several shapes of machine, and what a boot leaves behind."""
import time

import pytest

import harness
from harness import vm


@pytest.mark.parametrize("harts", [1, 4])  # on 2: test_guest_smp.py
@pytest.mark.parametrize("vcpus", [1, 4])
def test_debian_to_userspace(machine, bundle, vcpus, harts):
    m = machine(bundle=bundle(vm(vcpus=vcpus)), harts=harts)
    m.boot()
    assert m.run("nproc").strip() == str(vcpus)
    assert abs(int(m.run("date +%s")) - time.time()) < 600  # by the host's clock; a guest without one begins in 1970
    m.line("poweroff")
    m.expect_off()  # the last VM has ended, and so does the machine
    assert "invalid state" not in m.output  # which OpenSBI says of what is left enabled with it


@pytest.mark.parametrize("console", ["hvc0", "ttyS0"])
def test_consoles(machine, bundle, console):
    m = machine(bundle=bundle(vm(bootargs=f"earlycon=sbi console={console}")))
    m.boot()
    assert m.run("cat /sys/class/tty/console/active").strip() == console


@pytest.mark.parametrize(
    "cpu, append",
    [
        ("rv64,sstc=off", ""),
        ("rv64", "nosstc"),
        ("rv64", "nohtinst"),
        ("rv64", "nohtval"),
        ("rv64", "vmid0"),
        ("rv64,svadu=off", ""),
        ("rv64,svpbmt=off", ""),
        ("rv64,sv57=off", ""),
        ("rv64,sv57=off,sv48=off", ""),
        ("max", ""),
        ("rva23s64", ""),
        ("veyron-v1", ""),
        ("tt-ascalon", ""),
    ],
    ids=lambda v: v or "plain",
)
def test_kinds_of_hart(machine, bundle, cpu, append):
    m = machine(bundle=bundle(vm(vcpus=2)), harts=2, cpu=cpu, append=append)
    # hgatp takes what satp does, and says so when it is written.
    stage2 = m.expect(r"stage 2 +(.*), (\d+) VMID bits").group(1).split()
    if cpu.startswith("rv64"):
        assert ("Sv57x4" in stage2) == ("sv57=off" not in cpu)
        assert ("Sv48x4" in stage2) == ("sv48=off" not in cpu)
    assert "Sv39x4" in stage2
    m.boot()
    isa = m.run("grep -m1 '^isa' /proc/cpuinfo")
    assert "svpbmt" not in isa or "svpbmt=off" not in cpu
    assert ("sstc" in isa) == ("sstc=off" not in cpu and append != "nosstc")
    m.run("sleep 0.2")  # timers work, by whatever means


def test_spike(machine, bundle):
    """A board without UART, PLIC or virtio, whose only console is the firmware's."""
    # Nothing is typed: QEMU's HTIF keeps one character, and drops it when the next comes before it is polled.
    command = "echo harts $(nproc) && sleep 0.2 && echo slept"
    bootargs = f'{harness.BOOTARGS} tl.cmd="{command}" tl.then=poweroff'
    m = machine(bundle=bundle(vm(vcpus=2, bootargs=bootargs)), harts=2, machine="spike", cpu="rv64,sstc=off")
    m.expect(harness.USERSPACE, 60)
    m.expect("^harts 2$")
    m.expect("^slept$")
    m.expect_off()


def test_sleep_takes_its_time(machine, bundle):
    m = machine(bundle=bundle())
    m.boot()
    text = m.run("cut -d' ' -f1 /proc/uptime; sleep 1; cut -d' ' -f1 /proc/uptime")
    before, after = (float(word) for word in text.split())
    assert 0.99 <= after - before < 5


def test_user_mode_instructions(machine, bundle):
    m = machine(bundle=bundle())
    m.boot()
    m.shell("echo 2 2>/dev/null >/proc/sys/kernel/perf_user_access")
    m.run("usertest cycle && usertest instret && usertest time")
    status, _ = m.shell("usertest illegal")
    assert status == 128 + 4  # SIGILL, and the VM goes on
    m.run("true")


def test_sha256_bundle(machine, bundle):
    m = machine(bundle=bundle(vm(), hash_name="sha256"))
    m.expect(harness.USERSPACE, 90)


def test_memory_of_the_vm_only(machine, bundle):
    m = machine(bundle=bundle(vm(ram="192M")), mem="2G")
    m.boot()
    total = int(m.run("sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo"))
    assert 96 << 10 < total <= 192 << 10
    # It can be used: fill a RAM disk of half the memory, twice over, and read it back.
    for _ in range(2):
        m.run("mkdir -p /fill && mount -t tmpfs -o size=72M none /fill && "
              "dd if=/dev/zero of=/fill/a bs=1M count=64 2>/dev/null && "
              "md5sum /fill/a && umount /fill", 60)


@pytest.mark.parametrize("offset", [64 << 20, 0x3A00000])
def test_image_elsewhere(machine, bundle, tmp_path, offset):
    image = harness.image_at(str(tmp_path / "elsewhere.elf"), 0x80000000 + offset)
    m = machine(kernel=image, bundle=bundle())
    m.boot()
