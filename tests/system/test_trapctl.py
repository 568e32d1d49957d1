# SPDX-License-Identifier: BSD-2-Clause
"""trapctl as people use it, with a machine that runs: in a terminal, and in scripts. (test_trapctl_fake.py has what no
machine does: bad answers, busy ports; and each command's details.)"""
import fcntl
import json
import os
import re
import signal
import subprocess

import pytest

import harness
from harness import BUILD, PROMPT, TOP, vm
from test_net import tcpdump, uplink
from terminal import LOST, OK, REFUSED, TRAPCTL, Terminal, bash, environment, run

WORK = os.path.join(BUILD, "guests", "work.bin")


@pytest.fixture
def checkout(control, tmp_path):
    """A machine whose sockets are where `make run` would make them: checkout(vm(...), ...) is (machine, folder)."""

    def start(*vms, **options):
        m, paths = control(*vms, ports=4, **options)
        (tmp_path / "build").mkdir()
        for i, path in enumerate(paths):
            os.symlink(path, tmp_path / "build" / f"control.{i + 1}")
        return m, tmp_path

    return start


def good(*words, cwd):
    code, out, err = run(*words, program=TRAPCTL, cwd=cwd)
    assert code == OK, f"{words}: {code}: {out}{err}"
    return out


def bad(*words, cwd):
    code, _, err = run(*words, program=TRAPCTL, cwd=cwd)
    assert code != OK and err.startswith("trapctl: ")
    return code, err


def terminal(*words, cwd, **options):
    return Terminal(*words, program=TRAPCTL, cwd=cwd, **options)


def states(cwd):
    return {line.split()[0]: line.split()[1] for line in good("ps", cwd=cwd).splitlines()[1:]}


def networks(here):
    """Looked at, and changed as they run. One sends, and nobody answers."""
    assert re.match(r"lan0: internal\nPORT .*\none/net-0 .* up +no +off ", good("net", cwd=here))
    while not (lan := json.loads(good("net", "lan0", "-j", cwd=here))[0])["ports"][0]["tx-frames"]:
        assert lan["mode"] == "internal"
    code, out, err = run("capture", "one/net-0", "x.pcapng", "-d", "3", "--json", program=TRAPCTL, cwd=here)
    counts = json.loads(out)
    assert code == OK and counts["lost"] == 0 and f"{counts['frames']} frames, 0 lost" in err
    requests = tcpdump((here / "x.pcapng").read_bytes(), "arp")
    assert 0 < len(requests) <= counts["frames"] and "Request who-has 10.9.0.9 tell 10.9.0.1" in requests[0]
    assert good("net", "port", "one/net-0", "rate=2M", "isolated=on", cwd=here) == "one/net-0: link=up rate=2.0 MiB/s isolated=on\n"
    assert good("net", "link", "one/net-0", "down", cwd=here) == "one/net-0: link=down rate=2.0 MiB/s isolated=on\n"
    assert good("net", "link", "one/net-0", "up", cwd=here).startswith("one/net-0: link=up ")
    assert bad("net", "forward", "add", "lan0", "80", "two:80", cwd=here)[0] == REFUSED  # this is for NAT
    assert good("net", "set", "lan0", "mode=nat", cwd=here) == "lan0: mode=nat\n"
    good("net", "forward", "add", "lan0", "udp:53", "two:5353", cwd=here)
    assert re.search(r"^udp:53 +two/net-0 +5353 ", good("net", "lan0", cwd=here), re.M)
    good("net", "forward", "rm", "lan0", "udp:53", cwd=here)
    assert "udp:53" not in good("net", "lan0", cwd=here)
    for words in (("link", "one/net-7", "up"), ("set", "lan9", "mode=nat"), ("set", "lan0", "mode=fast"), ("forward", "rm", "lan0", "53")):
        assert bad("net", *words, cwd=here)[0] == REFUSED
    assert int(re.search(r"^one +net-0\.write-ops +(\d+)$", good("stats", "one", cwd=here), re.M).group(1)) > 0


