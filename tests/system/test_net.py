# SPDX-License-Identifier: BSD-2-Clause
"""Networks: VMs on a switch reach one another, whole and quickly; what a cable and a switch's limits do."""
import base64
import contextlib
import hashlib
import http.server
import os
import re
import socket
import socketserver
import subprocess
import time
import urllib.request

import pytest

import harness
from qmp import Client
from test_hostile import hostile

FILE, PART = 24 << 20, (4 << 20) + 1  # bytes
GUEST = os.path.join(harness.BUILD, "guests", "net.bin")
SERVER = (
    "echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad; ip addr add 10.9.0.2/24 dev eth0; "
    "ip -6 addr add fd00::2/64 dev eth0; ip link set eth0 up; mkdir /www; "
    f"dd if=/dev/urandom of=/www/file bs=1M count={FILE >> 20} 2>/dev/null; md5sum </www/file >/www/sum; httpd -h /www; "
    "(nc -ll -p 9 -e md5sum &); echo server''ready"
)
CLIENT = (
    "echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad; ip addr add 10.9.0.1/24 dev eth0; "
    "ip -6 addr add fd00::1/64 dev eth0; ip link set eth0 up"
)


def jumbo_card(n):
    """Commands for a second card, on a switch for larger frames."""
    return f"ip addr add 10.8.0.{n}/24 dev eth1; ip -6 addr add fd08::{n}/64 dev eth1; ip link set eth1 up"


def server(name="vm1", nets=("lan0",), first=""):
    return harness.vm(name, nets=nets, bootargs=f'{harness.BOOTARGS} tl.cmd="{first}{SERVER}"')


def ports_text(m):
    m.to_shell()
    return m.command("net")


def table(m):
    """What the shell's `net` prints of each port: its words."""
    return {line.split()[0]: line.split() for line in ports_text(m).splitlines() if re.match(r"  \w+\.\d ", line)}


def net(c, name="lan0"):
    """What query-nets says of a switch; its cards by name."""
    [one] = c.execute("query-nets", net=name)
    return one, {f"{port['vm']}/{port['device']}": port for port in one["ports"]}


def link_local(mac):
    """The address that Linux makes of an Ethernet address. (RFC 4291, appendix A)"""
    b = [int(byte, 16) for byte in mac.split(":")]
    return "fe80::%02x%02x:%02xff:fe%02x:%02x%02x" % (b[0] ^ 2, *b[1:])


class Capture:
    """A capture, from now until close(), which has the file's bytes, frames and lost."""

    def __init__(self, c, **of):
        self._c = c
        self._id = c.execute("capture-open", **of)["capture"]

    def close(self):
        counts, data, event = self._c.execute("capture-close", capture=self._id), b"", {}
        while not event.get("end"):
            event = self._c.event("CAPTURE_DATA")
            assert event["capture"] == self._id
            data += base64.b64decode(event["data"], validate=True)
        return data, counts["frames"], counts["lost"]


def tcpdump(data, *expression):
    """What tcpdump reads of a capture, a line a packet."""
    out = subprocess.run(["/usr/bin/tcpdump", "-nn", "-r", "-", *expression], input=data, capture_output=True, check=True)
    return out.stdout.decode().splitlines()


def jumbo_frames(m, c):
    """Packets as long as the MTU, which none may cut (Linux says so of its echo requests), and TCP, by IPv6."""
    m.run(jumbo_card(1))
    assert m.run("cat /sys/class/net/eth1/mtu") == "9000\n"
    m.run("until ping -c 1 -W 1 10.8.0.2; do :; done", 60)
    capture = Capture(c, vm="vm0", device="net-1")
    assert " 0% packet loss" in m.run("ping -c 3 -i 0.1 -s 8972 10.8.0.2")
    data, _, lost = capture.close()
    assert lost == 0 and len(tcpdump(data, "icmp and greater 9014")) == 6
    assert len(tcpdump(data, "icmp[icmptype] = icmp-echo and ip[6] & 0x40 != 0")) == 3
    m.run("until wget -q -O - http://[fd08::2]/sum; do :; done", 60)
    # Not to its end, so that the server is told to stop.
    m.run(f"wget -q -O - http://[fd08::2]/file | head -c {PART} | md5sum | diff - /tmp/part.sum", 120)
    _, ports = net(c, "jumbo")
    assert ports["vm0/net-1"]["rx-bytes"] > PART


