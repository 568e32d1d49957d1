# SPDX-License-Identifier: BSD-2-Clause
"""trapctl, under the sanitizers, with a machine that is none: each command, bad usage, and servers that misbehave.
(test_trapctl.py has the real machine.)"""
import json
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import threading
import tty

import pytest

import fake_machine
from fake_machine import FakeMachine, GREETING, vm
from harness import TOP
from terminal import CHECKED, CONNECT, LOCAL, LOST, OK, REFUSED, USAGE, Terminal, bash, good, run


@pytest.fixture
def fake(tmp_path):
    made = []

    def start(*vms, **options):
        folder = tmp_path / "build"
        folder.mkdir(exist_ok=True)
        made.append(FakeMachine(str(folder), *(vms or [vm("one", cpu=0.5), vm("two", "paused")]), **options))
        return made[-1]

    yield start
    for one in made:
        one.close()


# --- commands -----------------------------------------------------------------------------------------


def test_ps(fake, ctl):
    fake(vm("one", vcpus=2), vm("off", "shutdown", reason="guest \x1b[2Jshut down"))
    lines = good(ctl("ps")).splitlines()
    assert lines[0].split() == ["NAME", "STATE", "VCPUS", "MEMORY", "MAPPED", "UPTIME", "BOOTS", "REASON"]
    assert re.match(r"one +running +2 +128 MiB +10\.0 MiB +0:00:\d\d +1$", lines[1])
    assert re.match(r"off +off +1 .* - +1  guest \?\[2Jshut down$", lines[2])  # no control reaches the terminal
    assert [v["name"] for v in json.loads(good(ctl("ps", "--json")))] == ["one", "off"]
    assert good(ctl("--json", "ps")) == good(ctl("ps", "-j"))


def test_found_from_a_folder_below(fake, ctl, tmp_path):
    fake()
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert "one" in good(ctl("ps", cwd=tmp_path / "a" / "b"))
    assert "one" in good(ctl("ps", "--connect", str(tmp_path / "build"), cwd="/"))
    assert "one" in good(ctl("ps", cwd="/", env={"TRAPCTL_CONNECT": str(tmp_path / "build" / "control.2")}))


def test_runtime_folder(tmp_path, ctl):
    (tmp_path / "run" / "trapline").mkdir(parents=True)
    with FakeMachine(str(tmp_path / "run" / "trapline"), vm("away")):
        assert "away" in good(ctl("ps", cwd="/", env={"XDG_RUNTIME_DIR": str(tmp_path / "run")}))


def test_deep_folder(tmp_path, ctl):
    """A path that is longer than a socket's address may be."""
    deep = tmp_path / ("d" * 100) / "build"
    deep.mkdir(parents=True)
    os.symlink(deep, tmp_path / "s")
    with FakeMachine(str(tmp_path / "s"), vm("deep")):
        assert "deep" in good(ctl("ps", "--connect", str(deep / "control.1"), cwd="/"))


def test_states(fake, ctl):
    m = fake()
    assert good(ctl("pause", "one")) == "one: paused\n" and m.vms["one"]["status"] == "paused"
    assert good(ctl("resume", "one", "two")) == "one: goes on\ntwo: goes on\n"
    assert good(ctl("reset", "one")) == "one: started anew\n"
    code, out, err = ctl("rm", "one", "two")
    assert code == REFUSED and out == "" and err.count("it is running: stop it first") == 2
    assert good(ctl("stop", "-q", "one")) == "" and m.vms["one"]["status"] == "shutdown"
    assert good(ctl("start", "one")) == "one: started\n"
    assert good(ctl("rm", "-f", "one", "two")) == "one: removed\ntwo: removed\n" and not m.vms
    assert good(ctl("create", "one")) == "one: made anew\n" and m.vms["one"]["status"] == "prelaunch"
    assert ctl("create", "one") == (REFUSED, "", "trapctl: one: there is a VM of this name\n")
    code, out, err = ctl("start", "none", "-j")
    assert (code, out) == (REFUSED, "") and err == "trapctl: none: no VM has this name\n"


def test_failure_does_not_keep_from_the_rest(fake, ctl):
    m = fake()
    code, out, err = ctl("stop", "none", "one")
    assert code == REFUSED and "no VM has this name" in err and out == "one: off\n" and not m.vms["one"]["running"]


def test_rm_force_removes_the_rest(fake, ctl):
    m = fake()
    code, out, err = ctl("rm", "-f", "one", "none", "two")
    assert (code, out, err) == (REFUSED, "one: removed\ntwo: removed\n", "trapctl: none: no VM has this name\n")
    assert not m.vms


