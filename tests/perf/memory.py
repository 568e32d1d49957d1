# SPDX-License-Identifier: BSD-2-Clause
"""What VMs cost in memory, and how soon one is there, for `tests/perf/bench --only memory`."""
import os
import re
import subprocess

import harness
from qmp import Client

VMS = 16
PROMPT = "guest:~# "
PATIENCE = 120  # seconds in which a console must say something
LIMIT = 3600  # of a machine that gets on


def image_kib():
    """Trapline itself: text, data, bss, the boot stack."""
    text = subprocess.run(["size", "-A", harness.ELF], check=True, capture_output=True, text=True).stdout
    sections = re.findall(r"^\.(?:text|rodata|data|bss|sdata|sbss|stack)\S* +(\d+)", text, re.M)
    return sum(map(int, sections)) >> 10


def start_instructions(tmp):
    """To make and to load a Debian VM of a bundle that is in memory, its hashes checked, in instructions: virtual time."""
    path = harness.make_bundle(f"{tmp}/start.itb", harness.vm(ram="128M"))
    with harness.Machine("bench-start", bundle=path, icount=True, limit=400) as m:
        made, loaded = m.expect(r"vm0: started.*; made in (\d+) us, loaded in (\d+) us", 120).groups()
    return 1000 * int(made), 1000 * int(loaded)


def wait_for_shells(c, names):
    """However slow the machine is: until all are there, or were stopped for want of memory; an error when none of the others
    says anything for a while."""
    seen = dict.fromkeys(names, "")
    for name in names:
        c.execute("console-attach", vm=name)
    while seen:
        try:
            event = c.events.pop(0) if c.events else c.receive()
        except TimeoutError as error:
            raise AssertionError(f"not at a shell: {seen}") from error
        name = event["data"].get("vm")
        if name in seen and event["event"] == "CONSOLE_OUTPUT":
            seen[name] = seen[name][-100:] + event["data"]["data"]
        if event["event"] == "SHUTDOWN" or PROMPT in seen.get(name, ""):
            seen.pop(name, None)


def debians(tmp, name, count, mem):
    """So many Debians of 128 MiB: (frames, [a running VM's memory in KiB]) once they are at their shells."""
    names = [f"d{n}" for n in range(count)]
    bundle = harness.make_bundle(f"{tmp}/{name}.itb", *(harness.vm(one, ram="128M") for one in names))
    path = f"{tmp}/{name}.control"
    with harness.Machine(f"bench-{name}", bundle=bundle, harts=2, mem=mem, append="keep", limit=LIMIT,
                         args=harness.control_ports([path])):
        c = Client(path, timeout=PATIENCE * harness.FACTOR)
        wait_for_shells(c, names)
        running = {v["name"] for v in c.execute("query-vms") if v["running"]}
        stats = [one for one in c.execute("query-stats", target="vm") if one["vm"] in running]
        frames = c.execute("query-host")["memory"]
    return frames, [{v["name"]: v["value"] >> 10 for v in one["stats"] if v["name"].startswith("memory.")} for one in stats]


def rows(tmp):
    """[(row, value, most that it should be, how it is shown)]"""
    made, loaded = start_instructions(tmp)
    frames, roomy = debians(tmp, "sixteen", VMS, "2G")
    _, tight = debians(tmp, "short", VMS, "1G")

    def mean(vms, kind):
        return sum(one[f"memory.{kind}"] for one in vms) // len(vms)

    return [
        ("128 MiB Debian VM: make it, instructions", made, None, "{}"),
        ("    made and loaded, its vCPU about to be woken", made + loaded, 1000000, "{}"),
        (f"{VMS} VMs: hypervisor's memory beside RAM and tables, KiB", frames["hypervisor"] >> 10, 3 << 10, "{}"),
        ("    of it each VM's own, KiB", mean(roomy, "hypervisor"), None, "{}"),
        ("    Trapline's image, KiB (in no row above)", image_kib(), None, "{}"),
        ("    page tables, KiB", frames["tables"] >> 10, None, "{}"),
        (f"of {VMS} VMs that are promised 2 GiB, at a shell on a host of 1 GiB", len(tight), None, "{}"),
        *(row for host, vms in (("2 GiB", roomy), ("1 GiB", tight)) for row in (
            (f"RAM of its own, each of those at a shell, {host} host, KiB", mean(vms, "mapped"), None, "{}"),
            ("    shared with the bundle's images, KiB", mean(vms, "shared"), None, "{}"),
            ("    page tables, KiB", mean(vms, "tables"), None, "{}"))),
    ]
