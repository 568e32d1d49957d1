# SPDX-License-Identifier: BSD-2-Clause
"""trapctl's net, capture and disk, under the sanitizers, with a machine that is none. (test_trapctl_fake.py has the rest;
test_trapctl.py has the real machine.)"""
import json
import os
import re
import signal
import subprocess

import pytest

from fake_machine import SECTION_AND_INTERFACE, STATISTICS, FakeMachine, disk, net, vm
from harness import FACTOR
from terminal import CHECKED, LOCAL, LOST, OK, REFUSED, USAGE, Terminal, environment, good

FRAME = b"\x06\0\0\0\x20\0\0\0" + bytes(20) + b"\x20\0\0\0"


@pytest.fixture
def m(tmp_path):
    (tmp_path / "build").mkdir()
    with FakeMachine(str(tmp_path / "build"), vm("web"), vm("db")) as fake:
        fake.nets = [net("lan", "web", "db", subnet="10.1.0.1/24", address="10.0.2.15/24",
                         leases=[{"address": "10.1.0.2", "mac": "02:54:00:00:00:00", "vm": "web", "device": "net-0",
                                  "expires-ns": 3723 * 10**9}],
                         forwards=[{"protocol": "tcp", "host-port": 2222, "vm": "web", "device": "net-0", "port": 22}]),
                     net("back", "db", mode="internal")]
        fake.nets[1]["ports"][0]["device"] = "net-1"
        fake.images = [{"image": "debian", "format": "qcow2", "virtual-size": 4 << 30, "actual-size": 1 << 30, "used-by": [],
                        "partition": 5 << 30, "disk": 0},
                       {"image": "web", "format": "qcow2", "virtual-size": 10 << 30, "actual-size": 64 << 20, "backing": "debian",
                        "used-by": ["web/disk-0"], "partition": 11 << 30, "disk": 0},
                       {"image": "odd", "format": "qcow2", "used-by": [], "partition": 1 << 20, "disk": 1}]
        fake.disks = [disk("web/disk-0", "web"), disk("web/disk-1", "data", "raw", ro=True, iops=500), disk("db/disk-0", "db")]
        yield fake


# --- networks -----------------------------------------------------------------------------------------


def test_net_tables(m, ctl):
    out = good(ctl("net"))
    lan, back = out.split("\n\n")
    lines = lan.splitlines()
    assert lines[0] == "lan: nat, with an uplink, outside 10.0.2.15/24, inside 10.1.0.1/24, 0 of 4096 flows"
    assert lines[1].split() == ["PORT", "MAC", "LINK", "ISOLATED", "RATE", "RX", "BYTES", "TX", "BYTES", "DROPPED"]
    assert re.match(r"web/net-0  02:54:00:00:00:00  up +no +off +0 +0 +5 +500 B +0$", lines[2])
    assert re.match(r"db/net-0 .* 10 +2\.0 KiB +5 +500 B +1$", lines[3])
    assert re.match(r"10\.1\.0\.2 +02:54:00:00:00:00 +web/net-0 +1:02:03$", lines[5])
    assert re.match(r"tcp:2222 +web/net-0 +22$", lines[7])
    assert back.splitlines()[0] == "back: internal" and "db/net-1" in back and "BEHIND" not in out
    assert good(ctl("net", "back")).splitlines()[-1] == "02:54:00:00:00:00  db/net-0"
    assert [n["net"] for n in json.loads(good(ctl("net", "-j")))] == ["lan", "back"]
    assert ctl("net", "none")[0] == REFUSED
    m.nets[0]["ports"][0]["vm"] = "\x1b[2J"
    assert "?[2J/net-0" in good(ctl("net"))
    m.nets = []
    assert "there are no networks" in ctl("net")[2]


