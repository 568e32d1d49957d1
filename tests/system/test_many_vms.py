# SPDX-License-Identifier: BSD-2-Clause
"""More VMs, and more vCPUs, than harts: all get on, and all answer."""
import os
import re

import pytest

import harness
from harness import vm
from qmp import Client

STALLS = r"rcu.*(stall|starved)|soft lockup|hung task|blocked for more than|Oops|Kernel panic|trapline: panic"
SIXTEEN = 16
HOSTILE = os.path.join(harness.BUILD, "guests", "hostile.bin")


def wait_for(c, name, text, position=0):
    """Reads the VM's console by the protocol until the text has come; where the reading ended."""
    seen = ""
    while text not in seen:
        got = c.execute("console-read", vm=name, position=position)
        position, seen = got["position"], seen[-200:] + got["data"]
        assert not re.search(STALLS, seen), f"{name}: {seen}"
    return position


def test_sixteen_debians_at_a_shell(control):
    """128 MiB each, on 2 harts of a machine of 2 GiB."""
    names = [f"d{n}" for n in range(SIXTEEN)]
    m, paths = control(*(vm(name, ram="128M") for name in names), ports=1, mem="2G", limit=400)
    c = Client(paths[0])
    at = {name: wait_for(c, name, "guest:~# ") for name in names}
    for _ in range(2):  # everyone is asked before anyone is listened to
        for n, name in enumerate(names):
            c.execute("console-write", vm=name, data=f"echo $(({n} * 1000 + 7))=$(uname -m)\n")
        for n, name in enumerate(names):
            at[name] = wait_for(c, name, f"{n * 1000 + 7}=riscv64\r\n", at[name])
    assert {v["status"] for v in c.execute("query-vms")} == {"running"}
    for name in names:
        c.execute("console-write", vm=name, data="poweroff -f\n")
    for _ in names:
        assert c.event("SHUTDOWN")["reason"] == "guest-shutdown"
    c.send('{"execute": "quit"}\n')
    m.expect_off()


# On each vCPU at once: files in one directory (its lock), processes made and ended (fences to the other vCPUs), lines
# through a pipe (wake-ups).
LOCKS = ("for i in $(seq 40); do : >/tmp/$0.$i; cat /tmp/$0.$i; rm /tmp/$0.$i; done; "
         "seq 40 | while read x; do echo $x; done | wc -l")
SYSFS = "while :; do ls -R /sys/devices/virtual >/dev/null; done"


@pytest.mark.parametrize("vcpus", [4, 8])
def test_locks_with_more_vcpus_than_harts(machine, bundle, vcpus):
    """Beside a VM of as many: none is caught in spinning for a vCPU that does not run."""
    busy = f'{harness.BOOTARGS} tl.cmd="{SYSFS}"'
    m = machine(bundle=bundle(vm("a", vcpus=vcpus), vm("b", vcpus=vcpus, bootargs=busy)), harts=2, limit=240)
    m.boot(120)
    text = m.run(f"for c in $(seq 0 {vcpus - 1}); do taskset -c $c sh -c '{LOCKS}' $c & done; wait", 120)
    assert re.findall(r"^\d+$", text, re.M) == ["40"] * vcpus
    m.to_shell()
    assert re.search(r"^b +running", m.command("list"), re.M)
    assert not re.search(STALLS, m.output)


def test_three_work_beside_one_that_means_harm(machine, bundle, disk):
    path = bundle(*(vm(f"good{n}", bootargs=harness.working_debian(4), ram="128M") for n in range(3)),
                  vm("bad", HOSTILE, None, "seed=4 ops=500 rounds=0 disks=1", vcpus=4, ram="128M", disks=["host"]))
    m = machine(bundle=path, harts=2, append="keep", disk=disk(), limit=300)
    for _ in range(3):  # told on any console
        m.expect(r"good\d: stopped: guest shut down", 200)
    m.to_shell()
    for n in range(3):
        m.line(f"console good{n}")
        m.expect("sums are right", 10)
        m.to_shell()
    m.line("console bad")
    m.expect(r"hostile: \w+: \d+ actions", 60)  # it was at it all the time
    m.to_shell()
    assert re.search(r"^bad +running", m.command("list"), re.M)
