# SPDX-License-Identifier: BSD-2-Clause
"""Networks: VMs on a switch reach one another, whole and quickly; what a cable and a switch's limits do."""
import re

import pytest

import harness

FILE = 24 << 20  # bytes
SERVER = (
    "echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad; ip addr add 10.9.0.2/24 dev eth0; "
    "ip -6 addr add fd00::2/64 dev eth0; ip link set eth0 up; mkdir /www; "
    f"dd if=/dev/urandom of=/www/file bs=1M count={FILE >> 20} 2>/dev/null; md5sum </www/file >/www/sum; httpd -h /www; "
    "echo server''ready"
)
CLIENT = (
    "echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad; ip addr add 10.9.0.1/24 dev eth0; "
    "ip -6 addr add fd00::1/64 dev eth0; ip link set eth0 up"
)


@pytest.fixture(scope="module")
def initrd(tmp_path_factory):
    return harness.make_initrd(str(tmp_path_factory.mktemp("net") / "net.cpio"), modules=["virtio_net"])


def server(initrd, name="vm1", nets=("lan0",)):
    return harness.vm(name, initrd=initrd, nets=nets, bootargs=f'{harness.BOOTARGS} tl.cmd="{SERVER}"')


def table(m):
    """What the shell's `net` prints of each port: its words."""
    m.to_shell()
    return {line.split()[0]: line.split() for line in m.command("net").splitlines() if re.match(r"  \w+\.\d ", line)}


def back_to_guest(m, mark):
    """From the shell to the first VM, whose last lines are shown again: none of these is to be read as an answer."""
    m.send(harness.ESCAPE)
    m.line(f"echo back''{mark}")
    m.expect(f"^back{mark}\n")
    m.expect(harness.PROMPT)


def test_two_vms_exchange_packets_and_files(machine, bundle, initrd):
    m = machine(bundle=bundle(harness.vm(initrd=initrd, nets=["lan0"]), server(initrd)), harts=2, mem="2G", limit=300)
    m.boot(120)
    m.run(CLIENT)
    m.run("until ping -c 1 -W 1 10.9.0.2; do :; done", 90)
    assert " 0% packet loss" in m.run("ping -c 5 -i 0.1 -s 1400 10.9.0.2")
    assert " 0% packet loss" in m.run("ping -c 5 -i 0.1 fd00::2")
    # Of some size, and not a whole number of frames; then by TCP both ways.
    m.run("until wget -q -O /tmp/sum http://10.9.0.2/sum; do :; done", 90)
    assert m.run("wget -q -O - http://10.9.0.2/file | md5sum | diff - /tmp/sum && echo same", 120).endswith("same\n")
    ports = table(m)
    assert set(ports) == {"vm0.0", "vm1.0"}
    assert int(ports["vm1.0"][4]) > FILE and int(ports["vm0.0"][6]) > FILE
    # Segmented by nobody: the frames are larger than what a wire would take.
    assert int(ports["vm0.0"][6]) / int(ports["vm0.0"][5]) > 4000


def test_a_cable_is_pulled_and_put_in(machine, bundle, initrd):
    m = machine(bundle=bundle(harness.vm(initrd=initrd, nets=["lan0"]), server(initrd)), harts=2, mem="2G", limit=300)
    m.boot(120)
    m.run(CLIENT)
    m.run("until ping -c 1 -W 1 10.9.0.2; do :; done", 90)
    assert m.run("cat /sys/class/net/eth0/carrier") == "1\n"
    m.to_shell()
    m.command("net link vm0.0 down")
    back_to_guest(m, 1)
    m.run("until grep 0 /sys/class/net/eth0/carrier; do :; done")
    assert m.shell("ping -c 1 -W 1 10.9.0.2")[0] == 1
    m.to_shell()
    m.command("net link vm0.0 up")
    back_to_guest(m, 2)
    m.run("until ping -c 1 -W 1 10.9.0.2; do :; done", 60)