def test_two_vms_on_a_switch(control):
    """Packets and files between two VMs; a card's cable, isolation and rate, changed meanwhile; what a capture sees of it. A second switch has
    frames of 9000 bytes."""
    nets = ["lan0", "jumbo"]
    m, paths = control(harness.vm(nets=nets), server(nets=nets, first=f"{jumbo_card(2)}; "), switches=["jumbo,mtu=9000"],
                       harts=2, mem="2G", limit=400)
    m.boot(120)
    c = Client(paths[0], timeout=60 * harness.FACTOR)
    m.run(CLIENT)
    m.run("until ping -c 1 -W 1 10.9.0.2; do :; done", 90)
    assert " 0% packet loss" in m.run("ping -c 5 -i 0.1 -s 1400 10.9.0.2")
    assert " 0% packet loss" in m.run("ping -c 5 -i 0.1 fd00::2")
    _, ports = net(c)
    assert set(ports) == {"vm0/net-0", "vm1/net-0"}
    capture = Capture(c, vm="vm0", device="net-0")
    assert " 0% packet loss" in m.run(f"ping -c 5 -i 0.1 -I eth0 {link_local(ports['vm1/net-0']['mac'])}")
    assert " 0% packet loss" in m.run("ping -c 3 -i 0.1 -s 4000 10.9.0.2")  # in fragments
    data, frames, lost = capture.close()
    assert lost == 0 and len(tcpdump(data)) == frames
    assert [sum(f"echo {kind}" in line for line in tcpdump(data, "icmp6")) for kind in ("request", "reply")] == [5, 5]
    assert len(tcpdump(data, "icmp and ip[6:2] & 0x1fff = 0")) == 6
    # Of some size, and not a whole number of frames; then by TCP both ways.
    m.run("until wget -q -O /tmp/sum http://10.9.0.2/sum; do :; done", 120)
    m.run("wget -q -O /tmp/file http://10.9.0.2/file; md5sum </tmp/file | diff - /tmp/sum", 120)
    _, ports = net(c)
    assert ports["vm1/net-0"]["tx-bytes"] > FILE and ports["vm0/net-0"]["rx-bytes"] > FILE
    m.run(f"head -c {PART} /tmp/file >/tmp/part; md5sum </tmp/part >/tmp/part.sum; nc 10.9.0.2 9 </tmp/part | diff - /tmp/part.sum", 120)
    # Segmented by nobody: the frames are larger than what a wire would take (how much larger is the sender's affair, and of load).
    assert ports["vm0/net-0"]["rx-bytes"] / ports["vm0/net-0"]["rx-frames"] > 1600
    jumbo_frames(m, c)
    # Two that are isolated do not reach each other; one that is alone is with the other.
    c.execute("set-port", vm="vm0", device="net-0", isolated=True)
    assert " 0% packet loss" in m.run("ping -c 1 10.9.0.2")
    c.execute("set-port", vm="vm1", device="net-0", isolated=True)
    assert m.shell("ping -c 1 -W 1 10.9.0.2")[0] == 1
    c.execute("set-port", vm="vm1", device="net-0", isolated=False, rate=512 << 10)
    # 2 MiB at 512 KiB a second, of which 128 KiB may come at once.
    seconds = m.run("a=$(cut -d. -f1 /proc/uptime); wget -q -O - http://10.9.0.2/file | head -c 2097152 >/dev/null; "
                    "b=$(cut -d. -f1 /proc/uptime); echo $((b - a))", 120)
    assert int(seconds.split()[-1]) >= 3
    c.execute("set-port", vm="vm1", device="net-0", rate=0)
    # A cable.
    assert m.run("cat /sys/class/net/eth0/carrier") == "1\n"
    c.execute("set_link", name="vm0/net-0", up=False)
    m.run("until grep 0 /sys/class/net/eth0/carrier; do :; done")
    assert m.shell("ping -c 1 -W 1 10.9.0.2")[0] == 1
    c.execute("set_link", name="vm0/net-0", up=True)
    m.run("until ping -c 1 -W 1 10.9.0.2; do :; done", 60)
    # There is no uplink; what cannot be leaves all as it was.
    with pytest.raises(RuntimeError, match="no network card"):
        c.execute("set-net", net="lan0", mode="bridge")
    assert net(c)[0]["mode"] == "internal"
    assert " 0% packet loss" in m.run("ping -c 1 10.9.0.2")


