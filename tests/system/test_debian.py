# SPDX-License-Identifier: BSD-2-Clause
"""A whole Debian: what `make run GUEST=debian` starts, reached by ssh from outside."""
import hashlib
import json
import os
import re
import socket
import subprocess

import harness

DEBIAN = os.path.join(harness.BUILD, "debian")
SECONDS = 600  # to wait for a step of systemd's: half a minute on an idle machine, many on one that much keeps busy


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ssh(port, command):
    """What a command in the guest prints, by ssh from outside; asked for again until the guest answers at all."""
    words = ["ssh", "-q", "-p", str(port), "-i", os.path.join(DEBIAN, "key"), "-o", "BatchMode=yes",
             "-o", "ConnectionAttempts=10", "-o", f"ConnectTimeout={int(SECONDS * harness.FACTOR)}",
             "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "root@localhost", command]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=2 * SECONDS * harness.FACTOR)
    assert done.returncode == 0, f"{command!r} by ssh: status {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def chain(image):
    """The qcow2 image and the template behind it, in their partitions, as QEMU's tools take them."""
    def part(name):
        first, size = harness.partitions_of(image)[name]
        return {"driver": "raw", "offset": first, "size": size, "file": {"driver": "file", "filename": image}}

    return "json:" + json.dumps({"driver": "qcow2", "file": part("debian"), "backing": part("template")})


def test_debian_is_reached_by_ssh(machine, bundle, tmp_path):
    assert os.path.exists(os.path.join(DEBIAN, "template.ext4")), "no template of Debian: make debian-template"
    image = str(tmp_path / "debian.img")
    subprocess.run([os.path.join(harness.TOP, "tools", "debian"), "disk", image, "debian"], check=True)
    port = free_port()
    guest = harness.vm("debian", bootargs="root=/dev/vda console=hvc0 systemd.hostname=debian", vcpus=2, ram="512M",
                       disks=["qcow2:debian"], nets=["lan"])
    m = machine(bundle=bundle(guest, switches=["lan,mode=nat,forward=tcp:2222:debian:22"]), harts=2, mem="2G", disk=image,
                limit=1800, args=["-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{port}-10.0.2.15:2222",
                                 "-device", "virtio-net-device,netdev=net"])
    m.expect(r"^debian login: ", SECONDS)
    m.line("root")
    m.expect("^Password: ", SECONDS)
    with open(os.path.join(DEBIAN, "password"), encoding="utf-8") as file:
        m.line(file.read().strip())
    m.expect(r"root@debian:~# ", SECONDS)
    state = ssh(port, "systemctl is-system-running --wait; systemctl --failed --no-legend; hostname; cat /etc/debian_version; "
                      "dpkg --audit && echo whole; dd if=/dev/urandom of=/root/file bs=64k count=50 2>/dev/null; sync; md5sum </root/file")
    words = state.split()
    assert words[:2] == ["running", "debian"] and re.match(r"13\.", words[2]) and words[3] == "whole", state
    digest = words[4]
    ssh(port, "systemctl poweroff --no-block")
    m.expect("debian: stopped: guest shut down", SECONDS)
    m.expect_off()

    raw = str(tmp_path / "raw")
    subprocess.run(["qemu-img", "check", "-q", chain(image)], check=True)
    subprocess.run(["qemu-img", "convert", "-O", "raw", chain(image), raw], check=True)
    os.remove(image)
    subprocess.run(["/sbin/e2fsck", "-f", "-n", raw], check=True, capture_output=True)
    file = subprocess.run(["/sbin/debugfs", "-R", "cat /root/file", raw], check=True, capture_output=True).stdout
    os.remove(raw)
    assert hashlib.md5(file).hexdigest() == digest
