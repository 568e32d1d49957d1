# SPDX-License-Identifier: BSD-2-Clause
"""The machine protocol through QEMU's sockets: commands, events, several clients, clients that come and go."""
import base64
import hashlib
import json
import time
import zlib

import pytest

from harness import PROMPT, SHELL_PROMPT, vm
from qmp import Client


def test_session(control):
    m, paths = control(vm("one"), vm("two", autostart=False))
    c, watcher = Client(paths[0]), Client(paths[1])
    assert c.greeting["QMP"]["capabilities"] == []
    assert {"name": "query-commands"} in c.execute("query-commands")
    while c.execute("query-status", vm="one")["status"] != "running":  # its start is under way
        pass

    # The guest's console, beside the person's.
    m.expect(PROMPT, 60)
    seen = c.execute("console-read", vm="one")["position"]
    assert c.execute("console-write", vm="one", data="echo $((6*7))$((6*7))\n") == {"written": 22}
    text = ""
    while "4242\r\n" not in text:
        got = c.execute("console-read", vm="one", position=seen)
        seen, text = got["position"], text + got["data"]

    # Stopped time, and what others see of it.
    assert c.execute("stop", vm="one") == {}
    assert watcher.event("STOP") == {"vm": "one"}
    assert c.execute("query-status", vm="one") == {"status": "paused", "running": False}
    with pytest.raises(RuntimeError, match="one: it is paused"):
        c.execute("stop", vm="one")
    assert c.execute("cont", vm="one") == {}
    assert watcher.event("RESUME") == {"vm": "one"}

    # All ends of a VM.
    c.execute("console-write", vm="one", data="reboot -f\n")
    assert watcher.event("RESET")["guest"] is True
    m.expect(PROMPT, 60)
    c.execute("console-write", vm="one", data="poweroff -f\n")
    end = watcher.event("SHUTDOWN")
    assert end["vm"] == "one" and end["guest"] is True and end["reason"] == "guest-shutdown"
    vms = {v["name"]: v for v in c.execute("query-vms")}
    assert vms["one"]["status"] == "shutdown" and vms["one"]["boots"] == 2 and "shut down" in vms["one"]["reason"]
    assert vms["two"]["status"] == "prelaunch" and vms["two"]["mapped"] == 0
    c.execute("vm-start", vm="two")
    c.execute("vm-stop", vm="two")
    assert watcher.event("SHUTDOWN") == {"vm": "two", "guest": False, "reason": "host-qmp-quit",
                                         "text": "stopped by command"}
    c.execute("vm-destroy", vm="two")
    assert watcher.event("VM_DESTROYED") == {"vm": "two"}
    assert [v["name"] for v in c.execute("query-vms")] == ["one"]
    assert c.execute("query-status")["status"] == "shutdown"  # the only one: it needs no name
    assert "one" in c.execute("human-monitor-command", command_line="list")
    c.send('{"execute": "quit"}\n')
    m.expect_off()