def test_net_changes(m, ctl):
    assert good(ctl("net", "set", "lan", "mode=bridge")) == "lan: mode=bridge\n" and m.nets[0]["mode"] == "bridge"
    assert ctl("net", "forward", "add", "lan", "80", "web:80")[0] == REFUSED
    good(ctl("net", "set", "lan", "mode=nat", "-q"))
    assert good(ctl("net", "set", "lan", "subnet=10.2.0.0/24", "address=dhcp", "dns=10.0.2.9")) == \
        "lan: subnet=10.2.0.0/24 address=dhcp dns=10.0.2.9\n"
    assert [m.nets[0][k] for k in ("mode", "subnet", "address", "dns")] == ["nat", "10.2.0.0/24", "dhcp", "10.0.2.9"]
    assert good(ctl("net", "link", "web/net-0", "down")) == "web/net-0: link=down rate=off isolated=off\n"
    assert good(ctl("net", "link", "lan", "up")) == "lan: up\n"
    assert good(ctl("net", "port", "web/net-0", "rate=10M", "isolated=on")) == \
        "web/net-0: link=down rate=10.0 MiB/s isolated=on\n"
    assert m.nets[0]["ports"][0]["rate"] == 10 << 20
    assert json.loads(good(ctl("net", "port", "web/net-0", "rate=off", "-j")))["rate"] == 0
    assert good(ctl("net", "forward", "add", "lan", "udp:53", "db:5353")) == "lan: udp:53 to db:5353\n"
    assert good(ctl("net", "forward", "add", "lan", "8080", "10.1.0.9:80")) == "lan: 8080 to 10.1.0.9:80\n"
    assert [(f["protocol"], f["host-port"], f.get("vm"), f["address"], f["port"]) for f in m.nets[0]["forwards"][1:]] == \
        [("udp", 53, "db", "10.1.0.2", 5353), ("tcp", 8080, None, "10.1.0.9", 80)]
    assert good(ctl("net", "forward", "rm", "lan", "udp:53")) == "lan: udp:53 no more\n" and len(m.nets[0]["forwards"]) == 2
    for words in (("link", "web/net-9", "up"), ("set", "lan", "mode=fast"), ("forward", "rm", "lan", "1"), ("link", "none", "up"),
                  ("port", "web/net-7", "rate=1")):
        assert ctl("net", *words)[0] == REFUSED, words


@pytest.mark.parametrize("words, text", [
    ("lan back", "is none of set, link, port, forward"), ("set lan", "too few words"), ("set lan nat", "is not mode="), ("set lan mode=", "is not mode="),
    ("set lan sub=10.0.0.0/24", "is not mode="), ("set lan mode=nat subnet", "is not mode="),
    ("link web/net-0 maybe", "neither up nor down"), ("link web/ up", "is no port"), ("port web rate=1", "'web' is no port"),
    ("port lan/uplink rate=1", "the outside's port"), ("port web/net-0 rate=", "none of rate="), ("port web/net-0 rate=0", "rate=off"),
    ("port web/net-0 rate=9999999999T", "none of rate="), ("port web/net-0 isolated=yes", "isolated=on"),
    ("port web/net-0 rate=1 rate=2 rate=3", "too many"), ("forward add lan 22", "add NET"), ("forward rm lan 22 web:22", "rm NET"),
    ("forward mv lan 22", "add NET"), ("forward add lan 0 web:22", "1 to 65535"), ("forward add lan 22 web", "VM:PORT"),
    ("forward add lan 22 web:70000", "VM:PORT"), ("forward add lan sctp:22 web:1", "a port is"), ("forward add lan 22 :22", "VM:PORT"),
])
def test_net_bad_usage(m, ctl, words, text):
    code, out, err = ctl("net", *words.split())
    assert code == USAGE and out == "" and text in err, err
    assert not {"set-net", "set_link", "set-port", "net-forward-add", "net-forward-remove"} & set(m.seen)


# --- capture ------------------------------------------------------------------------------------------


def capturing(m):
    """The session that captures, once it does."""
    return [s for s in m.sessions if s.capture]