def disks(here):
    assert good("disk", "resize", "two/disk-0", "9M", cwd=here) == "two/disk-0: resized\n"
    assert good("disk", "create", "base", "8M", cwd=here) == "base: made\n"
    assert good("disk", "clone", "base", "over", "12M", "room=8M", cwd=here) == "over: made\n"
    assert good("disk", "resize", "over", "16M", cwd=here) == "over: resized\n"
    lines = good("disk", "ls", cwd=here)
    assert re.search(r"^data +raw +9\.0 MiB .* two/disk-0$", lines, re.M)
    assert re.search(r"^over +qcow2 +16\.0 MiB +\d.* base$", lines, re.M)
    assert re.match(r".*\ntwo/disk-0 +raw +9\.0 MiB +off +off +data\n$", good("disk", "ls", "two", cwd=here))
    assert good("disk", "limit", "two/disk-0", "iops=200", "bytes=4M", cwd=here) == "two/disk-0: iops=200 bytes=4194304\n"
    assert "in use" in bad("disk", "rm", "data", cwd=here)[1] and "over" in bad("disk", "rm", "base", cwd=here)[1]
    assert bad("disk", "create", "data", "1M", cwd=here)[0] == bad("disk", "create", "large", "1G", cwd=here)[0] == REFUSED
    assert good("disk", "rm", "over", "base", cwd=here) == "over: deleted\nbase: deleted\n"


def test_a_day_with_two_vms(checkout, disk):
    """States, shares, networks, disks, looking into a VM: what a person does in a second terminal."""
    image = disk(1 << 20)
    harness.make_partitions(image, 64 << 20, data="8MiB")
    sends = f'{harness.BOOTARGS} tl.cmd="ip addr add 10.9.0.1/24 dev eth0; ip link set eth0 up; ping 10.9.0.9 >/dev/null 2>&1 &"'
    m, here = checkout(vm("one", vcpus=2, ram="128M", nets=["lan0"], bootargs=sends),
                       vm("two", ram="128M", autostart=False, nets=["lan0"], disks=["part:data"]), disk=image, args=uplink())
    m.expect(PROMPT, 60)
    networks(here)
    disks(here)
    assert states(here) == {"one": "running", "two": "off"}
    with terminal("events", "--vm", "two", "-n", "3", cwd=here) as events:
        while "VM_STARTED" not in "".join(events.lines()):  # until it is there to listen
            assert good("start", "two", cwd=here) == "two: started\n"
            try:
                events.until(lambda: events.shows("VM_STARTED"), 2)
            except AssertionError:
                good("stop", "two", cwd=here)
        assert good("pause", "one", "two", cwd=here) == "one: paused\ntwo: paused\n"
        assert states(here) == {"one": "paused", "two": "paused"}
        assert bad("pause", "one", cwd=here) == (REFUSED, "trapctl: one: it is paused already\n") or \
            "one: it is paused" in bad("pause", "one", cwd=here)[1]
        assert good("resume", "one", "two", cwd=here) == "one: goes on\ntwo: goes on\n"
        assert events.end() == OK
        assert events.shows("two           STOP") and events.shows("RESUME") or events.shows("SHUTDOWN")
    assert good("set", "two", "weight=50", "cap=40", "affinity=1", cwd=here) == "two: weight=50 cap=40 affinity=1\n"
    code, err = bad("set", "two", "cap=4000", cwd=here)
    assert code == REFUSED and err
    assert good("set", "two", cwd=here) == "two: weight=50 cap=40 affinity=1\n"

    rows = {r["vm"]: r for r in json.loads(good("top", "--json", "-d", "0.5", cwd=here))}
    assert rows["two"]["weight"] == 50 and rows["two"]["harts"] == "1" and 0 <= rows["two"]["cpu"] <= 45 and "tx" in rows["one"]
    assert re.search(r"^one +ran-ns +\d+\.\d{3} s$", good("stats", "one", cwd=here), re.M)
    assert re.search(r"^sbi +\d+ ", good("exits", "one", cwd=here), re.M)
    assert json.loads(good("exits", "one", "-j", cwd=here))["total"] > 0
    assert "one vCPU 1 of 2" in good("regs", "one", "1", cwd=here)
    assert "VS level" in good("walk", "one", "0xffffffff80000000", cwd=here)
    assert 'compatible = "' in good("fdt", "one", cwd=here)
    assert "two: started" in good("log", cwd=here) and len(good("log", "-n", "2", cwd=here).splitlines()) == 2
    out = good("info", cwd=here)
    assert re.search(r"^ +1 +1  online", out, re.M) and re.search(r"^  total +1\.0 GiB$", out, re.M) and "found at boot" in out
    assert "one" in good("monitor", "list", cwd=here)
    assert json.loads(good("exec", "query-status", '{"vm": "two"}', cwd=here))["status"] == "running"
    assert bad("regs", "one", "7", cwd=here)[0] == bad("exec", "fly", cwd=here)[0] == REFUSED
    assert bad("rm", "two", cwd=here)[0] == REFUSED
    with terminal("capture", "two/net-0", "x.pcapng", cwd=here) as capture, terminal("capture", "one/net-0", "y.pcapng", cwd=here) as other:
        capture.expect("until Ctrl-C")
        other.expect("until Ctrl-C")
        assert good("rm", "-f", "two", cwd=here) == "two: removed\n" and states(here) == {"one": "running"}
        assert capture.end() == OK and capture.shows("two/net-0: the card is gone")
        other.send("\x03")
        assert other.end() == OK and other.shows(" frames, 0 lost")
    assert all(tcpdump((here / name).read_bytes()) is not None for name in ("x.pcapng", "y.pcapng"))
    assert bad("start", "two", cwd=here)[0] == REFUSED
    assert good("create", "two", cwd=here) == "two: made anew\n" and states(here) == {"one": "running", "two": "off"}

    with terminal("console", "one", cwd=here) as console:
        console.expect("guest:~#")
        console.send("poweroff -f\r")
        console.expect("[trapctl: one: off")
        console.send("\x1d")
        assert console.end() == OK and console.settings() == console.before
    with terminal("top", cwd=here) as top:
        top.expect("one")
        good("exec", "query-version", cwd=here)
        m.close()
        assert top.end() == LOST and top.shows("the machine is gone") and top.settings() == top.before
    assert "the machine has ended" in bad("ps", cwd=here)[1]