def test_accounts(control):
    """The numbers of a VM that worked: they are there, and fit each other."""
    m, paths = control(vm("one"), vm("two", autostart=False))
    c = Client(paths[0])
    c.execute("set-sched", vm="one", weight=300)
    m.expect(PROMPT, 60)
    c.execute("console-write", vm="one", data="head -c $((64*100)) /dev/hwrng | wc -c\n")
    m.expect("6400", 30)

    def stats(target, **more):
        return [{s["name"]: s["value"] for s in r["stats"]} for r in c.execute("query-stats", target=target, **more)]

    one, two = stats("vm")
    assert one["ran-ns"] > 0 and one["stolen-ns"] == one["waited-ns"] + one["capped-ns"] and one["weight"] == 300
    assert 0 < one["uptime-ns"] and 0 < one["memory.mapped"] <= one["memory.promised"] and one["memory.tables"] >= 4096
    assert 32 << 10 < one["memory.hypervisor"] < 256 << 10, one["memory.hypervisor"]
    assert one["entropy.read-bytes"] >= 6400 and one["entropy.read-ops"] >= 25
    assert one["console.write-bytes"] > 1000 and one["hvc.write-bytes"] <= one["console.write-bytes"]
    assert one["exits.total"] == sum(v for k, v in one.items() if k.startswith("exits.") and k != "exits.total")
    assert two["ran-ns"] == two["memory.mapped"] == two["exits.total"] == 0
    per_vcpu = stats("vcpu", vm="one")
    assert sum(v["ran-ns"] for v in per_vcpu) > 0 and all(v["hart"] in (0, 1) for v in per_vcpu)
    known = {s["name"] for t in c.execute("query-stats-schemas") for s in t["stats"]}
    for name in one:
        family = [name, name.split(".")[0] + ".*", "*." + name.split(".")[-1]]
        assert known & set(family), name
    host = c.execute("query-host")
    assert [h["id"] for h in host["harts"]] == [0, 1] and all(h["online"] for h in host["harts"])
    assert host["memory"]["vm"] >= one["memory.mapped"] and host["memory"]["promised"] == one["memory.promised"]
    states = ("free", "hypervisor", "tables", "vm", "shared", "lent", "image", "reserved")
    assert sum(host["memory"][s] for s in states) == host["memory"]["total"]

    registers = c.execute("query-registers", vm="one")["registers"]
    walk = c.execute("query-walk", vm="one", gva=registers["vstvec"])
    assert walk["hpa"].startswith("0x") and [s["stage"] for s in walk["steps"]].count("vs") >= 3
    assert c.execute("query-gpa", vm="one", gpa=walk["gpa"])["hpa"] == walk["hpa"]
    assert 'compatible = "' in c.execute("query-fdt", vm="one")["source"]
    assert any("one: started" in line for line in c.execute("query-log")["lines"])
    c.execute("set-exit-costs", enable=True)
    c.execute("console-write", vm="one", data="echo $((6*7))$((6*7))\n")
    m.expect("4242", 30)
    exits = c.execute("query-exits", vm="one")
    assert exits["costs"] and exits["total"] == sum(e["count"] for e in exits["exits"]) > 0
    assert any(e["instructions"] for e in exits["exits"])
    with pytest.raises(RuntimeError, match="two does not run"):
        c.execute("inject-nmi", vm="two")
    c.execute("set-sched", vm="one", cap=50, affinity=[1])
    assert c.execute("query-sched", vm="one") == [{"vm": "one", "weight": 300, "cap": 50, "affinity": [1],
                                                   "all-harts": False}]


def test_every_command(control):
    """Each with no arguments, wrong ones, and of a VM that runs, is off, or is not there: an answer, and all goes on."""
    m, paths = control(vm("on"), vm("off", autostart=False))
    c = Client(paths[0])
    m.expect(PROMPT, 60)
    names = [entry["name"] for entry in c.execute("query-commands")]
    assert len(names) >= 39 and len(set(names)) == len(names)
    changes = {"qmp_capabilities", "quit", "stop", "cont", "system_reset", "vm-start", "vm-stop", "vm-destroy", "inject-nmi",
               "sysrq"}
    for name in names:
        answer = c.ask({"execute": name, "arguments": {"no-such": 1}, "id": name})
        assert answer["id"] == name and answer["error"]["desc"]
        for arguments in ({}, {"vm": "on"}, {"vm": "off"}, {"vm": "nobody"}, {"vm": 1}, {"vm": None}, {"bundle": 7}, []):
            if name in changes and arguments in ({}, {"vm": "on"}, {"vm": "off"}):
                continue
            answer = c.ask({"execute": name, "arguments": arguments, "id": [name]})
            assert answer["id"] == [name] and ("return" in answer) != ("error" in answer)
            assert "return" in answer or answer["error"]["desc"]
            assert arguments != [] or "error" in answer
    assert {v["name"]: v["status"] for v in c.execute("query-vms")} == {"on": "running", "off": "prelaunch"}
    with pytest.raises(RuntimeError, match="off: it is off"):
        c.execute("stop", vm="off")
    c.execute("console-write", vm="on", data="echo $((6*7))$((6*7))\n")
    m.expect("4242", 30)


def test_attached_consoles(control):
    """Two clients and a person see the same output; one that does not read holds nobody up."""
    m, paths = control(vm("one"))
    early, deaf = Client(paths[0]), Client(paths[1])
    assert early.execute("console-attach", vm="one") == {"position": 0}
    deaf.execute("console-attach", vm="one")
    m.expect(PROMPT, 60)
    late = Client(paths[2])
    late.execute("console-attach", vm="one")
    late.execute("console-write", vm="one", data="seq 1 3000 | tail -n 2500; echo $((6*7))$((6*7))\n")

    def read_until(client, mark):
        text, next_position = "", None
        while mark not in text:
            piece = client.event("CONSOLE_OUTPUT")
            assert next_position is None or piece["position"] >= next_position
            next_position, text = piece["next"], text + piece["data"]
        return text

    assert "userspace up" in read_until(early, "4242\r\n")
    assert "2999\r\n3000\r\n" in read_until(late, "4242\r\n")
    m.expect("4242", 30)
    assert early.execute("console-detach", vm="one") == {}
    late.execute("console-write", vm="one", data="echo $((6*8))$((6*8))\n")
    read_until(late, "4848\r\n")
    early.execute("query-status")
    assert not any("4848" in e["data"]["data"] for e in early.events if e["event"] == "CONSOLE_OUTPUT")
    read_until(deaf, "4848\r\n")