class Capture:
    """trapctl capture, without a terminal."""

    def __init__(self, tmp_path, m, *words, **options):
        self.child = subprocess.Popen([CHECKED, "capture", *words], cwd=tmp_path, env=environment(), stderr=subprocess.PIPE,
                                      preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **options)
        line = self.child.stderr.readline()  # says that it has begun
        assert b"captured to" in line, line
        self.session, = capturing(m)

    def end(self, sig=signal.SIGINT):
        if sig:
            self.child.send_signal(sig)
        err = self.child.stderr.read().decode()
        return self.child.wait(30 * FACTOR), err


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_capture_to_a_file(m, tmp_path, sig):
    c = Capture(tmp_path, m, "web/net-0", "x.pcapng")
    assert c.session.capture["arguments"] == {"vm": "web", "device": "net-0"}
    c.session.captured(FRAME * 3, 3)
    c.session.captured(FRAME, 1, lost=7)
    code, err = c.end(sig)
    assert code == OK and err == "trapctl: web/net-0: 4 frames, 7 lost; 200 B in x.pcapng\n"
    assert (tmp_path / "x.pcapng").read_bytes() == SECTION_AND_INTERFACE + FRAME * 4 + STATISTICS
    assert m.seen.count("capture-close") == 1


def test_capture_of_the_uplink_for_a_while(m, ctl, tmp_path):
    code, out, err = ctl("capture", "lan/uplink", "up.pcapng", "-d", "0.2", "--json")
    assert code == OK and json.loads(out) == {"frames": 0, "lost": 0, "bytes": 72} and "0 frames, 0 lost" in err
    code, _, err = ctl("capture", "lan/uplink", "up.pcapng", "-d", "0.2", "-q", "-s", "96")
    assert (code, err) == (OK, "")


def test_capture_whose_rest_does_not_come(m, ctl):
    m.behave["capture-close"] = lambda s, q: s.send({"return": {"frames": 1, "lost": 0}, "id": q["id"]})
    code, _, err = ctl("capture", "web/net-0", "x.pcapng", "-d", "0.1", "--timeout=0.5")
    assert code == LOST and "web/net-0: the rest did not come" in err


def test_capture_to_a_pipe(m, tmp_path):
    """Each block is there at once; and when the reader leaves, it ends."""
    c = Capture(tmp_path, m, "web/net-0", "-", stdout=subprocess.PIPE)
    assert c.child.stdout.read(48) == SECTION_AND_INTERFACE
    c.session.captured(FRAME, 1)
    assert c.child.stdout.read(32) == FRAME
    c.child.stdout.close()
    code, err = c.end(None)  # nothing comes that could not be written: it is seen all the same
    assert code == OK and "1 frames, 0 lost" in err


def test_capture_ends_with_the_card_or_the_machine(m, tmp_path):
    c = Capture(tmp_path, m, "web/net-0", "x.pcapng")
    c.session.captured(FRAME, 1)
    c.session.end_capture()
    code, err = c.end(None)
    assert code == OK and "web/net-0: the card is gone" in err and "1 frames" in err
    assert (tmp_path / "x.pcapng").read_bytes() == SECTION_AND_INTERFACE + FRAME + STATISTICS
    c = Capture(tmp_path, m, "db/net-0", "x.pcapng")
    c.session.captured(FRAME, 1)
    m.close()
    code, err = c.end(None)
    assert code == LOST and "the machine is gone" in err
    assert (tmp_path / "x.pcapng").read_bytes() == SECTION_AND_INTERFACE + FRAME  # what came is a good file


def test_capture_refused(m, ctl, tmp_path):
    for words, code, text in ((("web/net-9", "x"), REFUSED, "no VM has this card"), (("none/uplink", "x"), REFUSED, "no network"),
                              (("web", "x"), USAGE, "'web' is no port"), (("web/net-0", "no/x"), LOCAL, "No such file"),
                              (("web/net-0", "x", "-d", "0"), USAGE, "not a number of seconds"),
                              (("web/net-0", "x", "-s", "none"), USAGE, "not a number of bytes")):
        got, _, err = ctl("capture", *words)
        assert got == code and text in err, err
    with Terminal("capture", "web/net-0", cwd=tmp_path) as t:
        assert t.end() == USAGE and t.shows("frames are nothing for a terminal")
    m.behave["capture-open"] = lambda s, q: (s.send({"event": "CAPTURE_DATA", "data": {"capture": 1, "data": "=x=="}}),
                                             s.send({"return": {"capture": 1}, "id": q["id"]}))
    code, _, err = ctl("capture", "web/net-0", "x")
    assert code == LOST and "not base64" in err
    with open("/dev/full", "wb") as full:
        done = subprocess.run([CHECKED, "capture", "db/net-0", "-"], cwd=tmp_path, stdout=full, env=environment(),
                              stderr=subprocess.PIPE, timeout=60 * FACTOR, check=False)
    assert done.returncode == LOST
    del m.behave["capture-open"]
    with open("/dev/full", "wb") as full:
        done = subprocess.run([CHECKED, "capture", "db/net-0", "-"], cwd=tmp_path, stdout=full, env=environment(),
                              stderr=subprocess.PIPE, timeout=60 * FACTOR, check=False)
    assert done.returncode == LOCAL and b"No space left" in done.stderr