# --- the host's network: QEMU's user network, which answers DHCP, ARP, ping, and TCP to this machine itself ---

def md5(data):
    return hashlib.md5(data).hexdigest()


PAGE = b"from outside\n" * 1000


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_):
        pass


class Sum(socketserver.BaseRequestHandler):
    """Answers what it is sent with its MD5."""

    def handle(self):
        sum = hashlib.md5()
        while data := self.request.recv(1 << 16):
            sum.update(data)
        self.request.sendall(f"{sum.hexdigest()}  -\n".encode())


def echoes(port, data):
    """Whether a UDP packet to a port of this machine comes back, which may be lost on its way sometimes."""
    until = time.monotonic() + 60 * harness.FACTOR
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        s.connect(("127.0.0.1", port))
        s.settimeout(1)
        while time.monotonic() < until:
            with contextlib.suppress(TimeoutError, ConnectionRefusedError):
                s.send(data)
                if s.recv(1 << 16) == data:
                    return True
    return False


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def uplink(*forwards):
    """QEMU's options for a network card; forwards: (port of this machine, address, port there), "udp" behind them if it is."""
    words = "".join(f",hostfwd={''.join(udp) or 'tcp'}:127.0.0.1:{port}-{to}:{there}" for port, to, there, *udp in forwards)
    return ["-netdev", f"user,id=net{words}", "-device", "virtio-net-device,netdev=net"]


def fetch(port, path, timeout=60):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=timeout) as answer:
        return answer.read()


def test_bridge_to_the_hosts_network(control):
    port = free_port()
    m, paths = control(harness.vm(nets=["wan"]), harness.vm("vm1", nets=["wan"], bootargs=harness.BOOTARGS + ' tl.cmd="'
                       "ip link set eth0 up; udhcpc -q -n -t 20 -s /bin/true -i eth0; ip addr add 10.0.2.77/24 dev eth0"
                       '"'), switches=["wan,mode=bridge"], harts=2, mem="2G", args=uplink((port, "10.0.2.50", 80)), limit=300)
    m.boot(120)
    m.run("ip link set eth0 up")
    assert re.search(r"lease of 10\.0\.2\.\d+ obtained", m.run("udhcpc -q -n -t 20 -s /bin/true -i eth0 2>&1", 90))
    m.run("ip addr add 10.0.2.50/24 dev eth0")
    assert " 0% packet loss" in m.run("ping -c 3 10.0.2.2")
    m.run("until ping -c 1 -W 1 10.0.2.77; do :; done", 60)  # the other VM, without the uplink's help
    _, ports = net(Client(paths[0], timeout=60 * harness.FACTOR), "wan")
    m.run(f"until ping -c 1 -W 1 -I eth0 {link_local(ports['vm1/net-0']['mac'])}; do :; done", 60)
    with harness.serving(Page, http.server.ThreadingHTTPServer) as outside:
        assert m.run(f"wget -q -O - http://10.0.2.2:{outside}/ | md5sum", 60).split()[0] == md5(PAGE)
    m.run("mkdir /www; dd if=/dev/urandom of=/www/file bs=1M count=2 2>/dev/null; httpd -h /www")
    assert md5(fetch(port, "file")) == m.run("md5sum </www/file").split()[0]


@contextlib.contextmanager
def malformed_frames(m, c):
    """Beside a VM that sends frames which are nearly right, to the gateway and to all, until it has sent them all. Its end is in the log, so
    between what the console shows."""
    c.execute("vm-start", vm="bad")
    yield
    until = time.monotonic() + 120 * harness.FACTOR
    while c.execute("query-status", vm="bad")["running"]:
        assert time.monotonic() < until, "the VM that sends malformed frames does not end"
        m.run("true")
    one, ports = net(c, "lan")
    assert ports["bad/net-0"]["tx-frames"] > 5000 and 0 < one["flows"] < one["flow-limit"]


