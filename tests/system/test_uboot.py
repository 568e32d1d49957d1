# SPDX-License-Identifier: BSD-2-Clause
"""U-Boot as a guest: another system, and one driver after another on the same virtio disk."""
import os
import re
from pathlib import Path

import pytest

import harness
from harness import vm

UBOOT = os.path.join(harness.BUILD, "uboot", "u-boot.bin")
EXTLINUX = """default linux
timeout 1
label linux
  linux /Image
  initrd /initrd
  append earlycon=sbi console=ttyS0
"""


@pytest.fixture
def boot_disk(file_system):
    """An ext4 file system with the Debian kernel, its initrd, and what U-Boot reads to start them."""
    return file_system({"extlinux/extlinux.conf": EXTLINUX, "Image": Path(harness.LINUX),
                        "initrd": Path(harness.INITRD)}, "64M")


VIRTIO_DISK = 0x10003000  # behind console and entropy


def to_prompt(m):
    m.expect("Hit any key to stop autoboot", 30)
    m.send("\n")
    m.expect("^=> ")


def uboot(m, command):
    """Runs a command of U-Boot; what it printed. It is at its prompt: what comes earlier may be lost."""
    m.line(command)
    m.expect(re.escape(command) + r"\s*\n")
    return m.expect(r"([^\0]*?)^=> ", 30).group(1)


def word(m, address):
    """What U-Boot reads at an address."""
    return int(re.match(rf"{address:08x}: ([0-9a-f]{{8}}) ", uboot(m, f"md.l {address:x} 1")).group(1), 16)


def test_uboot_starts_linux_from_a_virtio_disk(machine, bundle, boot_disk):
    m = machine(bundle=bundle(vm(kernel=UBOOT, initrd=None, bootargs="", ram="512M", console="uart",
                                disks=[boot_disk])))
    to_prompt(m)
    # As a driver of the legacy interface begins (virtio 1.2, 4.2.4): the version says no, and what is
    # written to registers of its own does nothing.
    assert (word(m, VIRTIO_DISK), word(m, VIRTIO_DISK + 4)) == (0x74726976, 2)
    uboot(m, f"mw.l {VIRTIO_DISK + 0x28:x} 1000; mw.l {VIRTIO_DISK + 0x3c:x} 1000; mw.l {VIRTIO_DISK + 0x40:x} 90000")
    assert word(m, VIRTIO_DISK + 0x40) == 0
    assert re.search(r"^ +31\d+ +Image", uboot(m, "virtio scan; ls virtio 0 /"), re.M)
    m.line("sysboot virtio 0 any ${scriptaddr} /extlinux/extlinux.conf")
    m.expect("Starting kernel", 60)
    m.boot(90)
    # Linux's driver has taken the disk over from U-Boot's.
    m.run("mount -t ext4 /dev/vda /mnt")
    assert "console=ttyS0" in m.run("cat /mnt/extlinux/extlinux.conf")
    m.line("reboot")  # the VM starts again, with U-Boot
    m.expect("Hit any key to stop autoboot", 30)


def test_uboot_resets_to_fresh_memory(machine, bundle):
    m = machine(bundle=bundle(vm(kernel=UBOOT, initrd=None, bootargs="", console="uart")))
    for _ in range(2):
        to_prompt(m)
        assert word(m, 0x88000000) == 0
        uboot(m, "mw.l 88000000 12345678 100000")
        assert word(m, 0x88000000) == 0x12345678
        m.line("reset")
    to_prompt(m)
    m.line("poweroff")
    m.expect_off()
