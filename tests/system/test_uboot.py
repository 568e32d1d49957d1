# SPDX-License-Identifier: BSD-2-Clause
"""U-Boot as a guest: another system, and one driver after another on the same virtio disk."""
import os
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


def test_uboot_starts_linux_from_a_virtio_disk(machine, bundle, boot_disk):
    m = machine(bundle=bundle(vm(kernel=UBOOT, initrd=None, bootargs="", ram="512M", console="uart",
                                disks=[boot_disk])))
    m.expect("Hit any key to stop autoboot", 30)
    m.send("\n")
    m.expect("=> ")
    m.line("virtio scan; ls virtio 0 /")
    m.expect(r"31\d+ +Image|\d+ +Image")
    m.line("sysboot virtio 0 any ${scriptaddr} /extlinux/extlinux.conf")
    m.expect("Starting kernel", 60)
    m.boot(90)
    # Linux's driver has taken the disk over from U-Boot's.
    m.run("mount -t ext4 /dev/vda /mnt")
    assert "console=ttyS0" in m.run("cat /mnt/extlinux/extlinux.conf")
    m.line("reboot")  # the VM starts again, with U-Boot
    m.expect("Hit any key to stop autoboot", 30)
