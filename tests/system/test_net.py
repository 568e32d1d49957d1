# SPDX-License-Identifier: BSD-2-Clause
"""Networks: VMs on a switch reach one another, whole and quickly; what a cable and a switch's limits do."""
import contextlib
import hashlib
import http.server
import re
import time
import socket
import threading
import urllib.request

import harness
from test_hostile import hostile

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


def server(name="vm1", nets=("lan0",)):
    return harness.vm(name, nets=nets, bootargs=f'{harness.BOOTARGS} tl.cmd="{SERVER}"')


def ports_text(m):
    m.to_shell()
    return m.command("net")


def table(m):
    """What the shell's `net` prints of each port: its words."""
    return {line.split()[0]: line.split() for line in ports_text(m).splitlines() if re.match(r"  \w+\.\d ", line)}


def back_to_guest(m, mark):
    """From the shell to the first VM, whose last lines are shown again: none of these is to be read as an answer."""
    m.send(harness.ESCAPE)
    m.line(f"echo back''{mark}")
    m.expect(f"^back{mark}\n")
    m.expect(harness.PROMPT)


def test_two_vms_exchange_packets_and_files(machine, bundle):
    m = machine(bundle=bundle(harness.vm(nets=["lan0"]), server()), harts=2, mem="2G", limit=300)
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


def test_a_cable_is_pulled_and_put_in(machine, bundle):
    m = machine(bundle=bundle(harness.vm(nets=["lan0"]), server()), harts=2, mem="2G", limit=300)
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


@contextlib.contextmanager
def web_server():
    """A server on this machine, which is 10.0.2.2 for the emulated one; its port."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def uplink(*forwards):
    """QEMU's options for a network card; forwards: (port of this machine, address, port there)."""
    words = "".join(f",hostfwd=tcp:127.0.0.1:{port}-{to}:{there}" for port, to, there in forwards)
    return ["-netdev", f"user,id=net{words}", "-device", "virtio-net-device,netdev=net"]


def fetch(port, path, timeout=60):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=timeout) as answer:
        return answer.read()


def test_bridge_to_the_hosts_network(machine, bundle):
    port = free_port()
    m = machine(bundle=bundle(harness.vm(nets=["wan"]), harness.vm("vm1", nets=["wan"], bootargs=harness.BOOTARGS + ' tl.cmd="'
                "ip link set eth0 up; udhcpc -q -n -t 20 -s /bin/true -i eth0; ip addr add 10.0.2.77/24 dev eth0"
                '"'), switches=["wan,mode=bridge"]), harts=2, mem="2G", args=uplink((port, "10.0.2.50", 80)), limit=300)
    m.boot(120)
    m.run("ip link set eth0 up")
    assert re.search(r"lease of 10\.0\.2\.\d+ obtained", m.run("udhcpc -q -n -t 20 -s /bin/true -i eth0 2>&1", 90))
    m.run("ip addr add 10.0.2.50/24 dev eth0")
    assert " 0% packet loss" in m.run("ping -c 3 10.0.2.2")
    m.run("until ping -c 1 -W 1 10.0.2.77; do :; done", 60)  # the other VM, without the uplink's help
    with web_server() as outside:
        assert m.run(f"wget -q -O - http://10.0.2.2:{outside}/ | md5sum", 60).split()[0] == md5(PAGE)
    m.run("mkdir /www; dd if=/dev/urandom of=/www/file bs=1M count=2 2>/dev/null; httpd -h /www")
    assert md5(fetch(port, "file")) == m.run("md5sum </www/file").split()[0]


def test_nat_to_the_hosts_network(machine, bundle):
    port, closed = free_port(), free_port()
    web = ("ip link set eth0 up; udhcpc -q -n -t 20 -s /bin/true -i eth0; ip addr add 10.77.0.3/24 dev eth0; "
           "ip route add default via 10.77.0.1; mkdir /www; echo hello >/www/hello; httpd -h /www; echo web''ready")
    m = machine(bundle=bundle(harness.vm(nets=["lan"]), harness.vm("web", nets=["lan"], bootargs=harness.BOOTARGS + f' tl.cmd="{web}"'),
                switches=["lan,mode=nat,forward=tcp:8080:web:80"]), harts=2, mem="2G",
                args=uplink((port, "10.0.2.15", 8080), (closed, "10.0.2.15", 81)), limit=300)
    m.boot(120)
    m.run("ip link set eth0 up")
    # The gateway has the first address, then the cards in the order in which they were made.
    assert "lease of 10.77.0.2 obtained from 10.77.0.1, lease time 86400" in m.run("udhcpc -q -n -t 20 -s /bin/true -i eth0 2>&1", 90)
    m.run("ip addr add 10.77.0.2/24 dev eth0; ip route add default via 10.77.0.1")
    assert " 0% packet loss" in m.run("ping -c 3 10.77.0.1")
    m.run("until ping -c 1 -W 1 10.77.0.3; do :; done", 60)
    m.run("until ping -c 1 -W 1 10.0.2.2; do :; done", 30)
    assert " 0% packet loss" in m.run("ping -c 5 -i 0.2 -s 1000 10.0.2.2")
    with web_server() as outside:
        for _ in range(3):
            assert m.run(f"wget -q -O - http://10.0.2.2:{outside}/ | md5sum", 60).split()[0] == md5(PAGE)
    m.run("until wget -q -O - http://10.77.0.3/hello; do :; done", 90)
    assert fetch(port, "hello") == b"hello\n"
    # Another's address is not let through.
    m.run("ip addr add 10.77.0.9/24 dev eth0")
    assert m.shell("ping -c 1 -W 1 -I 10.77.0.9 10.77.0.3")[0] == 1
    assert int(re.search(r"(\d+) of other addresses", ports_text(m)).group(1)) >= 1


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
    assert m.run("wget -q -O - http://10.9.0.2/file | md5sum | diff - /tmp/sum && echo same", 240).endswith("same\n")
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