def test_nat_to_the_hosts_network(control, tmp_path):
    """The NAT has its address by DHCP from QEMU; forwards of the bundle and added ones, from outside and from inside; all of it
    beside a VM that sends malformed frames. Then it has other addresses."""
    port, added, closed, echo = (free_port() for _ in range(4))
    web = ("ip link set eth0 up; udhcpc -q -n -t 20 -s /bin/true -i eth0; ip addr add 10.77.0.3/24 dev eth0; "
           "ip route add default via 10.77.0.1; mkdir /www; echo hello >/www/hello; httpd -h /www; httpd -h /www -p 81; (udpecho 7 &); echo web''ready")
    initrd = harness.make_initrd(str(tmp_path / "echo.cpio"), add=[harness.linux_tool("udpecho")])
    m, paths = control(harness.vm(nets=["lan"]), harness.vm("web", initrd=initrd, nets=["lan"], bootargs=harness.BOOTARGS + f' tl.cmd="{web}"'),
                       harness.vm("bad", GUEST, None, "role=malformed host=4 frames=30000", ram="16M", nets=["lan"], autostart=False),
                       switches=["lan,mode=nat,forward=tcp:8080:web:80+udp:5353:web:7"], harts=2, mem="2G", limit=400,
                       args=uplink((port, "10.0.2.15", 8080), (added, "10.0.2.15", 8081), (closed, "10.0.2.15", 82),
                                   (echo, "10.0.2.15", 5353, "udp")))
    m.boot(120)
    c = Client(paths[0], timeout=60 * harness.FACTOR)
    m.run("ip link set eth0 up")
    # The gateway has the first address, then the cards in the order in which they were made.
    assert "lease of 10.77.0.2 obtained from 10.77.0.1, lease time 86400" in m.run("udhcpc -q -n -t 20 -s /bin/true -i eth0 2>&1", 90)
    m.run("ip addr add 10.77.0.2/24 dev eth0; ip route add default via 10.77.0.1")
    assert " 0% packet loss" in m.run("ping -c 3 10.77.0.1")
    m.run("until ping -c 1 -W 1 10.77.0.3; do :; done", 60)
    capture = Capture(c, net="lan", port="uplink")
    m.run("until ping -c 1 -W 1 10.0.2.2; do :; done", 30)
    assert " 0% packet loss" in m.run("ping -c 5 -i 0.2 -s 1000 10.0.2.2")
    assert " 0% packet loss" in m.run("ping -c 2 -i 0.2 -s 4000 10.0.2.2")  # in fragments
    with harness.serving(Page, http.server.ThreadingHTTPServer) as outside:
        for _ in range(3):
            assert m.run(f"wget -q -O - http://10.0.2.2:{outside}/ | md5sum", 60).split()[0] == md5(PAGE)
    m.run("until wget -q -O - http://10.77.0.3/hello; do :; done", 90)
    assert fetch(port, "hello") == b"hello\n"
    data, frames, _ = capture.close()
    assert len(tcpdump(data)) == frames and len(tcpdump(data, "icmp[icmptype] = icmp-echo and src 10.0.2.15 and greater 1000 and less 1100")) == 5
    assert tcpdump(data, "tcp port 8080 and dst 10.0.2.15") and not tcpdump(data, "net 10.77.0.0/24")
    # What the protocol says of it.
    one, _ = net(c, "lan")
    assert (one["mode"], one["uplink"], one["address"], one["subnet"]) == ("nat", True, "10.0.2.15/24", "10.77.0.0/24")
    assert {lease["vm"]: lease["address"] for lease in one["leases"]} == {"vm0": "10.77.0.2", "web": "10.77.0.3"}
    assert any("10.0.2.15/24 on the uplink by DHCP, router 10.0.2.2, name server 10.0.2.3" in line for line in c.execute("query-log")["lines"])
    with malformed_frames(m, c), harness.serving(Sum) as outside:
        assert re.search(r"^([0-9a-f]{32})  -\n\1  -$", m.run(
            f"head -c 2000000 /dev/urandom >/tmp/up; nc 10.0.2.2 {outside} </tmp/up; md5sum </tmp/up", 90), re.M)
        assert fetch(port, "hello") == b"hello\n"
        assert echoes(echo, b"hello") and echoes(echo, bytes(range(250)) * 12)  # this one in fragments
    # A forward is added, and used from outside, and from inside at the outer address; then it is gone.
    c.execute("net-forward-add", net="lan", host_port=8081, vm="web", port=81)
    assert fetch(added, "hello") == b"hello\n"
    assert m.run("wget -q -O - http://10.0.2.15:8081/hello", 60) == "hello\n"
    with pytest.raises(RuntimeError, match="forwarded already"):
        c.execute("net-forward-add", net="lan", host_port=8081, vm="vm0", port=9)
    c.execute("net-forward-remove", net="lan", host_port=8081)
    assert m.shell("wget -q -T 2 -O - http://10.0.2.15:8081/hello")[0] == 1
    # A packet whose time ends at the gateway.
    assert re.search(r"^ *1 +10\.77\.0\.1 ", m.run("traceroute -n -q 1 -w 5 -m 1 10.0.2.2", 60), re.M)
    # Another's address is not let through.
    m.run("ip addr add 10.77.0.9/24 dev eth0")
    assert m.shell("ping -c 1 -W 1 -I 10.77.0.9 10.77.0.3")[0] == 1
    other_addresses(m, c, port)
    assert int(re.search(r"^  vm0\.0 .*\n.* (\d+) of other addresses", ports_text(m), re.M).group(1)) >= 1


