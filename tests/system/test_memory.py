# SPDX-License-Identifier: BSD-2-Clause
"""Memory under pressure: images that VMs share, small machines, memory that ends, VMs made and removed many times."""
import hashlib
import os
import re
import subprocess

import harness
from harness import vm
from qmp import Client

PROMISE = r"VMs are promised (\d+) MiB, the host has (\d+) MiB for them"


def memory_of(m, name):
    """(own, shared) in KiB, from `list`."""
    found = re.search(rf"^{name} +\S+ +\d+ +\d+ MiB +(\d+) KiB +(\d+) KiB", m.command("list"), re.M)
    return int(found[1]), int(found[2])


def with_broken_vm(path):
    """The bundle with one more VM, whose kernel is not there: so every reading of it checks all hashes again."""
    its = path.replace(".itb", ".its")
    with open(its) as file:
        text = file.read()
    changed = re.sub(r'(compatible = "trapline,bundle-1";)',
                     r'\1 broken { memory = /bits/ 64 <0x1000000>; kernel = "nowhere"; };', text)
    assert changed != text
    with open(its, "w") as file:
        file.write(changed)
    subprocess.run(["mkimage", "-E", "-B", "0x200000", "-f", its, path], check=True, capture_output=True)
    return path


def test_what_a_guest_writes_no_image_has(machine, bundle):
    """A Debian patches its kernel, and overwrites all the memory it can; then another one starts from the same images,
    and their checksums still hold."""
    path = with_broken_vm(bundle(vm("a"), vm("b", autostart=False)))
    m = machine(bundle=path, harts=2, append="keep")
    m.boot()
    m.run("mount -t tmpfs -o size=200m none /mnt && dd if=/dev/urandom of=/mnt/fill bs=1M count=150 2>/dev/null")
    m.to_shell()
    a_own, a_shared = memory_of(m, "a")
    assert a_own > 150 << 10
    m.command("start b")
    m.line("console b")
    m.expect(harness.USERSPACE, 60)
    with open(os.path.join(harness.BUILD, "linux", "busybox"), "rb") as file:
        digest = hashlib.md5(file.read()).hexdigest()
    assert m.run("md5sum /bin/busybox").split()[0] == digest
    m.to_shell()
    for name in ("a", "b"):
        m.command(f"stop {name}")
        m.command(f"destroy {name}")
        said = m.command(f"create {name}")
        assert f"{name}: 256 MiB when it is started" in said and re.search(PROMISE, said), said
    assert "does not match" not in m.command("log")
    m.command("start a")
    m.line("console a")
    m.expect(harness.USERSPACE, 60)


def test_small_machine(control):
    """Memory that is nearly all used comes in smaller pieces, and is as good."""
    m, paths = control(vm("vm0"), ports=1, mem="224M")
    c = Client(paths[0])
    m.boot()
    m.run("mount -t tmpfs -o size=200m none /mnt; fill() { dd if=/dev/urandom of=/mnt/$1 bs=64k count=$2 2>/dev/null; }")
    n = 0
    while c.execute("query-host")["memory"]["free-2m"] > 112 // 16:
        m.run(f"fill {n} 64")
        n += 1
        assert n < 50
    before = c.execute("query-vms")[0]["mapped"]
    m.run("fill last 64; fill more 4")
    sums = m.run("cat /mnt/* | md5sum")
    assert m.run("cat /mnt/* | md5sum") == sums
    own = c.execute("query-vms")[0]["mapped"] - before
    assert 4 << 20 <= own < 8 << 20 and own % (2 << 20), own  # not whole pieces of 2 MiB
    assert c.execute("query-host")["memory"]["tables"] > 24 << 10


def test_hog_is_stopped_and_the_others_go_on(machine, bundle):
    """More is promised than there is. When it ends the VM goes that holds most, with a report; the others never notice."""
    hog = vm("hog", ram="512M", bootargs='console=hvc0 tl.cmd="mount -t tmpfs -o size=500m none /mnt; '
             'dd if=/dev/zero of=/mnt/fill bs=1M"', autostart=False)
    good = [vm(f"good{n}", bootargs=harness.working_debian(30), ram="128M", autostart=False) for n in range(2)]
    m = machine(bundle=bundle(*good, hog), harts=2, mem="512M", append="keep", limit=300)
    m.expect(harness.SHELL_PROMPT)
    for n in range(len(good)):
        m.command(f"start good{n}")
    said = m.command("start hog")
    assert re.search(PROMISE + r": \d+ MiB are overcommitted", said), said
    ends = {m.expect(r"(good\d: stopped: guest shut down|hog: stopped: the host had no memory left, and it held most: )",
                     200)[1] for _ in range(3)}
    assert len(ends) == 3
    for n in range(len(good)):
        m.line(f"console good{n}")
        m.expect("sums are right", 10)
        m.to_shell()
    report = m.command("report hog")
    assert "stopped because the host had no memory left" in report and "set hog weight=N" in report, report
    listed = m.command("list")
    assert re.search(r"^hog +off .*the host had no memory left", listed, re.M), listed
    assert m.output.count("memory: none is left") == 1


def test_thousand_vms_lose_no_frame(control):
    """Made from the bundle, started, stopped, destroyed, a thousand times."""
    m, paths = control(vm("vm0", ram="128M", autostart=False), ports=1, mem="1G", limit=400)
    c = Client(paths[0])
    frames = []
    for n in range(1000):
        c.execute("vm-start", vm="vm0")
        c.execute("vm-stop", vm="vm0")
        c.execute("vm-destroy", vm="vm0")
        c.execute("vm-create", vm="vm0")
        if n % 333 == 0:
            frames.append(c.execute("query-host")["memory"])
    assert len(frames) == 4 and frames[1:] == frames[:1] * 3, frames
    said = next(v["value"] for v in c.execute("query-stats", target="vm")[0]["stats"] if v["name"] == "memory.hypervisor")
    c.execute("vm-destroy", vm="vm0")
    gone = frames[0]["hypervisor"] - c.execute("query-host")["memory"]["hypervisor"]
    assert abs(gone - said) <= 32 << 10, (gone, said)  # a page of each of the heap's classes, one of the map of stacks
    c.execute("vm-create", vm="vm0")
    c.execute("vm-start", vm="vm0")
    m.line("console vm0")
    m.expect(harness.USERSPACE, 60)