def test_set(fake, ctl):
    m = fake()
    assert good(ctl("set", "one")) == "one: weight=100 cap=off affinity=all\n"
    assert good(ctl("set", "one", "weight=300", "cap=50", "affinity=1")) == "one: weight=300 cap=50 affinity=1\n"
    assert m.vms["one"]["affinity"] == [1]
    assert good(ctl("set", "one", "cap=off", "affinity=all")) == "one: weight=300 cap=off affinity=all\n"
    assert json.loads(good(ctl("set", "one", "-j")))[0]["weight"] == 300
    code, _, err = ctl("set", "one", "weight=0")
    assert code == REFUSED and "a weight is 1 to 10000" in err
    for word in ("weight=", "weight=x", "cap=-1", "affinity=3-1", "affinity=", "speed=3", "weight=99999999999999999999"):
        code, _, err = ctl("set", "one", word)
        assert code == USAGE and f"'{word}' is none of" in err


def test_looking(fake, ctl):
    fake()
    assert good(ctl("exits", "one")) == "monitor: exits one\n"
    assert json.loads(good(ctl("exits", "one", "-j")))["total"] == 3
    assert good(ctl("walk", "one", "4096")) == "monitor: walk one 0x1000 0\n"
    assert good(ctl("walk", "one", "0xffffffff80000000", "1")) == "monitor: walk one 0xffffffff80000000 1\n"
    assert good(ctl("regs", "one")) == "monitor: regs one 0\n"
    assert good(ctl("fdt", "one")) == "/dts-v1/;\n/ {\n};\n"
    assert good(ctl("log", "-n", "2")) == "[   0.000018] line 18\n[   0.000019] line 19\n"
    assert len(good(ctl("log")).splitlines()) == 20
    assert good(ctl("monitor", "gpa", "one", "0x10")) == "monitor: gpa one 0x10\n"
    assert good(ctl("sysrq", "one", "h")) == ""
    out = good(ctl("info"))
    assert out.startswith("Trapline 0.1.0 at build/control.1, up 0:00:") and "monitor: info" in out
    assert re.search(r"free +1\.0 GiB", out) and re.search(r"free-2m +512$", out, re.M)
    out = good(ctl("stats", "one"))
    assert re.search(r"^one +memory\.mapped +10\.0 MiB$", out, re.M) and re.search(r"^one +affinity +0 1$", out, re.M)
    assert re.search(r"^one/vcpu0 +hart +0$", good(ctl("stats", "-v")), re.M)
    for words in (("walk", "one", "12z"), ("regs", "one", "x"), ("sysrq", "one", "hh"), ("log", "-n", "0"),
                  ("exits", "one", "--costs=maybe"), ("walk", "one"), ("ps", "one")):
        assert ctl(*words)[0] == USAGE, words
    assert ctl("walk", "none", "0")[0] == REFUSED


def test_exec(fake, ctl):
    fake()
    assert json.loads(good(ctl("exec", "query-status", '{"vm": "one"}'))) == {"status": "running", "running": True}
    code, _, err = ctl("exec", "query-status", "{vm: one}")
    assert code == USAGE and "is no JSON" in err
    assert ctl("exec", "query-status", "[]")[0] == USAGE
    whole = '{"execute": "query-status", "arguments": {"vm": "one"}}'
    assert good(ctl("exec", whole)) == good(ctl("exec", "query-status", '{"vm": "one"}'))
    for words, text in (((whole, "{}"), "nothing goes behind it"), (('{"run": 1}',), 'no "execute"'), (('{"execute"',), "is no JSON")):
        code, _, err = ctl("exec", *words)
        assert code == USAGE and text in err, err
    code, out, err = ctl("exec", "make-coffee")
    assert code == REFUSED and out == "" and "has no command make-coffee (`trapctl exec query-commands`" in err
    code, _, err = ctl("exec", "query-stat")
    assert code == REFUSED and "; did you mean query-stats, query-status" in err
    code, _, err = ctl("exec", "pause")
    assert code == REFUSED and "it is one of trapctl itself" in err and "`trapctl monitor pause`" in err


def test_monitor(fake, ctl):
    fake()
    assert good(ctl("monitor", "list", "-v")) == "monitor: list -v\n"
    code, out, err = ctl("monitor", "fly", "away")
    assert (code, out) == (REFUSED, "")
    assert err == "trapctl: no command fly: `help` lists them\ntrapctl: usage: ?[2J\n"