def test_consoles(checkout):
    """Scrollback, typing, two at once on one VM, full screens."""
    m, here = checkout(vm("one", ram="128M"))
    m.expect(PROMPT, 60)
    with terminal("console", "one", cwd=here) as a, terminal("console", "one", cwd=here) as b:
        for t in (a, b):
            t.until(lambda t=t: b"trapline-guest: userspace up" in t.text)  # from before it came
            t.expect("guest:~#")
        a.send("stty -echo\r")
        a.send("stty raw; echo $((6*7))$((6*7)); c=$(dd bs=1 count=1 2>/dev/null); stty sane -echo; "
               "[ \"$c\" = \"$(printf '\\003')\" ] && echo caught\r")
        a.expect("4242")
        b.expect("4242")
        b.send("\x03")
        a.expect("caught")  # Ctrl-C is the guest's
        b.send("printf '\\033[2J\\033[5;7Hhere'; read x; echo got $x\r")
        a.until(lambda: a.lines()[4].startswith("      here"))
        a.send("äö~.x\r")
        b.expect("got äö~.x")
        a.send("\r~.")
        b.send("\x1d")
        assert (a.end(), b.end()) == (OK, OK)
        assert a.settings() == a.before and b.settings() == b.before


def test_top_live(checkout, bundle):
    """A hog, an idler and one under a cap, beside one another on one hart each."""
    m, here = checkout(vm("hog", WORK, None, "ms=600000 wait=0", ram="64M"),
                       vm("held", WORK, None, "ms=600000 wait=0", ram="64M"), vm("idle", ram="128M"))
    good("set", "held", "cap=1", cwd=here)  # its turns are short and rare: it parks all the same
    for _ in range(3):
        assert "vCPU 0 of 1" in good("regs", "held", cwd=here)
    assert good("pause", "held", cwd=here) and good("resume", "held", cwd=here)
    good("set", "held", "cap=20", cwd=here)
    with terminal("top", "-d", "0.5", cwd=here, columns=110, rows=20) as top:
        order = lambda: [line.split()[0] for line in top.lines()[5:] if line]
        share = lambda name: [float(line.split()[3]) for line in top.lines()[5:] if line.split()[:1] == [name]][0]
        top.until(lambda: order() == ["hog", "held", "idle"] and share("hog") > 60 and 10 < share("held") < 30 and
                  share("idle") < 10, 60)
        assert top.shows("20%") and top.shows("harts   2")
        top.send("N")
        top.until(lambda: order() == ["held", "hog", "idle"])
        top.send("v")
        top.until(lambda: order() == ["held", "vcpu0", "hog", "vcpu0", "idle", "vcpu0"])
        top.resize(60, 8)
        top.until(lambda: order() == ["held", "vcpu0", "hog"] and not top.shows("WGT"))
        top.send("q")
        assert top.end() == OK and top.settings() == top.before


