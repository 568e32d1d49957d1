# SPDX-License-Identifier: BSD-2-Clause
"""Reboot, power-off, several VMs, disks."""
import harness
from harness import vm


def test_reboot_is_of_the_vm_only(machine, bundle):
    m = machine(bundle=bundle(), harts=2)
    m.boot()
    m.line("reboot")
    m.expect(harness.USERSPACE, 60)
    assert m.output.count("OpenSBI v") == 1  # the machine itself was started once


def test_how_a_vm_ended_is_shown_at_its_console(machine, bundle):
    """Kept up, the terminal then goes to Trapline's shell, and the VM starts from there."""
    m = machine(bundle=bundle(), harts=2, append="keep")
    m.boot()
    m.line("poweroff")
    m.expect(r"^\[trapline\] \[.*\] vm0: stopped: guest shut down", 60)
    m.expect(r"\[trapline: shell.*\]")
    m.expect(harness.SHELL_PROMPT)
    m.command("start vm0")
    m.line("poweroff now")
    m.expect_off()


# Every second boot ends by a reboot; the disk knows which.
REBOOT_ONCE = ("if head -c 6 /dev/vda | grep -q again; then echo ended >/dev/vda; else echo again >/dev/vda; sync; "
               "reboot -f; fi; sync")


def test_twenty_reboots_and_power_offs_lose_no_frame(machine, bundle, disk):
    """Ten of each. Each time that the VM has ended, the host's memory is as it was the time before."""
    vm0 = vm(bootargs=f'console=hvc0 tl.cmd="{REBOOT_ONCE}" tl.then=poweroff', disks=["host"], autostart=False)
    m = machine(bundle=bundle(vm0), harts=2, append="keep", disk=disk(1 << 20))
    m.to_shell()
    frames = []
    for _ in range(10):
        m.command("start vm0")
        m.expect(r"vm0: stopped: guest shut down", 120)
        m.expect(harness.SHELL_PROMPT)
        frames.append(m.command("frames"))
    assert m.output.count("vm0: stopped: guest rebooted") == 10, m.output[-2000:]
    assert m.output.count("OpenSBI v") == 1
    # The first run may leave behind what is made once.
    assert frames[1:] == [frames[1]] * 9, m.output[-2000:]


def test_two_vms_at_once(machine, bundle):
    a = vm("a", bootargs='console=hvc0 tl.cmd="echo I am a; sleep 1" tl.then=poweroff')
    b = vm("b", bootargs='console=hvc0 tl.cmd="echo I am b; sleep 1" tl.then=poweroff')
    m = machine(bundle=bundle(a, b), harts=2, mem="2G")
    m.expect(r"trapline-guest: exit 0", 90)
    m.expect_off(90)


def test_host_disk_keeps_what_is_written(machine, bundle, disk):
    image = disk()
    m = machine(bundle=bundle(vm(disks=["host"])), disk=image)
    m.boot()
    m.run("mke2fs /dev/vda >/dev/null && mount /dev/vda /mnt && "
          "dd if=/dev/urandom of=/mnt/file bs=64k count=100 2>/dev/null && sync")
    digest = m.run("md5sum /mnt/file | cut -d' ' -f1").strip()
    m.run("umount /mnt")
    m.line("reboot")
    m.boot()
    m.run("mount /dev/vda /mnt")
    assert m.run("md5sum /mnt/file | cut -d' ' -f1").strip() == digest
    m.line("umount /mnt; poweroff")
    m.expect_off()
    # And another machine finds it.
    m = machine(bundle=bundle(vm(disks=["host"])), disk=image)
    m.boot()
    m.run("mount /dev/vda /mnt")
    assert m.run("md5sum /mnt/file | cut -d' ' -f1").strip() == digest


def test_image_disk(machine, bundle, disk):
    """What a VM writes to a disk of the bundle lasts over its reboots, and another VM does not see it."""
    image = disk(16 << 20)
    with open(image, "r+b") as file:
        file.write(b"from the image\n")
    other = vm("other", disks=[image], bootargs='console=hvc0 tl.cmd="head -n 1 /dev/vda" tl.then=poweroff',
               autostart=False)
    m = machine(bundle=bundle(vm(disks=[image]), other), append="keep", harts=2)
    m.boot()
    assert m.run("head -n 1 /dev/vda").strip() == "from the image"
    m.run("echo overwritten >/dev/vda && sync")
    m.line("reboot")
    m.boot()
    assert m.run("head -n 1 /dev/vda").strip() == "overwritten"
    m.line("poweroff")
    m.to_shell()
    m.command("start other")
    m.line("console other")
    m.expect("from the image", 60)
