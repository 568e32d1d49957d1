# SPDX-License-Identifier: BSD-2-Clause
"""kexec: a guest puts another kernel in its place, without Trapline's doing."""
import os
import re

import pytest

import harness
from harness import vm
from test_guest_smp import work_on_each

UNIT = os.path.join(harness.BUILD, "guests", "unit.bin")
FIRST = "earlycon=sbi console=hvc0 the-command-line-of-the-kernel-that-the-bundle-names"
SECOND = "earlycon=sbi console=hvc0 second-kernel"


@pytest.fixture
def initrd(tmp_path):
    path = harness.make_initrd(str(tmp_path / "kexec.cpio"), [harness.linux_tool("kexec")])
    yield path
    os.remove(path)


@pytest.fixture
def unit_disk(tmp_path):
    """Disks are whole sectors."""
    path = tmp_path / "unit.img"
    with open(UNIT, "rb") as file:
        data = file.read()
    path.write_bytes(data + bytes(-len(data) % 512))
    yield str(path)
    path.unlink()


def test_linux_starts_linux_starts_another_system(machine, bundle, initrd, unit_disk):
    """With all vCPUs, twice; the third system says whether the harts are as a kernel has to find them."""
    one = vm(initrd=initrd, bootargs=FIRST, vcpus=4, ram="512M", disks=[harness.LINUX, initrd, unit_disk])
    m = machine(bundle=bundle(one), harts=2)
    m.boot(90)
    assert m.run("cat /proc/cmdline").strip() == FIRST
    m.line(f"kexec /dev/vda /dev/vdb '{SECOND}'")
    m.boot(90)
    assert m.run("cat /proc/cmdline").strip() == SECOND
    assert m.run("nproc").strip() == "4"
    work_on_each(m, 4)
    assert "started" not in m.output.split(FIRST, 1)[1]  # Trapline started it once
    m.line("kexec /dev/vdc - only=hsm")
    last = m.expect(r"unit guest: (\d+) passed, (\d+) failed", 120)
    assert int(last.group(1)) > 5 and last.group(2) == "0", re.findall("FAIL .*", m.output)
    m.expect_off()
