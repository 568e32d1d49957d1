# SPDX-License-Identifier: BSD-2-Clause
"""The Debian guest alone on OpenSBI: shows that recipe, emulator and harness work without Trapline."""
import harness


def test_native_boot_and_shell(native):
    m = native(harts=2)
    m.boot()
    assert m.run("nproc").strip() == "2"
    assert "6." in m.run("uname -r")
    m.line("poweroff")
    m.expect_off()


def test_native_command_line_switches(native):
    m = native(bootargs='console=ttyS0 tl.cmd="echo hello; false" tl.then=poweroff')
    m.expect(r"^hello$", 60)
    m.expect(r"^trapline-guest: exit 1$")
    m.expect_off()


def test_native_reboot(native):
    m = native()
    m.boot()
    m.line("reboot")
    m.boot()


def test_native_disk(native, disk):
    m = native(disk=disk())
    m.boot()
    m.run("busybox mke2fs /dev/vda && mount /dev/vda /mnt && echo kept >/mnt/file && umount /mnt")
    assert m.run("mount /dev/vda /mnt && cat /mnt/file").strip() == "kept"


def test_native_time_in_user_mode(native):
    m = native()
    m.boot()
    m.run("usertest time")  # the kernel's PMU driver has stopped cycle and instret


def test_native_illegal_instruction_in_user_mode(native):
    m = native()
    m.boot()
    status, _ = m.shell("usertest illegal")
    assert status == 128 + 4  # SIGILL
