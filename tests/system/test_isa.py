# SPDX-License-Identifier: BSD-2-Clause
"""Extensions in a guest (guests/unit/isa.c, vector.c), by CPU model: natively, so that the cases themselves are
right, and under Trapline. docs/isa.md says what is tested where."""
import re

import pytest

import harness
from test_guests import UNIT, check_unit

LIMIT = 300

# What of the cases' extensions the model's guests do not have; native harts may lack none but these.
MODELS = {
    "max": set(),
    "rva23s64": {"zkr"},
    "veyron-v1": {"ssnpm", "zkr"},
    "tt-ascalon": {"ssnpm", "zkr"},
}


def missing(m):
    return set(re.findall(r"^not in the ISA: (\w+)", m.output, re.M))


@pytest.mark.parametrize("cpu", ["max", "veyron-v1"])
def test_unit_native(machine, cpu):
    m = machine(kernel=UNIT, harts=2, mem="256M", cpu=cpu, limit=LIMIT)
    check_unit(m, LIMIT - 60)
    assert missing(m) == MODELS[cpu]


@pytest.mark.parametrize("cpu,vcpus,harts", [
    ("max", 3, 1),
    ("rva23s64", 2, 1),
    ("veyron-v1", 1, 1),
    ("tt-ascalon", 3, 2),
])
def test_unit_guest(machine, bundle, cpu, vcpus, harts):
    path = bundle(harness.vm("unit", UNIT, None, None, vcpus=vcpus, ram="128M"))
    m = machine(bundle=path, harts=harts, cpu=cpu, limit=LIMIT)
    check_unit(m, LIMIT - 60)
    assert missing(m) == MODELS[cpu]


def test_state_not_given(machine, bundle):
    """Two vCPUs on a hart with an AIA and without Smstateen, whose siselect nothing keeps them away from."""
    path = bundle(harness.vm("unit", UNIT, None, "only=isa_not_given", vcpus=2, ram="128M"))
    m = machine(bundle=path, harts=1, cpu="rv64,smaia=true,ssaia=true", limit=LIMIT)
    m.expect(r"unit guest: 1 passed, 0 failed, 0 skipped", LIMIT - 60)


def test_long_vectors(machine, bundle):
    """Registers of 1024 bits, and two VMs that take turns on one hart."""
    vms = [harness.vm(n, UNIT, None, "only=vector", vcpus=2, ram="128M") for n in ("one", "two")]
    m = machine(bundle=bundle(*vms), cpu="rv64,v=true,vlen=1024", limit=LIMIT)
    m.expect_off(LIMIT - 60)
    assert not re.findall(r"FAIL .*", m.output)
    # The other VM's console is not shown; that it disturbs is what counts.
    assert re.findall(r"unit guest: 6 passed, 0 failed, 0 skipped", m.output)