def test_run(fake, ctl, tmp_path):
    m = fake()
    data = b"\xd0\x0d\xfe\xed" + os.urandom(100000)
    (tmp_path / "x.itb").write_bytes(data)
    assert good(ctl("run", "x.itb")) == "sent\n" and m.uploaded == data  # and no progress without a terminal
    assert good(ctl("run", "--no-start", "x.itb")) == "sent\n" and m.vms["sent"]["status"] == "prelaunch"
    m.vms["twin"] = vm("twin")
    code, out, err = ctl("run", "x.itb")
    assert (code, out, err) == (REFUSED, "sent\n", "trapctl: twin: its name exists\n")
    m.behave["bundle-write"] = lambda s, q: s.send(
        {"error": {"class": "GenericError", "desc": "no memory for it"}, "id": q["id"]})
    code, _, err = ctl("run", "x.itb")
    assert code == REFUSED and "no memory for it" in err
    m.behave["bundle-write"] = lambda s, q: s.drop()
    code, _, err = ctl("run", "x.itb")
    assert code == LOST and "the machine is gone" in err
    (tmp_path / "no.itb").write_bytes(b"\x7fELF" + bytes(100))
    for words, what, text in ((("no.itb",), LOCAL, "not a bundle"), (("none",), LOCAL, "No such file"),
                              (("/dev/null",), LOCAL, "not a file"), (("x.itb", "--start", "--no-start"), USAGE, "together")):
        code, _, err = ctl("run", *words)
        assert code == what and text in err


def fit(*vms, end=b"\0\0\0\2\0\0\0\2\0\0\0\x09"):
    """A bundle with these VMs, as far as trapctl looks at it: a tree (Devicetree Specification, chapter 5)."""
    node = lambda name, inside: b"\0\0\0\1" + name + bytes(4 - len(name) % 4) + inside + b"\0\0\0\2"
    body = b"\0\0\0\1" + bytes(4) + b"\0\0\0\4" + node(b"images", node(b"one", b"")) + \
        b"\0\0\0\1trapline" + bytes(4) + b"".join(
            node(name.encode(), b"\0\0\0\3" + struct.pack(">II", 5, 0) + b"\0\0\0\1x\0\0\0" + node(b"two", b""))
            for name in vms) + end
    return struct.pack(">10I", 0xd00dfeed, 56 + len(body), 56, 40, 40, 17, 16, 0, 0, len(body)) + bytes(16) + body


def test_run_knows_names_before_it_sends(fake, ctl, tmp_path):
    m = fake()
    (tmp_path / "x.itb").write_bytes(fit("new", "one", "also") + bytes(100000))
    code, out, err = ctl("run", "x.itb")
    assert (code, out) == (REFUSED, "") and "bundle-open" not in m.seen
    assert err == "trapctl: x.itb: there is a VM one already: `trapctl rm -f one` removes it\n"
    whole = fit("a", "b", "c")
    (tmp_path / "x.itb").write_bytes(whole)
    assert good(ctl("run", "x.itb")) == "sent\n" and m.uploaded == whole
    m.vms["a" * 100] = vm("a" * 100)
    for data in (whole[:90], whole[:41], fit("a" * 100), fit("a", end=b"\0\0\0\1" * 300 + bytes(4)),
                 fit("b", end=b"\0\0\0\3\xff\xff\xff\xff" + bytes(8)), fit("c", end=b"\0\0\0\2" * 99)):
        (tmp_path / "x.itb").write_bytes(data)  # what is wrong with it, the machine says
        del m.vms["sent"]
        assert good(ctl("run", "x.itb")) == "sent\n"


def test_run_shows_progress(fake, tmp_path):
    m = fake()
    (tmp_path / "x.itb").write_bytes(b"\xd0\x0d\xfe\xed" + bytes(90000))
    half = threading.Event()

    def slow(session, message):
        if message["arguments"]["offset"] >= 45000:
            half.wait(20)
        session.send({"return": session.do_bundle_write(message["arguments"]), "id": message["id"]})

    m.behave["bundle-write"] = slow
    with Terminal("run", "x.itb", cwd=tmp_path) as t:
        t.until(lambda: re.search(r"x\.itb \[#+-+\] +(4|5)\d %  .*/s  ", t.lines()[0]))
        half.set()
        assert t.end() == OK
        assert [line for line in t.lines() if line] == ["sent"]  # the bar is gone


def test_events(fake, tmp_path):
    m = fake()
    with Terminal("events", "-n", "3", cwd=tmp_path) as t:
        t.until(lambda: "qmp_capabilities" in m.seen, 10)
        t.until(lambda: any(s.negotiated for s in m.sessions), 10)
        m.event("STOP", vm="one")
        m.event("SHUTDOWN", vm="two", guest=True, reason="guest-shutdown", text="it \x1b]0;x\x07 ended")
        m.event("RESUME", vm="one")
        assert t.end() == OK
        lines = [line for line in t.lines() if line]
        assert re.fullmatch(r" *\d+\.\d{3}  one +STOP", lines[0])
        assert re.search(r"two +SHUTDOWN  guest=true  reason=guest-shutdown  it \?\]0;x\? ended", lines[1])


def test_events_end_with_the_machine(fake, tmp_path):
    m = fake()
    with Terminal("events", "--json", cwd=tmp_path) as t:
        t.until(lambda: any(s.negotiated for s in m.sessions), 10)
        m.event("STOP", vm="one")
        t.expect('"event":"STOP"')
        m.close()
        assert t.end() == LOST
        assert t.shows("the machine is gone")


