# SPDX-License-Identifier: BSD-2-Clause
"""Debian with 1 to 8 vCPUs: each does work that is checked, and can be taken away and given back."""
import pytest

from harness import vm

# A digest of 4 MiB of zeros: what every vCPU has to come to.
ZEROS = "b5cfa9d6c8febd618f91ac2843d50a1c"
DIGEST = "dd if=/dev/zero bs=64k count=64 2>/dev/null | md5sum"


def work_on_each(m, vcpus):
    """Runs the digest on every vCPU at once, bound to it."""
    text = m.run(f"for c in $(seq 0 {vcpus - 1}); do taskset -c $c sh -c '{DIGEST}' & done; wait", 120)
    assert text.count(ZEROS) == vcpus, text


@pytest.mark.parametrize("vcpus", [1, 2, 8])
def test_every_vcpu_works(machine, bundle, vcpus):
    m = machine(bundle=bundle(vm(vcpus=vcpus)), harts=2)
    m.boot(90)
    assert m.run("nproc").strip() == str(vcpus)
    assert m.run("cat /sys/devices/system/cpu/online").strip() == ("0" if vcpus == 1 else f"0-{vcpus - 1}")
    assert m.run("grep -c ^processor /proc/cpuinfo").strip() == str(vcpus)
    work_on_each(m, vcpus)
    m.line("poweroff")
    m.expect_off()


def test_vcpus_are_unplugged_and_plugged_again(machine, bundle):
    """By HSM stop and start, while all vCPUs are busy; what ran on the one that goes moves on."""
    m = machine(bundle=bundle(vm(vcpus=4)), harts=2)
    m.boot(90)
    m.run("mkdir -p /load; for n in 0 1 2 3 4 5; do "
          f"(while ! [ -e /load/stop ]; do {DIGEST}; done >/load/$n) & done")
    wrong = m.run("cd /sys/devices/system/cpu; for round in 1 2 3 4 5 6 7 8; do for c in 1 2 3; do "
                  "echo 0 >cpu$c/online && [ $(cat cpu$c/online) = 0 ] || echo round $round: cpu$c stays; "
                  "done; [ $(nproc) = 1 ] || echo round $round: $(nproc); for c in 3 1 2; do "
                  "echo 1 >cpu$c/online && [ $(cat cpu$c/online) = 1 ] || echo round $round: cpu$c stays off; "
                  "done; done; cd", 120)
    assert not wrong
    m.run("touch /load/stop; wait", 60)
    assert m.run(f"cat /load/? | grep -v {ZEROS} | wc -l").strip() == "0"
    assert int(m.run("cat /load/? | wc -l")) >= 6
    assert m.run("nproc").strip() == "4"
    work_on_each(m, 4)
