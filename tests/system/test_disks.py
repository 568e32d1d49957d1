# SPDX-License-Identifier: BSD-2-Clause
"""Disks on partitions of the machine's disk."""
import subprocess

import harness
from harness import vm

FILL = ("mke2fs -q /dev/vda >/dev/null && mount /dev/vda /mnt && "
        "dd if=/dev/urandom of=/mnt/file bs=64k count=64 2>/dev/null && md5sum </mnt/file && umount /mnt")


def fsck(path):
    subprocess.run(["/sbin/e2fsck", "-f", "-n", path], check=True, capture_output=True)


def test_partitions(machine, bundle, disk, tmp_path):
    """Two VMs on partitions of one disk; a third only reads; one that there is not."""
    image = disk(1 << 20)
    parts = harness.make_partitions(image, 64 << 20, web="16MiB", db="16MiB")
    guests = [vm("web", disks=["part:web"]), vm("db", disks=["part:db"], autostart=False),
              vm("peek", disks=["part:web:ro"], autostart=False), vm("lost", disks=["part:home"])]
    m = machine(bundle=bundle(*guests), disk=image, append="keep", harts=2)
    m.expect("VM peek: .*partition 'web' is in use")
    m.expect("VM lost: .*no partition is called 'home'")
    m.boot()
    assert m.run("blockdev --getsize64 /dev/vda").strip() == str(parts["web"][1])
    assert m.run("echo $(cat /sys/block/vda/serial)").strip() == "web"
    assert m.shell("dd if=/dev/zero of=/dev/vda bs=1M seek=16 count=1")[0] != 0
    digest = m.run(FILL)
    m.to_shell()
    m.command("start db")
    m.line("console db")
    m.boot()
    other = m.run(FILL)
    m.run("sync")
    m.to_shell()
    m.line("poweroff now")
    m.expect_off()
    assert harness.partitions_of(image) == parts
    for name, digest in (("web", digest), ("db", other)):
        file = harness.copy_out(image, parts[name], str(tmp_path / name))
        fsck(file)
        done = subprocess.run(["/sbin/debugfs", "-R", "cat /file", file], check=True, capture_output=True)
        assert subprocess.run(["md5sum"], input=done.stdout, capture_output=True).stdout == digest.encode()
