# SPDX-License-Identifier: BSD-2-Clause
"""A machine that is none: a server of the machine protocol (docs/control.md) with VMs that only exist as numbers.

It serves trapctl's tests quickly, and does what no real machine should: it can send rubbish, half lines, lines
without an end, answer nothing, slowly or wrongly, and go away at any point. As a real one, each port serves one
client at a time; others that connect wait.
"""
import base64
import json
import os
import socket
import struct
import threading
import time
import zlib

GREETING = {"QMP": {"version": {"qemu": {"major": 0, "minor": 1, "micro": 0}, "package": "Trapline"},
                    "capabilities": []}}


# What a capture begins and ends with (pcapng: a section header, an interface of Ethernet frames; its statistics).
SECTION_AND_INTERFACE = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28) + struct.pack("<IIHHII", 1, 20, 1, 0, 0, 20)
STATISTICS = struct.pack("<IIIQI", 5, 24, 0, 0, 24)


class Refused(Exception):
    pass


def vm(name, status="running", **more):
    return {"name": name, "status": status, "running": status == "running", "vcpus": 1, "memory": 128 << 20,
            "mapped": 10 << 20, "boots": 1, "weight": 100, "cap": 0, "affinity": [0, 1], "cpu": 0.0,
            "history": f"console of {name}\r\n", "typed": "", "room": 1024, **more}


def net(name, *cards, mode="nat", **more):
    """A network, with a card of each of these VMs."""
    ports = [{"vm": v, "device": "net-0", "mac": f"02:54:00:00:00:0{i}", "link": True, "isolated": False, "rx-frames": 10 * i,
              "rx-bytes": 2048 * i, "tx-frames": 5, "tx-bytes": 500, "dropped": i} for i, v in enumerate(cards)]
    return {"net": name, "mode": mode, "mtu": 1500, "uplink": mode != "internal", "ports": ports, "leases": [], "forwards": [],
            "macs": [{"mac": p["mac"], "port": f"{p['vm']}/net-0"} for p in ports], "flows": 0, "flow-limit": 4096 * (mode == "nat"),
            **more}


def disk(device, image, drv="qcow2", **more):
    """A disk of a VM, as query-block has it."""
    return {"device": device, "type": "unknown", "removable": False, "locked": False,
            "inserted": {"file": image, "drv": drv, "ro": False, "iops": 0, "bps": 0, **more,
                         "image": {"filename": image, "format": drv, "virtual-size": 10 << 30, "backing-filename": "debian"}}}