def test_capture_in_a_shell(m, tmp_path):
    """Ctrl-C ends the capture, and the shell goes on."""
    with Terminal("shell", cwd=tmp_path, columns=120, env={"HOME": str(tmp_path)}) as t:
        t.expect("trapctl>")
        t.send("capture web/net-0 x.pcapng\r")
        t.expect("until Ctrl-C")
        capturing(m)[0].captured(FRAME, 1)
        t.send("\x03")
        t.expect("1 frames, 0 lost")
        t.send("net link web/net-0 up\r")
        t.expect("web/net-0: link=up")
        t.send("exit\r")
        assert t.end() == OK
    assert os.path.getsize(tmp_path / "x.pcapng") == 104


# --- disks --------------------------------------------------------------------------------------------


def test_disk_tables(m, ctl):
    lines = good(ctl("disk", "ls")).splitlines()
    assert lines[0].split("  ")[0] == "IMAGE" and good(ctl("disk")).splitlines() == lines
    assert re.match(r"web +qcow2 +10\.0 GiB +64\.0 MiB +11\.0 GiB +debian +web/disk-0$", lines[2])
    assert re.match(r"odd +qcow2 +- +- +1\.0 MiB$", lines[3])
    lines = good(ctl("disk", "ls", "web")).splitlines()
    assert re.match(r"web/disk-0 +qcow2 +10\.0 GiB +off +off +web +debian$", lines[1]) and len(lines) == 3
    assert re.match(r"web/disk-1 +raw +10\.0 GiB +read-only +500 +off +data +debian$", lines[2])
    assert len(json.loads(good(ctl("disk", "ls", "web", "-j")))) == 2


def test_disk_changes(m, ctl):
    assert good(ctl("disk", "create", "new", "512M", "raw", "room=1G", "on=1")) == "new: made\n"
    assert m.images[-1]["virtual-size"] == 512 << 20 and (m.images[-1]["format"], m.images[-1]["disk"]) == ("raw", 1)
    good(ctl("disk", "create", "over", "8G", "backing=debian"))
    assert (m.images[-1]["backing"], m.images[-1]["format"]) == ("debian", "qcow2")
    assert good(ctl("disk", "clone", "debian", "db", "20G")) == "db: made\n"
    assert (m.images[-1]["backing"], m.images[-1]["virtual-size"]) == ("debian", 20 << 30)
    good(ctl("disk", "clone", "debian", "small", "-q"))
    assert m.images[-1]["virtual-size"] == 4 << 30
    assert good(ctl("disk", "resize", "db", "30G")) == "db: resized\n" and m.images[-2]["virtual-size"] == 30 << 30
    assert good(ctl("disk", "resize", "web/disk-0", "40G")) == "web/disk-0: resized\n"
    assert json.loads(good(ctl("disk", "ls", "web", "-j")))[0]["inserted"]["image"]["virtual-size"] == 40 << 30
    code, out, err = ctl("disk", "rm", "web", "debian", "db", "small")
    assert (code, out) == (REFUSED, "db: deleted\nsmall: deleted\n") and "web/disk-0 has it" in err and "behind another" in err
    assert good(ctl("disk", "rm", "-f", "debian")) == "debian: deleted\n"
    assert good(ctl("disk", "limit", "web/disk-0", "iops=2K", "bytes=10M")) == "web/disk-0: iops=2048 bytes=10485760\n"
    assert good(ctl("disk", "limit", "web/disk-0", "bytes=off")) == "web/disk-0: iops=2048 bytes=0 (off)\n"
    assert json.loads(good(ctl("disk", "limit", "web/disk-0", "-j")))["inserted"]["iops"] == 2048
    for words in (("create", "new", "1G"), ("clone", "none", "x"), ("resize", "odd2", "1G"), ("resize", "web/disk-9", "1G"), ("limit", "web/disk-9"),
                  ("limit", "web/disk-9", "iops=1"), ("resize", "web", "1M")):
        assert ctl("disk", *words)[0] == REFUSED, words