# --- usage --------------------------------------------------------------------------------------------


def test_help(ctl):
    out = good(ctl("--help", cwd="/"))
    names = re.findall(r"^  ([a-z]+)  ", out.split("commands:")[1].split("options:")[0], re.M)
    assert {"run", "ps", "top", "console", "start", "stop", "pause", "resume", "reset", "rm", "set", "stats", "walk", "regs",
            "log", "events", "exits", "fdt", "info", "kick", "sysrq", "exec", "shell"} <= set(names)
    for name in names:
        text = good(ctl(name, "--help", cwd="/"))
        assert text.startswith("usage: trapctl") and text == good(ctl("help", name, cwd="/"))
    assert re.match(r"trapctl \d+\.\d+", good(ctl("--version", cwd="/")))


@pytest.mark.parametrize("words, text", [
    ((), "usage: trapctl"), (("fly",), "no command fly"), (("--fly",), "no option --fly"), (("-z", "ps"), "no option -z"),
    (("ps", "--sort"), "no option --sort"), (("top", "--interval"), "wants a value"), (("top", "-d", "x"), "not a number"),
    (("top", "--sort=size"), "no such column"), (("start",), "too few words"), (("console", "a", "b"), "too many words"),
    (("--timeout=0", "ps"), "not a number of seconds"), (("--speed=fast", "ps"), "bits a second"),
    (("ps", "--json=yes"), "takes no value"), (("help", "fly"), "no command fly"),
])
def test_bad_usage(ctl, words, text):
    code, out, err = ctl(*words, cwd="/")
    assert code == USAGE and out == "" and text in err


# --- no machine, and bad ones ----------------------------------------------------------------------------


def test_no_machine(ctl, tmp_path):
    code, _, err = ctl("ps", cwd="/")
    assert code == CONNECT and "start the machine with `make run`" in err and "--connect" in err
    code, _, err = ctl("ps", "-c", "/nonesuch")
    assert code == CONNECT and "/nonesuch: no such socket or device: start the machine with `make run`" in err
    left = socket.socket(socket.AF_UNIX)
    (tmp_path / "build").mkdir()
    left.bind(str(tmp_path / "build" / "control.1"))
    left.close()
    code, _, err = ctl("ps")
    assert code == CONNECT and "build/control.1: nobody answers there: the machine has ended" in err
    code, _, err = ctl("ps", "-c", str(tmp_path))
    assert code == CONNECT and "no control.1 to control.4 in that folder" in err


def test_busy_ports(fake, ctl, tmp_path):
    m = fake(ports=2)
    clients = [socket.socket(socket.AF_UNIX) for _ in range(2)]
    clients[0].connect(m.paths[0])
    assert clients[0].recv(10)
    assert "one" in good(ctl("ps"))  # goes on to the next one
    code, _, err = ctl("ps", "-c", m.paths[0], "--timeout=1")
    assert code == CONNECT and "Another client has this port" in err and "--connect=build/control.2" in err
    clients[1].connect(m.paths[1])
    assert clients[1].recv(10)
    code, _, err = ctl("ps", "--timeout=1")
    assert code == CONNECT and "Other clients have all ports" in err
    threading.Timer(0.5, clients[0].close).start()
    assert "one" in good(ctl("ps"))  # one that becomes free meanwhile
    clients[1].close()


GREETED = (json.dumps(GREETING) + "\r\n").encode()


@pytest.mark.parametrize("greet, code, text", [
    (b"SSH-2.0-OpenSSH\r\n", CONNECT, "does not speak Trapline's protocol"),
    (b'{"QMP": 1}\r\n', CONNECT, "does not speak"),
    (b"\0\xff" * 50 + b"\n", CONNECT, "does not speak"),
    (b'{"QMP": ', CONNECT, "no greeting in 1 s"),
    (b"", CONNECT, "no greeting in 1 s"),
    (GREETED + b"}}}\r\n", LOST, "no message of the machine protocol"),
    (GREETED + b"[1, 2]\r\n", LOST, "no message of the machine protocol"),
    (GREETED + b"[" * 100000 + b"\r\n", LOST, "no message of the machine protocol"),
    (GREETED + b'{"return": {}, "id": 99}\r\n{"event": 3}\r\n{"event": "X"}\r\n\r\n', OK, ""),
])
def test_rubbish(fake, ctl, greet, code, text):
    fake(greet=greet, ports=1)
    got, _, err = ctl("ps", "--timeout=1")
    assert got == code and text in err, err


