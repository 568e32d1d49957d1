# SPDX-License-Identifier: BSD-2-Clause
"""The ways that boards start Trapline, and shapes of machine that only a device tree of one's own can show."""
import os
from pathlib import Path

import harness
from harness import vm

UBOOT = os.path.join(harness.BUILD, "uboot", "u-boot.bin")
EXTLINUX = os.path.join(harness.TOP, "firmware", "boards", "extlinux.conf")


def board_disk(file_system, path, **more):
    """What docs/boards.md has a user copy to the board's boot partition."""
    files = {"extlinux/extlinux.conf": Path(EXTLINUX), "trapline/trapline.bin": Path(harness.TRAPLINE),
             "trapline/bundle.itb": Path(path)}
    return file_system(files | more)


def to_uboot(m):
    m.expect("Hit any key to stop autoboot", 30)
    m.send("\n")
    m.expect("^=> ")
    m.line("virtio scan")
    m.expect("^=> ")


def test_extlinux(machine, bundle, file_system):
    """U-Boot, started by OpenSBI as on a board, reads image and bundle from a disk. It puts the bundle 1 MiB off a
    multiple of 2 MiB, and looks for a ramdisk in it, as it is a FIT."""
    m = machine(kernel=UBOOT, harts=2, disk=board_disk(file_system, bundle(vm(vcpus=2, bootargs=harness.BOOTARGS))))
    to_uboot(m)
    m.line("sysboot virtio 0 any ${scriptaddr} /extlinux/extlinux.conf")
    m.expect("Loading ramdisk from FIT")
    m.expect("Starting kernel")
    m.expect("Trapline, a RISC-V hypervisor", 60)
    m.expect(r"harts +2:")
    m.boot()
    assert m.run("nproc").strip() == "2"


def test_booti(machine, bundle, file_system):
    """The commands of docs/boards.md, and power off: there is no `keep`."""
    m = machine(kernel=UBOOT, harts=2, disk=board_disk(file_system, bundle()))
    to_uboot(m)
    for command in (
        "load virtio 0 ${kernel_addr_r} /trapline/trapline.bin",
        "load virtio 0 ${ramdisk_addr_r} /trapline/bundle.itb",
        "setenv bootargs",
    ):
        m.line(command)
        m.expect("^=> ")
    m.line("booti ${kernel_addr_r} ${ramdisk_addr_r}:${filesize} ${fdtcontroladdr}")
    m.expect("Trapline, a RISC-V hypervisor", 60)
    m.boot()
    m.line("poweroff")
    m.expect_off()