def test_run_a_bundle(checkout, bundle):
    """Sent over the wire, with progress on a terminal, refused cleanly; then run and removed."""
    m, here = checkout(vm("one", ram="128M", autostart=False))
    big = bundle(vm("sent", ram="128M"), hash_name="sha256")
    with terminal("run", big, cwd=here) as t:
        t.until(lambda: re.search(r"\[#+-+\] +\d+ %  [\d.]+ .iB/s", t.text.decode(errors="replace")), 60)
        assert t.end(120) == OK
        assert [line for line in t.lines() if line] == ["sent"]
    assert states(here) == {"one": "off", "sent": "running"}
    code, err = bad("run", big, cwd=here)
    assert code == REFUSED and "sent" in err
    assert states(here) == {"one": "off", "sent": "running"}
    with terminal("console", "sent", cwd=here) as t:
        t.expect("guest:~#", 60)
        t.send("\x1d")
        assert t.end() == OK
    good("rm", "-f", "sent", cwd=here)
    free = json.loads(good("exec", "query-host", cwd=here))["memory"]["free"]
    assert good("run", "--no-start", "-q", big, cwd=here) == "sent\n" and states(here)["sent"] == "off"
    good("rm", "sent", cwd=here)
    assert json.loads(good("exec", "query-host", cwd=here))["memory"]["free"] == free
    assert json.loads(good("exec", "query-bundles", cwd=here))[0]["bundle"] == 0
    # One whose image is damaged, which its own checksum tells.
    with open(big, "r+b") as file:
        file.seek(-1 << 20, os.SEEK_END)
        file.write(b"damaged")
    assert bad("run", big, cwd=here)[0] == REFUSED and states(here) == {"one": "off"}
    with terminal("run", big, cwd=here) as t:  # given up in the middle
        t.until(lambda: b"#" in t.text, 60)
        t.send("\x03")
        assert t.end() == -signal.SIGINT
    assert [b["bundle"] for b in json.loads(good("exec", "query-bundles", cwd=here))] == [0]


def test_shell_and_completion(checkout):
    m, here = checkout(vm("alpha", ram="128M", autostart=False), vm("beta", ram="128M", autostart=False))
    with bash(here, columns=120) as t:
        t.send("trapctl start al\t\r")
        t.expect("alpha: started")
        t.send("trapctl stop alpha b\t")
        t.expect("stop alpha beta")
        t.send("\x15clear; trapctl shell\r")
        t.expect("trapctl>")
        t.send("pa\tal\t\r")
        t.expect("alpha: paused")
        t.send("!list\r")
        t.expect("NAME             STATE")
        t.send("exit\r")
        t.until(lambda: t.lines()[t.screen.cursor.y].startswith("ready>"))
        t.send("exit\r")
        t.end()