@pytest.mark.parametrize("answer, code, text", [
    (b"", LOST, "no answer in 1 s"),
    (b'{"return": [', LOST, "no answer in 1 s"),
    (b'{"return": {}}x\r\n', LOST, "no message"),
    (b'{"id": ID}\r\n', LOST, "neither returns nor refuses"),
    (b'{"error": 7, "id": ID}\r\n', REFUSED, "without a reason"),
    (b'{"return": 7, "id": ID}\r\n', OK, ""),
    (b'{"return": [7, {}, {"name": 3, "memory": "x", "uptime": -1}, null], "id": ID}\r\n', OK, ""),
    (b'{"return": [{"name": "\\u0000\\u001b[2J", "status": null}], "id": ID}\r\n', OK, ""),
])
def test_bad_answers(fake, ctl, answer, code, text):
    m = fake()
    m.behave["query-vms"] = lambda s, q: s.raw(answer.replace(b"ID", str(q["id"]).encode()))
    got, out, err = ctl("ps", "--timeout=1")
    assert got == code and text in err and "\x1b" not in out + err, err


@pytest.mark.parametrize("command", [("stats",), ("stats", "-v"), ("stats", "--schema"), ("top", "-1v", "-d", "0.01"),
                                     ("top", "-j", "-d", "0.01"), ("info",), ("set", "one"), ("events", "-n1"), ("run", "x.itb"),
                                     ("log",), ("fdt", "one"), ("walk", "one", "0"), ("kick", "one")])
@pytest.mark.parametrize("value", ["7", "null", '"x"', "[[[]]]", '[{"vm": 1, "stats": [1, {"name": 2}]}]',
                                   '{"harts": [1, {"id": "x"}], "memory": 3, "lines": [1], "source": 2, "chunk": -1, "vms": 1}'])
def test_answers_of_the_wrong_shape(fake, ctl, tmp_path, command, value):
    """Whatever is missing or is something else: an end without a crash. (The sanitizers watch.)"""
    m = fake()
    (tmp_path / "x.itb").write_bytes(b"\xd0\x0d\xfe\xed")

    def odd(session, message):
        session.raw(f'{{"event": "STOP", "data": {value}}}\n{{"return": {value}, "id": {message["id"]}}}\n'.encode())

    for name in ("query-vms", "query-stats", "query-stats-schemas", "query-host", "query-sched", "bundle-open", "bundle-write",
                 "bundle-commit", "query-log", "query-fdt", "query-walk", "shell-command", "inject-nmi"):
        m.behave[name] = odd
    if command[0] == "events":
        threading.Timer(0.5, m.event, ("STOP",), json.loads('{"a": %s}' % value)).start()
    assert ctl(*command, "--timeout=5")[0] in (OK, REFUSED)


def test_huge_line(fake, ctl):
    m = fake(ports=1)

    def flood(session, _):
        for _ in range(20):
            session.raw(b"x" * (1 << 20))

    m.behave["query-vms"] = flood
    code, _, err = ctl("ps")
    assert code == LOST and "a line of more than 16 MiB" in err


def test_slow_answer_is_one(fake, ctl):
    """A byte at a time is no reason to give up."""
    m = fake(vm("slow"))

    def slowly(session, message):
        for byte in json.dumps({"return": session.do_query_vms({}), "id": message["id"]}).encode() + b"\n":
            session.raw(bytes([byte]))

    m.behave["query-vms"] = slowly
    assert "slow" in good(ctl("ps"))


def test_machine_gone_mid_command(fake, ctl):
    m = fake()
    m.behave["query-vms"] = lambda s, q: (s.raw(b'{"return": [{"na'), s.drop())
    code, _, err = ctl("ps")
    assert code == LOST and "the machine is gone" in err
    m.behave["qmp_capabilities"] = lambda s, q: s.drop()
    code, _, err = ctl("ps")
    assert code == LOST and "build/control.1: waiting for an answer: the machine is gone" in err


def test_output_that_cannot_be_written(fake, tmp_path):
    fake()
    with open("/dev/full", "wb") as full:
        done = subprocess.run([CHECKED, "ps"], cwd=tmp_path, stdout=full,
                              stderr=subprocess.PIPE, timeout=30, check=False)
    assert done.returncode == LOCAL and b"cannot be written" in done.stderr


# --- serial lines -----------------------------------------------------------------------------------------


