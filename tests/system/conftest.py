# SPDX-License-Identifier: BSD-2-Clause
"""Fixtures of the system tests: machines and bundles that go away with their test."""
import os
import re

import pytest

import harness


def pytest_configure(config):
    missing = harness.ready()
    if missing:
        pytest.exit(missing, returncode=1)


@pytest.fixture
def machine(request):
    """Starts machines: machine(bundle=..., harts=2, ...); see harness.Machine."""
    started = []

    def start(**options):
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", request.node.name).strip("-")
        if started:
            name += f"-{len(started) + 1}"
        started.append(harness.Machine(name, **options))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def native(machine):
    """Starts the Debian guest alone on OpenSBI, without Trapline."""

    def start(bootargs=harness.BOOTARGS.replace("hvc0", "ttyS0"), **options):
        return machine(kernel=harness.LINUX, bundle=harness.INITRD, append=bootargs, **options)

    return start


@pytest.fixture
def bundle(tmp_path):
    """Makes bundles: bundle(vm(...), vm(...)); the words are harness.vm's. One Debian VM if none are given."""
    made = []

    def make(*vms, **options):
        path = str(tmp_path / f"bundle{len(made)}.itb")
        made.append(path)
        return harness.make_bundle(path, *(vms or [harness.vm()]), **options)

    yield make
    for path in made:  # tens of megabytes each; the readable source stays
        if os.path.exists(path):
            os.remove(path)


@pytest.fixture
def disk(tmp_path):
    """Makes empty disk images: disk("64M")."""
    made = []

    def make(size=64 << 20):
        path = str(tmp_path / f"disk{len(made)}.img")
        made.append(path)
        return harness.make_disk(path, size)

    yield make
    for path in made:
        os.remove(path)