@pytest.mark.parametrize("words, text", [
    ("mk", "is none of ls"), ("ls a b", "too many"), ("create x", "too few"), ("create x big", "'big' is not a size"),
    ("create x 0", "not a size"), ("create x 1G vmdk", "'vmdk' is none of"), ("create x 1G on=x", "none of"),
    ("create x 1G backing=", "none of"), ("create x 9999999T", "not a size"), ("clone x", "too few"), ("clone x y z", "none of"),
    ("resize x 1Z", "not a size"), ("rm", "too few"), ("limit", "too few"), ("limit web/disk-0 iops=", "none of"),
    ("limit web/disk-0 speed=1", "none of"), ("limit web/disk-0 bytes=0", "none of"),
])
def test_disk_bad_usage(m, ctl, words, text):
    code, out, err = ctl("disk", *words.split())
    assert code == USAGE and out == "" and text in err, err


# --- all ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["7", "null", '"x"', "[[[]]]", '[{"net": 1, "ports": [1, {"vm": 2}], "leases": 3, "macs": [4]}]',
                                   '[{"ports": {"a": 1}, "forwards": [{}], "inserted": 7, "used-by": [1, null], "flow-limit": "x"}]'])
def test_answers_of_the_wrong_shape(m, ctl, value):
    """Whatever is missing or is something else: an end without a crash. (The sanitizers watch.)"""

    def odd(session, message):
        session.raw(f'{{"event": "CAPTURE_DATA", "data": {value}}}\n{{"return": {value}, "id": {message["id"]}}}\n'.encode())

    for name in ("query-nets", "query-block", "query-images", "set_link", "image-create", "capture-open", "capture-close"):
        m.behave[name] = odd
    for words in (("net",), ("net", "lan"), ("net", "link", "web/net-0", "up"), ("disk",), ("disk", "ls", "web"), ("disk", "limit", "x/y"),
                  ("disk", "create", "x", "1G"), ("capture", "web/net-0", "x.pcapng", "-d", "0.1")):
        assert ctl(*words, "--timeout=5")[0] in (OK, REFUSED, LOST), words


def test_completion(m, ctl):
    def offered(*words):
        return good(ctl("__complete", *words)).split()

    assert offered("net", "") == ["set", "link", "port", "forward", "lan", "back"]
    assert offered("net", "link", "") == ["web/net-0", "db/net-0", "db/net-1", "lan", "back"]
    assert offered("net", "link", "web/net-0", "d") == ["down"] and offered("net", "set", "lan", "mode=n") == ["mode=nat"]
    assert offered("net", "forward", "") == ["add", "rm"] and offered("net", "forward", "rm", "l") == ["lan"]
    assert offered("net", "port", "w") == ["web/net-0"] and "rate=" in offered("net", "port", "web/net-0", "r")
    assert offered("capture", "") == ["web/net-0", "db/net-0", "db/net-1", "lan/uplink"]
    assert offered("capture", "web/net-0", "x") == ["FILES"]
    assert offered("disk", "") == ["ls", "create", "clone", "resize", "rm", "limit"]
    assert offered("disk", "rm", "web", "") == ["debian", "web", "odd"] and offered("disk", "limit", "d") == ["db/disk-0"]
    assert offered("disk", "limit", "web/disk-0", "by") == ["bytes=", "bytes=off"] and offered("disk", "ls", "") == ["web", "db"]
    assert offered("disk", "create", "x", "1G", "r") == ["raw", "room="] and offered("disk", "clone", "de") == ["debian"]
    assert offered("net", "link", "web/net-0", "up", "") == []