class FakeMachine:
    """Serves folder/control.1 to .N until closed. `vms` is its state; `behave` maps a command's name to a function
    (session, message) that answers in its own way; `greet` is what a client is sent first."""

    def __init__(self, folder, *vms, ports=4, greet=None):
        self.vms = {v["name"]: v for v in vms}
        self.nets, self.disks, self.images = [], [], []
        self.behave = {}
        self.greet = (json.dumps(GREETING) + "\r\n").encode() if greet is None else greet
        self.started = time.monotonic()
        self.paths = [os.path.join(folder, f"control.{i + 1}") for i in range(ports)]
        self.sessions = []
        self.seen = []  # the names of commands, in order
        self.uploaded = None
        self.lock = threading.RLock()
        self._listeners = []
        for path in self.paths:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(path)
            listener.listen(1)
            self._listeners.append(listener)
            threading.Thread(target=self._serve, args=(listener,), daemon=True).start()

    def _serve(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            session = Session(self, connection)
            with self.lock:
                self.sessions.append(session)
            session.run()
            with self.lock:
                self.sessions.remove(session)

    def clock(self):
        return time.monotonic() - self.started

    def event(self, name, **data):
        now = self.clock()
        message = {"timestamp": {"seconds": int(now), "microseconds": int(now % 1 * 1e6)}, "event": name, "data": data}
        with self.lock:
            for session in self.sessions:
                if session.negotiated:
                    session.send(message)

    def output(self, name, text):
        """A VM writes to its console."""
        with self.lock:
            v = self.vms[name]
            position = len(v["history"])
            v["history"] += text
            for session in self.sessions:
                if name in session.attached:
                    session.output(name, position)

    def close(self):
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self.lock:
            for session in self.sessions:
                session.drop()
        for path in self.paths:
            if os.path.exists(path):
                os.remove(path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Session:
    def __init__(self, machine, connection):
        self.machine = machine
        self.negotiated = False
        self.attached = set()
        self.upload = None
        self.captures, self.capture = 0, None
        self.afterwards = None  # what a command does when it has answered
        self._connection = connection
        self._write = threading.Lock()

    def raw(self, data):
        try:
            with self._write:
                self._connection.sendall(data)
        except OSError:
            pass  # the client has gone: its session ends when reading says so, too

    def send(self, message):
        self.raw((json.dumps(message) + "\r\n").encode())

    def drop(self):
        try:
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def output(self, name, position):
        text = self.machine.vms[name]["history"]
        self.send({"timestamp": {"seconds": 0, "microseconds": 0}, "event": "CONSOLE_OUTPUT",
                   "data": {"vm": name, "position": position, "data": text[position:], "next": len(text)}})

    def run(self):
        self.raw(self.machine.greet)
        try:
            with self._connection.makefile("rb") as file:
                for line in file:
                    self.answer(json.loads(line))
        except (OSError, ValueError):
            pass
        self._connection.close()

    def answer(self, message):
        name = message["execute"]
        with self.machine.lock:
            self.machine.seen.append(name)
            behaviour = self.machine.behave.get(name)
            if behaviour:
                behaviour(self, message)
                return
            tail = {"id": message["id"]} if "id" in message else {}
            command = getattr(self, "do_" + name.replace("-", "_"), None)
            if not command:
                self.send({"error": {"class": "CommandNotFound", "desc": f"The command {name} has not been found"}, **tail})
                return
            try:
                value = command(message.get("arguments", {}))
            except Refused as why:
                self.send({"error": {"class": "GenericError", "desc": str(why)}, **tail})
                return
            self.send({"return": {} if value is None else value, **tail})
            if self.afterwards:
                self.afterwards, do = None, self.afterwards
                do()

    # --- commands ---

    def _vm(self, arguments):
        if arguments.get("vm") not in self.machine.vms:
            raise Refused(f"{arguments.get('vm')}: no VM has this name")
        return self.machine.vms[arguments["vm"]]

    def do_qmp_capabilities(self, _):
        self.negotiated = True

    def do_query_commands(self, _):
        kept = ("qmp_capabilities", "system_reset", "set_link", "block_resize", "block_set_io_throttle")  # QEMU's own names
        return [{"name": n if n in kept else n.replace("_", "-")} for n in (m[3:] for m in dir(self) if m.startswith("do_"))]

    def do_query_vms(self, _):
        keys = ("name", "status", "running", "vcpus", "memory", "mapped", "boots")
        return [{**{k: v[k] for k in keys},
                 **({"uptime": int(self.machine.clock())} if v["running"] else {"reason": v.get("reason", "")})}
                for v in self.machine.vms.values()]

    def do_query_status(self, arguments):
        v = self._vm(arguments)
        return {"status": v["status"], "running": v["running"]}

    def _change(self, arguments, to, event, **data):
        v = self._vm(arguments)
        if v["status"] == to:
            raise Refused(f"{v['name']}: it is {to}")
        v["status"] = to
        v["running"] = to == "running"
        self.machine.event(event, vm=v["name"], **data)

    def do_vm_start(self, arguments):
        self._change(arguments, "running", "VM_STARTED")

    def do_vm_stop(self, arguments):
        self._change(arguments, "shutdown", "SHUTDOWN", guest=False, reason="host-qmp-quit", text="stopped by command")

    def do_stop(self, arguments):
        self._change(arguments, "paused", "STOP")

    def do_cont(self, arguments):
        self._change(arguments, "running", "RESUME")

    def do_system_reset(self, arguments):
        self.machine.event("RESET", vm=self._vm(arguments)["name"], guest=False, reason="host-qmp-system-reset", text="")

    def do_vm_destroy(self, arguments):
        v = self._vm(arguments)
        if v["running"]:
            raise Refused(f"{v['name']}: it is running: stop it first")
        del self.machine.vms[v["name"]]
        self.machine.event("VM_DESTROYED", vm=v["name"])

    def do_vm_create(self, arguments):
        if arguments["vm"] in self.machine.vms:
            raise Refused(f"{arguments['vm']}: there is a VM of this name")
        self.machine.vms[arguments["vm"]] = vm(arguments["vm"], "prelaunch")
        self.machine.event("VM_CREATED", vm=arguments["vm"])

    def do_query_sched(self, arguments):
        v = self._vm(arguments)
        return [{"vm": v["name"], "weight": v["weight"], "cap": v["cap"], "affinity": v["affinity"],
                 "all-harts": v["affinity"] == [0, 1]}]

    def do_set_sched(self, arguments):
        v = self._vm(arguments)
        if not 1 <= arguments.get("weight", 1) <= 10000:
            raise Refused("a weight is 1 to 10000")
        for key in ("weight", "cap"):
            v[key] = arguments.get(key, v[key])
        if "affinity" in arguments:
            v["affinity"] = [0, 1] if arguments["affinity"] == "all" else arguments["affinity"]

    def do_query_stats(self, arguments):
        ns = int(self.machine.clock() * 1e9)
        answer = []
        for v in self.machine.vms.values():
            if arguments.get("vm", v["name"]) != v["name"]:
                continue
            times = {"ran-ns": int(ns * v["cpu"]), "waited-ns": int(ns * v.get("wait", 0)), "capped-ns": 0,
                     "stolen-ns": 0, "idle-ns": 0, "exits.total": int(ns * v.get("exits", 0) / 1e9)}
            if arguments["target"] == "vm":
                more = {"weight": v["weight"], "cap": v["cap"], "affinity": v["affinity"],
                        "memory.promised": v["memory"], "memory.mapped": v["mapped"],
                        "disk-0.read-bytes": ns // 1000, "disk-0.write-bytes": 0,
                        "net-0.read-bytes": ns // 500, "net-1.read-bytes": ns // 500, "net-1.write-bytes": ns // 2000}
                answer.append({"provider": "trapline", "vm": v["name"], "stats": self._stats({**times, **more})})
                continue
            for i in range(v["vcpus"]):
                answer.append({"provider": "trapline", "vm": v["name"], "qom-path": f"/{v['name']}/vcpu{i}",
                               "stats": self._stats({**times, "hart": i})})
        return answer

    @staticmethod
    def _stats(values):
        return [{"name": k, "value": v} for k, v in values.items()]

    def do_query_host(self, _):
        ns = int(self.machine.clock() * 1e9)
        harts = [{"id": i, "hart-id": i, "online": True, "ran-ns": ns // 4 * (3 - 2 * i), "idle-ns": ns // 4 * (1 + 2 * i),
                  "queued": 0, "runs": "shell"} for i in range(2)]
        return {"uptime-ns": ns, "harts": harts,
                "memory": {"total": 2 << 30, "free": 1 << 30, "free-2m": 512, "promised": 384 << 20, "overcommitted": 0}}

    def do_query_exits(self, arguments):
        self._vm(arguments)
        return {"costs": False, "total": 3, "exits": [{"cause": "sbi", "count": 3, "vcpus": [3]}]}

    def do_query_log(self, arguments):
        return {"lines": [f"[   0.{i:06}] line {i}" for i in range(20)][-arguments.get("lines", 20):]}

    def do_query_fdt(self, arguments):
        self._vm(arguments)
        return {"source": "/dts-v1/;\r\n/ {\r\n};\r\n"}

    def do_query_registers(self, arguments):
        return {"vm": self._vm(arguments)["name"], "vcpu": arguments.get("vcpu", 0), "registers": {"pc": "0x80200000"}}

    def do_query_walk(self, arguments):
        return {"vm": self._vm(arguments)["name"], "gva": arguments["gva"], "steps": []}

    def do_shell_command(self, arguments):
        line = arguments["line"]
        if line == "help":
            return {"output": "  list        VMs\r\n  walk        a translation\r\n", "failed": False}
        if line.startswith("fly"):
            return {"output": "no command fly: `help` lists them\r\nusage: \x1b[2J\r\n", "failed": True}
        return {"output": f"monitor: {line}\r\n", "failed": False}

    # --- networks ---

    def do_query_nets(self, arguments):
        nets = [n for n in self.machine.nets if arguments.get("net", n["net"]) == n["net"]]
        if "net" in arguments and not nets:
            raise Refused(f"{arguments['net']}: no network has this name")
        return nets

    def _card(self, vm_name, device):
        for net in self.machine.nets:
            for port in net["ports"]:
                if (port["vm"], port["device"]) == (vm_name, device):
                    return port
        raise Refused(f"{vm_name}/{device}: no VM has this card")

    def do_set_net(self, arguments):
        net, = self.do_query_nets({"net": arguments["net"]})
        if arguments.get("mode", "nat") not in ("bridge", "nat", "internal"):
            raise Refused(f"{arguments['mode']}: no mode of a network")
        net.update({k: v for k, v in arguments.items() if k != "net"})

    def do_set_link(self, arguments):
        if "/" in arguments["name"]:
            self._card(*arguments["name"].split("/"))["link"] = arguments["up"]
        else:
            self.do_query_nets({"net": arguments["name"]})

    def do_set_port(self, arguments):
        port = self._card(arguments["vm"], arguments["device"])
        port.update({k: arguments[k] for k in ("rate", "isolated") if k in arguments})

    def do_net_forward_add(self, arguments):
        net, = self.do_query_nets({"net": arguments["net"]})
        if net["mode"] != "nat":
            raise Refused(f"{net['net']}: only a network of mode nat has forwards")
        net["forwards"].append({"device": "net-0", "address": "10.1.0.2", **{k: v for k, v in arguments.items() if k != "net"}})

    def do_net_forward_remove(self, arguments):
        net, = self.do_query_nets({"net": arguments["net"]})
        same = [f for f in net["forwards"] if (f["protocol"], f["host-port"]) == (arguments["protocol"], arguments["host-port"])]
        if not same:
            raise Refused(f"{net['net']}: nothing is forwarded from {arguments['protocol']} {arguments['host-port']}")
        net["forwards"].remove(same[0])

    def do_capture_open(self, arguments):
        if "net" in arguments:
            self.do_query_nets({"net": arguments["net"]})
        else:
            self._card(arguments["vm"], arguments["device"])
        self.captures += 1
        self.capture = {"id": self.captures, "frames": 0, "lost": 0, "arguments": arguments}
        self.captured(SECTION_AND_INTERFACE)
        return {"capture": self.captures}

    def captured(self, data, frames=0, lost=0, **more):
        """Frames came; data are their blocks."""
        self.capture["frames"] += frames
        self.capture["lost"] += lost
        self.send({"timestamp": {"seconds": 0, "microseconds": 0}, "event": "CAPTURE_DATA",
                   "data": {"capture": self.capture["id"], "data": base64.b64encode(data).decode(), "lost": self.capture["lost"], **more}})

    def do_capture_close(self, arguments):
        if not self.capture or self.capture["id"] != arguments["capture"]:
            raise Refused("this session has no such capture")
        counts = {"frames": self.capture["frames"], "lost": self.capture["lost"]}
        if not self.capture.get("ended"):
            self.afterwards = self.end_capture
        return counts

    def end_capture(self):
        """The last of it, once it is closed or its card is gone."""
        self.capture["ended"] = True
        self.captured(STATISTICS, end=True)

    # --- disks ---

    def do_query_block(self, arguments):
        return [d for d in self.machine.disks if arguments.get("vm") in (None, d["device"].split("/")[0])]

    def do_block_set_io_throttle(self, arguments):
        for disk in self.machine.disks:
            if disk["device"] == arguments["device"]:
                disk["inserted"].update({k: v for k, v in arguments.items() if k != "device"})
                return
        raise Refused(f"{arguments['device']}: no VM has this disk")

    def do_block_resize(self, arguments):
        for disk in self.machine.disks:
            if disk["device"] == arguments["device"]:
                disk["inserted"]["image"]["virtual-size"] = arguments["size"]
                return
        raise Refused(f"{arguments['device']}: no VM has this disk")

    def do_query_images(self, _):
        return self.machine.images

    def _image(self, name):
        for image in self.machine.images:
            if image["image"] == name:
                return image
        raise Refused(f"{name}: no partition has this name")

    def do_image_create(self, arguments):
        if any(i["image"] == arguments["image"] for i in self.machine.images):
            raise Refused(f"{arguments['image']}: there is a partition of this name")
        size = arguments["size"]
        self.machine.images.append({"image": arguments["image"], "format": arguments.get("format", "qcow2"), "virtual-size": size,
                                    "actual-size": 1 << 20, "used-by": [], "partition": arguments.get("room", size),
                                    "disk": arguments.get("disk", 0),
                                    **({"backing": arguments["backing"]} if "backing" in arguments else {})})

    def do_image_clone(self, arguments):
        template = self._image(arguments["from"])
        self.do_image_create({"size": template["virtual-size"], "backing": arguments["from"],
                              **{k: v for k, v in arguments.items() if k != "from"}})

    def do_image_resize(self, arguments):
        image = self._image(arguments["image"])
        if arguments["size"] < image["virtual-size"]:
            raise Refused(f"{image['image']}: an image cannot be made smaller")
        image["virtual-size"] = arguments["size"]

    def do_image_delete(self, arguments):
        image = self._image(arguments["image"])
        if image["used-by"]:
            raise Refused(f"{image['image']}: {image['used-by'][0]} has it")
        if not arguments.get("force") and any(i.get("backing") == image["image"] for i in self.machine.images):
            raise Refused(f"{image['image']}: it is behind another image")
        self.machine.images.remove(image)

    def do_sysrq(self, arguments):
        self._vm(arguments)

    def do_console_attach(self, arguments):
        v = self._vm(arguments)
        self.attached.add(v["name"])
        self.output(v["name"], 0)
        return {"position": 0}

    def do_console_detach(self, arguments):
        self.attached.discard(arguments["vm"])

    def do_console_write(self, arguments):
        v = self._vm(arguments)
        taken = arguments["data"][: v["room"]]
        v["typed"] += taken
        threading.Thread(target=self.machine.output, args=(v["name"], taken.replace("\r", "\r\n"))).start()
        return {"written": len(taken.encode())}

    def do_bundle_open(self, arguments):
        self.upload = {"size": arguments["size"], "crc32": arguments.get("crc32"), "data": b""}
        return {"bundle": 7, "chunk": 3000}

    def do_bundle_write(self, arguments):
        if arguments["offset"] != len(self.upload["data"]):
            raise Refused(f"there is a gap: go on at {len(self.upload['data'])}")
        self.upload["data"] += base64.b64decode(arguments["data"], validate=True)
        return {"received": len(self.upload["data"])}

    def do_bundle_commit(self, arguments):
        data = self.upload["data"]
        if len(data) != self.upload["size"] or zlib.crc32(data) != self.upload["crc32"]:
            raise Refused("the checksum is wrong")
        self.machine.uploaded = data
        start = arguments.get("start", True)
        self.machine.vms["sent"] = vm("sent", "running" if start else "prelaunch")
        refused = [{"name": "twin", "reason": "its name exists"}] if "twin" in self.machine.vms else []
        return {"vms": [{"name": "sent"}], "refused": refused}