@pytest.fixture
def serial():
    """A serial line whose other end is a machine that was in the middle of something."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    seen = []

    def serve():
        os.write(ours, b'leftovers"}]}\r\n{"event": "STOP", "da')
        data = b""
        while True:
            try:
                data += os.read(ours, 4096)
            except OSError:
                return
            while b"\xff" in data:
                seen.append("restart")
                data = data[data.index(b"\xff") + 1 :]
                os.write(ours, b"\r\n" + GREETED)
            while b"\n" in data:
                line, data = data.split(b"\n", 1)
                message = json.loads(line)
                seen.append(message["execute"])
                os.write(ours, json.dumps({"return": [], "id": message["id"]}).encode() + b"\r\n")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield os.ttyname(theirs), seen
    os.close(theirs)
    thread.join(10)
    os.close(ours)


def test_serial(serial, ctl):
    path, seen = serial
    for _ in range(2):
        code, out, err = ctl("-c", path, "ps", "--speed=1500000")
        assert code == OK and out.startswith("NAME") and "there are no VMs" in err
    assert seen[:3] == ["restart", "qmp_capabilities", "query-vms"]
    code, _, err = ctl("-c", path, "ps", "--speed=1501")
    assert code == USAGE and "not a speed" in err
    code, _, err = ctl("-c", "/dev/null", "ps")
    assert code == CONNECT and "not a serial line" in err


def test_serial_is_for_one(serial, ctl):
    path, seen = serial
    with Terminal("-c", path, "events") as t:
        t.until(lambda: "qmp_capabilities" in seen, 10)
        code, _, err = ctl("-c", path, "ps")
        assert code == CONNECT and "busy" in err
        t.send("\x03")
        assert t.end() == -signal.SIGINT


# --- top --------------------------------------------------------------------------------------------------


def names(t):
    return [line.split()[0] for line in t.lines()[5:] if line]


def test_top_once(fake, ctl):
    fake(vm("slow", cpu=0.25), vm("fast", cpu=1.5, weight=200, cap=150), vm("idle", "prelaunch"))
    lines = good(ctl("top", "-1", "-d", "0.5")).splitlines()
    assert re.match(r"harts   2, 50 % busy: 75 25$", lines[0])
    assert re.match(r"memory  2\.0 GiB, 1\.0 GiB free; 384 MiB promised to 3 VMs$", lines[1])
    assert [line.split()[0] for line in lines[4:]] == ["fast", "slow", "idle"]
    assert re.match(r"fast +running +1 1[45]\d\.\d +0\.0 +0\.0 +0 +128 MiB .* 200 +150% all ", lines[4])
    assert re.match(r"slow +running +1  2\d\.\d ", lines[5])
    rows = json.loads(good(ctl("top", "--json", "-d", "0.2", "-v", "-s", "name")))
    assert [r["vm"] for r in rows] == ["fast", "fast", "idle", "idle", "slow", "slow"] and rows[1]["vcpu"] == 0
    assert abs(rows[0]["cpu"] - 150) < 15 and rows[0]["harts"] == "all"
    assert good(ctl("top", "-n", "2", "-d", "0.1")).count("harts   2") == 2


def test_top_once_in_a_terminal(fake, tmp_path):
    fake()
    with Terminal("top", "-1", "-d", "0.2", cwd=tmp_path, columns=60) as t:
        assert t.end() == OK and t.shows("%CPU") and not t.shows("UPTIME")
        assert len([line for line in t.lines() if line]) == 5  # none is wrapped


def test_top_keys(fake, tmp_path):
    fake(vm("b", cpu=0.3, mapped=3 << 20, wait=0.1), vm("c", cpu=0.1, mapped=9 << 20, wait=0.2), vm("a", cpu=0.2, mapped=5 << 20))
    with Terminal("top", "-d", "0.2", cwd=tmp_path) as t:
        t.until(lambda: names(t) == ["b", "a", "c"])
        assert t.settings() != t.before
        for key, order in (("N", "abc"), ("R", "cba"), ("R", "abc"), ("M", "cab"), ("W", "cba"), ("C", "bac"), ("T", "bac")):
            t.send(key)
            t.until(lambda: names(t) == list(order), 10)
        t.send("v")
        t.until(lambda: names(t) == ["b", "vcpu0", "a", "vcpu0", "c", "vcpu0"])
        t.send("h")
        t.expect("percent of one hart")
        t.send("h")
        t.until(lambda: len(names(t)) == 6)
        t.send("v<")
        t.until(lambda: t.shows("by cap,") and len(names(t)) == 3)
        t.send("\x1b[C")
        t.expect("by time")
        t.send("+")
        t.expect("every 0.4 s")
        t.send("q")
        assert t.end() == OK
        assert t.settings() == t.before
        assert b"\x1b[?1049l" in t.text and b"\x1b[?25h" in t.text


def test_top_resize(fake, tmp_path):
    fake(*[vm(f"vm{i:02}", cpu=(40 - i) / 100) for i in range(40)])
    with Terminal("top", "-d", "0.3", cwd=tmp_path, columns=160, rows=24) as t:
        t.until(lambda: names(t) == [f"vm{i:02}" for i in range(19)])
        assert t.shows("WRITE/S") and t.shows("TX/S") and t.shows("UPTIME")
        t.resize(60, 12)
        t.until(lambda: names(t) == [f"vm{i:02}" for i in range(7)] and not t.shows("WRITE/S"))
        assert all(len(line) <= 60 for line in t.lines()) and t.shows("%CPU")
        t.send("\x1b[6~")
        t.until(lambda: names(t)[0] == "vm07")
        t.resize(200, 50)
        t.until(lambda: len(names(t)) == 40 and t.shows("SHARED"))
        t.resize(20, 3)
        t.until(lambda: t.lines()[0].startswith("trapctl top"))
        t.send("q")
        assert t.end() == OK


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, "gone"])
def test_top_restores_the_terminal(fake, tmp_path, how):
    m = fake()
    with Terminal("top", cwd=tmp_path) as t:
        t.until(lambda: names(t) == ["one", "two"])
        if how == "gone":
            m.close()
        elif how == signal.SIGINT:
            t.send("\x03")
        else:
            os.kill(t.child.pid, how)
        assert t.end() == (LOST if how == "gone" else -how)
        assert t.settings() == t.before and b"\x1b[?1049l" in t.text
        assert how != "gone" or t.shows("the machine is gone")


def test_top_stopped_and_continued(fake, tmp_path):
    fake()
    with bash(tmp_path) as t:
        t.send("trapctl top\r")
        t.until(lambda: names(t)[:2] == ["one", "two"])
        t.send("\x1a")
        t.expect("Stopped")
        t.send("fg\r")  # the emulated screen shows the first table on: that there is another is told by what came
        t.until(lambda: t.text.count(b"\x1b[?1049h") == 2 and b"EXIT/S" in t.text.split(b"\x1b[?1049h")[2])
        t.send("q")
        t.until(lambda: t.text.count(b"\x1b[?1049l") == 2 and b"ready>" in t.text.split(b"\x1b[?1049l")[2])
        t.send("exit\r")
        t.end()


# --- console ------------------------------------------------------------------------------------------------


def test_console(fake, tmp_path):
    m = fake()
    with Terminal("console", "one", cwd=tmp_path) as t:
        t.expect("console of one")  # what was before
        m.output("one", "guest:~# ")
        t.expect("guest:~#")
        t.send("ls\r")
        t.until(lambda: "guest:~# ls" in t.lines())
        t.send("\x03\x1a~ä\r")
        t.until(lambda: m.vms["one"]["typed"] == "ls\r\x03\x1a~ä\r", 10)
        m.output("one", "\x1b[2J\x1b[Hclean")
        t.until(lambda: t.lines()[0] == "clean")
        m.event("SHUTDOWN", vm="one")
        t.expect("[trapctl: one: off")
        t.send("~~x\r~.")
        assert t.end() == OK
        assert m.vms["one"]["typed"].endswith("~x\r") and t.settings() == t.before
    assert "console-attach" in m.seen


@pytest.mark.parametrize("how", ["Ctrl-]", "gone", "removed", signal.SIGTERM, signal.SIGHUP])
def test_console_restores_the_terminal(fake, tmp_path, how):
    m = fake()
    with Terminal("console", "one", cwd=tmp_path) as t:
        t.expect("console of one")
        t.until(lambda: t.settings() != t.before, 10)
        if how == "Ctrl-]":
            t.send("echo\x1d")
        elif how == "gone":
            m.close()
        elif how == "removed":
            m.event("VM_DESTROYED", vm="one")
        else:
            os.kill(t.child.pid, how)
        assert t.end() == {"Ctrl-]": OK, "gone": LOST, "removed": OK}.get(how, how if isinstance(how, str) else -how)
        assert t.settings() == t.before


def test_consoles_at_once(fake, tmp_path, ctl):
    m = fake(ports=3)
    with Terminal("console", "one", cwd=tmp_path) as a, Terminal("console", "one", cwd=tmp_path) as b:
        a.expect("console of one")
        b.expect("console of one")
        m.output("one", "to both\r\n")
        a.expect("to both")
        b.expect("to both")
        assert "one" in good(ctl("ps"))
        a.send("\x1d")
        b.send("\x1d")
        assert (a.end(), b.end()) == (OK, OK)


def test_console_of_a_vm_that_does_not_read(fake, tmp_path):
    m = fake(vm("deaf", room=0))
    with Terminal("console", "deaf", cwd=tmp_path) as t:
        t.expect("console of deaf")
        t.send("x" * 3000 + "\r")
        t.send("\x1d")
        assert t.end() == OK
    m.vms["deaf"]["room"] = 5
    code, _, _ = run("console", "none", cwd=tmp_path)
    assert code == REFUSED


def test_console_without_a_terminal(fake, tmp_path):
    m = fake(vm("one", room=3))
    child = subprocess.Popen([CHECKED, "console", "one", "-q"], cwd=tmp_path, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)
    child.stdin.write(b"12345\x1d\xff\n")
    child.stdin.close()
    out = b""
    while b"12345\x1d?\n" not in out:
        out += os.read(child.stdout.fileno(), 1000)
    assert out.startswith(b"console of one\r\n")
    m.event("VM_DESTROYED", vm="one")
    assert child.wait(30) == OK
    child.stdout.close()


# --- shell, completion, manual --------------------------------------------------------------------------------


def test_shell(fake, tmp_path):
    m = fake()
    with Terminal("shell", cwd=tmp_path, env={"HOME": str(tmp_path)}) as t:
        t.expect("trapctl>")
        t.send("pause one\r")
        t.expect("one: paused")
        t.send("pause one\r")
        t.expect("one: it is paused")
        t.send('!walk one "0 x"\r')
        t.expect('monitor: walk one "0 x"')
        t.until(lambda: t.lines()[t.screen.cursor.y] == "trapctl>")
        t.send("given up")
        t.expect("trapctl> given up")
        t.send("\x03")
        t.until(lambda: t.lines()[t.screen.cursor.y] == "trapctl>")
        t.send("resu\tone\r")
        t.expect("one: goes on")
        t.send("pause t\t")
        t.expect("pause two")
        t.send("\x15set one wei\t30\r")
        t.expect("one: weight=30")
        t.send("top\r")
        t.until(lambda: names(t) == ["one", "two"])
        t.send("q")
        t.until(lambda: b"\x1b[?1049l" in t.text)
        t.send("\x0c")  # pyte has no second screen: clear this one
        t.until(lambda: t.lines()[0] == "trapctl>" and not t.shows("harts"))
        t.send("console one\r")
        t.expect("its console; Ctrl-] leaves")
        t.send("\x1d")
        t.until(lambda: "console-detach" in m.seen, 10)
        t.send("\x1b[A\x1b[A\x1b[A\r")
        t.expect("one: weight=30")  # the line of before, from the history
        m.behave["query-vms"] = lambda s, q: None  # no answer: Ctrl-C gives it up
        t.send("ps\r")
        t.until(lambda: m.seen[-1] == "query-vms", 10)
        t.send("\x03")
        t.expect("interrupted")
        t.send("exit\r")
        assert t.end() == OK and t.settings() == t.before
    assert "pause one" in (tmp_path / ".local" / "state" / "trapctl" / "history").read_text().replace("\\040", " ")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP])
def test_shell_restores_the_terminal(fake, tmp_path, how):
    fake()
    with Terminal("shell", cwd=tmp_path) as t:
        t.expect("trapctl>")
        t.until(lambda: t.settings() != t.before)
        os.kill(t.child.pid, how)
        assert t.end() == -how and t.settings() == t.before


def test_shell_script(fake, ctl):
    m = fake()
    assert good(ctl("shell", stdin="# a script\npause one\n\nresume 'one'\n!frames\n")) == \
        "one: paused\none: goes on\nmonitor: frames\n"
    code, out, err = ctl("shell", stdin="stop one\nstop one\nstart one\n")
    assert code == REFUSED and out == "one: off\n" and not m.vms["one"]["running"]
    assert ctl("shell", stdin='stop "one\n')[0] == USAGE


def test_completion_of_bash(fake, tmp_path):
    fake(vm("alpha"), vm("beta"))
    (tmp_path / "bundle.itb").write_bytes(b"")
    with bash(tmp_path, columns=120) as t:
        for typed, shown in (("con", "trapctl console "), ("console al", "trapctl console alpha "),
                             ("run bun", "trapctl run bundle.itb "), ("stop alpha b", "trapctl stop alpha beta "),
                             ("set beta wei", "trapctl set beta weight="), ("set beta affinity=a", "trapctl set beta affinity=all "),
                             ("top --inter", "trapctl top --interval="), ("exec query-sta", "trapctl exec query-stat"),
                             ("--connect build con", "trapctl --connect build console ")):
            t.send(f"trapctl {typed}\t")
            t.until(lambda: t.lines()[t.screen.cursor.y].startswith(f"ready> {shown}".rstrip()) and
                    t.screen.cursor.x >= len(f"ready> {shown}"))
            t.send("\x15")
            t.until(lambda: t.lines()[t.screen.cursor.y] == "ready>")
        t.send("exit\r")
        t.end()


def test_completion_without_a_machine(ctl):
    assert good(ctl("__complete", "pa", cwd="/")) == "pause\n"
    code, out, _ = ctl("__complete", "pause", "", cwd="/")
    assert (code, out) == (OK, "")


def test_fake_speaks_as_the_documents_say():
    """The fake has no command that docs/control.md does not have."""
    with open(os.path.join(TOP, "docs", "control.md"), encoding="utf-8") as file:
        known = set(re.findall(r"`([a-z_-]+)`", file.read()))
    for name in dir(fake_machine.Session):
        if name.startswith("do_"):
            assert {name[3:], name[3:].replace("_", "-")} & known, name