def open_bundle(c, data, **checksum):
    answer = c.execute("bundle-open", size=len(data), **checksum)
    return answer["bundle"], answer["chunk"]


def write_message(number, at, piece):
    return json.dumps({"execute": "bundle-write", "arguments": {
        "bundle": number, "offset": at, "data": base64.b64encode(piece).decode()}}) + "\n"


def send_bundle(c, data, ahead=8, **checksum):
    """Sends a whole bundle, up to so many messages before their answers; its number."""
    number, chunk = open_bundle(c, data, **checksum)
    waiting = []
    for at in [*range(0, len(data), chunk), None]:
        if at is not None:
            c.send(write_message(number, at, data[at:at + chunk]))
            waiting.append(min(at + chunk, len(data)))
        while waiting and (at is None or len(waiting) == ahead):
            while "event" in (answer := c.receive()):
                c.events.append(answer)
            assert answer == {"return": {"received": waiting.pop(0)}}
    return number


def memory_free(c):
    return c.execute("query-host")["memory"]["free"]


def test_bundle_over_the_wire(control, bundle):
    """VMs of a bundle that was sent run beside those of the boot; its memory is free when they are gone."""
    with open(bundle(vm("late"), vm("later", autostart=False)), "rb") as file:
        data = file.read()
    m, paths = control(vm("one"), vm("two", autostart=False), mem="1G")
    c, watcher = Client(paths[0], timeout=120), Client(paths[1])
    m.expect(PROMPT, 60)
    before = memory_free(c)
    begin = time.monotonic()
    number = send_bundle(c, data, crc32=zlib.crc32(data))
    print(f"sent {len(data)} bytes in {time.monotonic() - begin:.1f} s")
    with pytest.raises(RuntimeError, match="by another session"):
        watcher.execute("bundle-commit", bundle=number)
    assert c.execute("bundle-commit", bundle=number) == {"refused": [], "vms": [
        {"name": "late", "started": True}, {"name": "later", "started": False}]}
    assert watcher.event("BUNDLE_COMMITTED") == {"bundle": number, "vms": ["late", "later"]}
    bundles = {b["bundle"]: b for b in c.execute("query-bundles")}
    assert bundles[0]["vms"] == ["one", "two"] and bundles[number]["state"] == "taken-in"
    c.execute("console-attach", vm="late")
    text = ""
    while "userspace up" not in text:
        text += c.event("CONSOLE_OUTPUT")["data"]
    # A second time: its names are taken, and nothing of it is left.
    again = send_bundle(c, data)
    with pytest.raises(RuntimeError, match="late: there is a VM of this name"):
        c.execute("bundle-commit", bundle=again)
    assert len(c.execute("query-vms")) == 4
    c.execute("bundle-close", bundle=again)
    c.execute("vm-stop", vm="late")
    for name in ("late", "later"):
        c.execute("vm-destroy", vm=name)
    assert [b["bundle"] for b in c.execute("query-bundles")] == [0]
    assert abs(memory_free(c) - before) < 16 << 20  # the guest of the boot goes on