# --- make run, make install ---------------------------------------------------------------------------------


def runner(path):
    """tools/run in a terminal, with a bundle of one VM that waits; and where its sockets are, by what it says."""
    t = Terminal(os.path.join(TOP, "tools", "run"), path, program=None, cwd=TOP, columns=140,
                 env={"MEM": "512M", "HARTS": "1", "KEEP": "1"})
    t.until(lambda: t.shows("trapline>"), 60)
    told = re.search(rb"build/trapctl (--connect=(\S+) )?ps", t.text)
    return t, (told.group(2) or b"build").decode()


def ended(t, folder):
    """Ends QEMU at once, as a power cut would; its lock says when it is gone."""
    t.child.kill(signal.SIGKILL)
    t.end()
    with open(os.path.join(TOP, folder, "control.lock"), "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)


def test_make_run_says_where(bundle):
    """Two machines of one checkout do not get in each other's way; a socket that was left behind is replaced."""
    path = bundle(vm("waits", WORK, None, "ms=1", ram="64M", autostart=False))
    first, one = runner(path)
    with first:
        second, two = runner(path)
        with second:
            assert one != two
            for folder in (one, two):
                assert states(TOP) and "waits" in good("ps", "--connect", folder, cwd=TOP)
            ended(second, two)
            assert os.path.exists(os.path.join(TOP, two, "control.1"))
            assert "the machine has ended" in bad("ps", "--connect", two, cwd=TOP)[1]
            third, again = runner(path)
            with third:
                assert again == two and "waits" in good("ps", "-c", again, cwd=TOP)
                ended(third, again)
        ended(first, one)


def test_install(tmp_path):
    goal = ["make", "-s", "DESTDIR=" + str(tmp_path), "PREFIX=/usr"]
    done = subprocess.run([*goal, "install"], cwd=TOP, env=environment({"MAKEFLAGS": ""}), capture_output=True, text=True,
                          timeout=300 * harness.FACTOR, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    files = sorted(os.path.relpath(os.path.join(d, f), tmp_path / "usr") for d, _, names in os.walk(tmp_path) for f in names)
    assert files == ["bin/trapctl", "bin/trapline-mkbundle", "lib/trapline/trapline.bin",
                     "share/bash-completion/completions/trapctl", "share/man/man1/trapctl.1"]
    for name in ("trapctl", "trapline-mkbundle"):
        assert "usage" in subprocess.run([tmp_path / "usr" / "bin" / name, "--help"], capture_output=True, text=True,
                                         timeout=60, check=True).stdout
    page = subprocess.run(["groff", "-mandoc", "-Tutf8", "-ww", tmp_path / "usr/share/man/man1/trapctl.1"],
                          capture_output=True, text=True, timeout=60, check=True)
    assert page.stderr == "" and "EXIT STATUS" in re.sub(r"\x1b\[[0-9;]*m|.\x08", "", page.stdout)
    subprocess.run([*goal, "uninstall"], cwd=TOP, check=True, timeout=60)
    assert not [f for _, _, names in os.walk(tmp_path) for f in names]


def test_manual_has_all_commands_and_options():
    with open(os.path.join(TOP, "tools", "trapctl", "trapctl.1"), encoding="utf-8") as file:
        page = file.read()
    code, text, _ = run("--help", program=TRAPCTL)
    assert code == OK
    for name in re.findall(r"^  ([a-z]+)  ", text.split("commands:")[1].split("options:")[0], re.M):
        assert re.search(rf"\.It Ic ([a-z |]+ )?{name}\b", page), name
        for option in re.findall(r"--([a-z-]+)", run(name, "--help", program=TRAPCTL)[1].split("options of all")[0]):
            letter = re.search(rf"-(\w), --{option}\b", run(name, "--help", program=TRAPCTL)[1])
            assert f"Fl -{option}" in page or f"-{option}" in page or (letter and f"Fl {letter.group(1)}" in page) or \
                re.search(rf"Fl \w*{letter.group(1)}" if letter else "$^", page), f"{name} --{option}"
