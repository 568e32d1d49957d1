# SPDX-License-Identifier: BSD-2-Clause
"""What networks cost, for `tests/perf/bench --only net`.

Frames between two bare-metal VMs (guests/net) on one hart under -icount: the hypervisor's instructions alone, exactly.
TCP between two Debian VMs, and inside one of them (guests/linux-tools/tcpbench): on one hart under -icount, so by
instructions; and on two harts by the clock. To the host machine through QEMU's user network, from a VM on a bridge and
from Linux alone on the same machine, both by the clock."""
import os
import re
import socketserver

import harness

GUEST = os.path.join(harness.BUILD, "guests", "net.bin")
SMALL = 1500  # instructions
RATIO = 0.5
RUNS = 3  # of which the median counts; odd
UPLINK = ["-netdev", "user,id=net", "-device", "virtio-net-device,netdev=net"]


def pair(tmp):
    """{row: (instructions a frame, exits a frame, of a kick)}"""
    vms = [harness.vm(role, GUEST, None, f"role={role}", ram="16M", nets=("lan",)) for role in ("source", "sink")]
    bundle = harness.make_bundle(f"{tmp}/net.itb", *vms)
    with harness.Machine("bench-net-pair", bundle=bundle, icount=True, append="keep") as m:
        m.expect(r"net guest: (end|FAIL.*)\n", 120)
        found = re.findall(r"bench (\S+) instructions (\d+) exits/100 (\d+) kick (\d+)", m.output)
    return {row: (int(n), int(exits) / 100, int(kick)) for row, n, exits, kick in found}


def frames(tmp):
    """[(row, value, most that it should be or None, how it is shown)]"""
    got = pair(tmp)
    rows = []
    for row, what, most in (
        ("stream", "60 bytes, 32 a kick, an answer after 128", SMALL),
        ("single-kicks", "60 bytes, a kick each, an answer after 128", None),
        ("single", "60 bytes, to and fro, each is waited for", None),
        ("stream-1514", "1514 bytes, 32 a kick", None),
    ):
        instructions, exits, _ = got[row]
        rows += [(f"{what}: instructions", instructions, most, "{}"), (f"{what}: exits", exits, None, "{:.2f}")]
    return rows


# --- TCP ---

def make_initrd(tmp):
    path = f"{tmp}/tcp.cpio"
    return path if os.path.exists(path) else harness.make_initrd(path, add=[harness.linux_tool("tcpbench")])


def rate(m, address, port, mib):
    """Bytes a second, the median of some runs; one before them warms up."""
    def once():
        size, ns = map(int, re.search(r"tcp (\d+) (\d+)", m.run(f"tcpbench send {address} {port} {mib}", 300)).groups())
        return size * 1e9 / ns

    once()
    return sorted(once() for _ in range(RUNS))[RUNS // 2]


def carried(m):
    """Frames that the first VM's card has sent and got; its exits."""
    m.to_shell()
    words = re.search(r"^  vm0\.0 .*", m.command("net"), re.M).group().split()
    exits = int(re.search(r"^total +(\d+)", m.command("exits vm0"), re.M).group(1))
    m.send(harness.ESCAPE)
    m.line("echo back''here")
    m.expect("^backhere\n")
    m.expect(harness.PROMPT)
    return int(words[3]) + int(words[5]), exits


def between_vms(tmp, harts, icount, mib):
    """(loopback, between VMs: bytes a second; exits of the sender a frame)"""
    initrd = make_initrd(tmp)
    serve = "ip addr add 10.9.0.2/24 dev eth0; ip link set eth0 up; tcpbench serve 5001"
    bundle = harness.make_bundle(f"{tmp}/tcp.itb", harness.vm(initrd=initrd, nets=["lan"]),
                                 harness.vm("vm1", initrd=initrd, nets=["lan"], bootargs=f'{harness.BOOTARGS} tl.cmd="{serve}"'))
    with harness.Machine(f"bench-net-tcp-{harts}", bundle=bundle, harts=harts, mem="2G", icount=icount, limit=600) as m:
        m.boot(200)
        m.run("ip link set lo up; ip addr add 10.9.0.1/24 dev eth0; ip link set eth0 up; (tcpbench serve 5001 &)")
        m.run("until ping -c 1 -W 1 10.9.0.2; do :; done", 200)
        loopback = rate(m, "127.0.0.1", 5001, mib)
        before = carried(m)
        between = rate(m, "10.9.0.2", 5001, mib)
        sent, exits = (b - a for a, b in zip(before, carried(m)))
    return loopback, between, exits / sent


class Sink(socketserver.BaseRequestHandler):
    """Reads all and answers one byte."""

    def handle(self):
        while self.request.recv(1 << 18):
            pass
        self.request.sendall(b"\0")


def to_host(tmp, native, mib):
    """Bytes a second to this machine, through QEMU's user network."""
    initrd = make_initrd(tmp)
    if native:
        options = {"kernel": harness.LINUX, "bundle": initrd, "append": "console=ttyS0"}
    else:
        options = {"bundle": harness.make_bundle(f"{tmp}/host.itb", harness.vm(initrd=initrd, nets=["wan"]),
                                                 switches=["wan,mode=bridge"])}
    with harness.serving(Sink) as port, harness.Machine(f"bench-net-host-{'native' if native else 'trapline'}", args=UPLINK, **options) as m:
        m.boot(120)
        m.run("ip addr add 10.0.2.15/24 dev eth0; ip link set eth0 up")
        m.run("until ping -c 1 -W 1 10.0.2.2; do :; done", 60)
        return rate(m, "10.0.2.2", port, mib)


def throughput(tmp):
    """[(row, of Trapline, of what it is compared with, their ratio's least or None)]; in MB a second."""
    rows = []
    for what, harts, icount, mib in (("VM to VM, one hart, by instructions", 1, True, 32), ("VM to VM, two harts, by the clock", 2, False, 64)):
        loopback, between, exits = between_vms(tmp, harts, icount, mib)
        rows.append((f"{what}: against loopback in a VM", between / 1e6, loopback / 1e6, RATIO))
        rows.append((f"{what}: exits of the sender a frame", exits, None, None))
    native, ours = to_host(tmp, True, 8), to_host(tmp, False, 8)
    rows.append(("VM to the host's network, one hart: against Linux alone", ours / 1e6, native / 1e6, None))
    return rows