def other_addresses(m, c, port):
    """On the uplink, where forwards stay; and inside, when no VM goes on using what it was given."""
    c.execute("set-net", net="lan", address="10.0.2.15/24", router="10.0.2.2")
    assert fetch(port, "hello") == b"hello\n"
    with pytest.raises(RuntimeError, match="take their links down"):
        c.execute("set-net", net="lan", subnet="10.78.0.0/24")
    _, ports = net(c, "lan")
    for up in (False, True):
        for name in ports:
            c.execute("set_link", name=name, up=up)
        if not up:
            c.execute("set-net", net="lan", subnet="10.78.0.0/24")
    assert "lease of 10.78.0.2 obtained from 10.78.0.1" in m.run("udhcpc -q -n -t 20 -s /bin/true -i eth0 2>&1", 90)


def test_beside_a_flood_and_one_that_means_harm(machine, bundle, tmp_path):
    """A hostile guest on the same switch, and one that floods it: two others exchange a file meanwhile, and are not kept from it."""
    # The kernel's own generator: broadcasts, as many as go.
    flood = ("ip link set eth0 up; cd /proc/net/pktgen; echo add_device eth0 >kpktgend_0; for word in 'count 0' 'pkt_size 1000' 'dst 10.9.0.255' "
             "'dst_mac ff:ff:ff:ff:ff:ff'; do echo $word >eth0; done; echo start >pgctrl")
    initrd = harness.make_initrd(str(tmp_path / "pktgen.cpio"), modules=["pktgen"])
    m = machine(bundle=bundle(harness.vm(nets=["lan0"]), server(), hostile("bad", "seed=3 ops=2000 rounds=0 nets=1 attack=virtio",
                                                                           nets=["lan0"], autostart=True),
                              harness.vm("flood", initrd=initrd, nets=["lan0"], bootargs=f'{harness.BOOTARGS} tl.cmd="{flood}"')),
                harts=2, mem="2G", append="keep", limit=420)
    m.boot(180)
    m.run(CLIENT)
    m.run("until ping -c 1 -W 1 10.9.0.2; do :; done", 120)
    m.run("until wget -q -O /tmp/sum http://10.9.0.2/sum; do :; done", 180)
    # What the hostile VM does is in the log meanwhile, and on this line.
    assert re.search(r"^same$", m.run("wget -q -O - http://10.9.0.2/file | md5sum | diff - /tmp/sum && echo same", 240), re.M)
    assert int(table(m)["flood.0"][3]) > 1000
    until = time.monotonic() + 120 * harness.FACTOR  # it attacks other devices in between
    while int(table(m)["bad.0"][3]) == 0:
        assert time.monotonic() < until, "no frame of the hostile VM came to the switch"
    for name in ("bad", "flood"):
        m.command(f"stop {name}")
        assert re.search(rf"^{name}\s+off", m.command("list"), re.M)
        m.command(f"destroy {name}")
    assert not re.search(r"^(bad|flood)\b", m.command("frames"), re.M)
    assert set(table(m)) == {"vm0.0", "vm1.0"}
    assert "hostile: FAIL" not in m.output and "not given back" not in m.output
    assert "well: " in m.command("stacks")