def test_cut_uploads(control, bundle):
    """Clients that leave in the middle, repeat, leave gaps, send what is no bundle: nothing of it stays."""
    with open(bundle(vm("late", initrd=None, autostart=False)), "rb") as file:
        data = file.read()
    m, paths = control(vm("one", autostart=False), vm("two", autostart=False), mem="512M")
    steady = Client(paths[0])
    before = memory_free(steady)
    for cut in (100, 30000, 60000):  # in a message's beginning, its data, right behind it
        rude = Client(paths[1])
        number, chunk = open_bundle(rude, data)
        rude.send(write_message(number, 0, data[:chunk]) + write_message(number, chunk, data[chunk:2 * chunk])[:cut])
        while steady.execute("query-bundles")[-1]["received"] != chunk:
            pass
        rude.close()
        while len(steady.execute("query-bundles")) != 1:
            pass
    assert abs(memory_free(steady) - before) < 1 << 20
    c = Client(paths[2])
    number, chunk = open_bundle(c, data, sha256=hashlib.sha256(data).hexdigest())
    for at, text in ((chunk, "go on at 0"), (len(data), "go on at 0")):
        c.send(write_message(number, at, b"x"))
        assert text in c.receive()["error"]["desc"]
    for at, received in ((0, 200), (0, 200), (50, 250), (0, 250)):  # duplicates, and one that is partly new
        c.send(write_message(number, at, data[at:at + 200]))
        assert c.receive() == {"return": {"received": received}}
    c.execute("bundle-close", bundle=number)
    damaged = bytearray(data)
    damaged[len(data) // 2] ^= 1
    for extra, error in (({"crc32": zlib.crc32(data)}, "checksum does not match"), ({}, "crc32 does not match")):
        number = send_bundle(c, bytes(damaged), **extra)
        with pytest.raises(RuntimeError, match=error):
            c.execute("bundle-commit", bundle=number)
    c.execute("bundle-close", bundle=number)
    with pytest.raises(RuntimeError, match="more than a bundle may take now, .* VMs were promised 0 KiB"):
        open_bundle(c, bytes(0x20000000))
    assert len(steady.execute("query-vms")) == 2 and abs(memory_free(steady) - before) < 1 << 20


def test_clients_come_and_go(control):
    """Cut in the middle of a message, not reading, or reconnecting: others and the next notice nothing."""
    m, paths = control(vm("one", autostart=False))
    steady = Client(paths[0])
    for _ in range(20):
        rude = Client(paths[1])
        rude.send('{"execute": "query-')
        rude.close()
        assert steady.execute("query-version")["package"] == "Trapline"
    deaf = Client(paths[1])
    deaf.send('{"execute": "human-monitor-command", "arguments": {"command-line": "help"}}\n' * 300)
    assert steady.execute("query-version")["package"] == "Trapline"
    for _ in range(300):  # and when it reads at last, all is there
        assert "poweroff" in deaf.receive()["return"]
    deaf.close()
    fresh = Client(paths[1], negotiate=False)
    answer = fresh.ask({"execute": "query-vms", "id": 1})
    assert answer["error"]["class"] == "CommandNotFound" and answer["id"] == 1
    long = Client(paths[2])
    long.send('{"execute": "' + "x" * 100000 + '"}\n')
    assert "too long" in long.receive()["error"]["desc"]
    assert long.execute("query-status") == {"status": "prelaunch", "running": False}
    m.expect(SHELL_PROMPT)
    assert "one" in m.command("list")


@pytest.mark.parametrize("uart", ["uart0", "0x10000000"])
def test_control_on_a_serial_line(machine, bundle, uart):
    """The machine's only UART is the protocol's (no emulated machine with the H extension has two): no terminal."""
    m = machine(bundle=bundle(vm("one", autostart=False)), append=f"keep control={uart}")
    m.expect(r"control: the machine protocol is on /soc/serial@10000000")
    m.send('{"execute": "query-vms"}\n')  # of nobody: whatever comes of it

    def ask(command, **arguments):
        m.send(json.dumps({"execute": command, "arguments": arguments, "id": command}) + "\n")
        return json.loads(m.expect(r"\n(\{\"(return|error)\": .*, \"id\": \"" + command + r"\"\})(?=\n)").group(1))

    for _ in range(3):  # clients that come and go
        m.send(b'{"execute": "cut\xff')
        m.expect(r"\n\{\"QMP\": \{.*\}\}(?=\n)")
        assert ask("query-status")["error"]["class"] == "CommandNotFound"
        assert ask("qmp_capabilities")["return"] == {}
    assert "control=" in str(ask("query-log")) or "the machine protocol is on" in str(ask("query-log"))
    number = ask("bundle-open", size=100)["return"]["bundle"]
    assert ask("bundle-write", bundle=number, offset=0, data="AAAA" * 25)["return"] == {"received": 75}
    m.send(b"\xff")
    m.expect(r"\n\{\"QMP\": ")
    ask("qmp_capabilities")
    assert [b["bundle"] for b in ask("query-bundles")["return"]] == [0]
    assert ask("vm-start", vm="one")["return"]["overcommitted"] == 0
    m.expect(r'"event": "VM_STARTED", "data": \{"vm": "one"\}')
    ask("console-attach", vm="one")
    m.expect(r'"event": "CONSOLE_OUTPUT".*userspace up', 60)
    shown = m.output[m.output.index('{"QMP"'):]
    assert all(line.startswith("{") for line in shown.splitlines() if line), shown
    m.send('{"execute": "quit"}\n')
    m.expect_off()


def test_control_on_no_line(machine, bundle):
    m = machine(bundle=bundle(vm("one", autostart=False)), append="keep control=uart1")
    m.expect(r"error: control=uart1: no UART that there is a driver for: uart0 to uart0, or 0xADDRESS")
    m.expect(SHELL_PROMPT)
