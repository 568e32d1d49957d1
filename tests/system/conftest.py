# SPDX-License-Identifier: BSD-2-Clause
"""Fixtures of the system tests: machines and bundles that go away with their test."""
import os
import re
import shutil
import subprocess

import pytest

import harness
import terminal


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
def control(machine, bundle, tmp_path):
    """A machine with VMs and control sockets: control(vm(...), ...) is (machine, paths)."""

    def start(*vms, ports=3, harts=2, args=(), switches=(), **options):
        paths = [str(tmp_path / f"c{i}") for i in range(ports)]
        return machine(bundle=bundle(*vms, switches=switches), harts=harts, append="keep",
                       args=[*args, *harness.control_ports(paths)], **options), paths

    return start


@pytest.fixture
def ctl(tmp_path):
    """trapctl, under the sanitizers, in the test's folder: ctl(word, ...), with terminal.run's options."""
    return lambda *words, **options: terminal.run(*words, **{"cwd": tmp_path, **options})


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


@pytest.fixture
def file_system(tmp_path):
    """Makes ext4 images: file_system({"extlinux/extlinux.conf": "text", "Image": pathlib.Path(...)})."""
    made = []

    def make(files, size="96M"):
        tree = tmp_path / f"tree{len(made)}"
        for name, what in files.items():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            if isinstance(what, os.PathLike):
                shutil.copy(what, tree / name)
            else:
                (tree / name).write_text(what)
        made.append(str(tmp_path / f"fs{len(made)}.img"))
        # Its place is not on every user's PATH.
        subprocess.run(["/sbin/mke2fs", "-q", "-t", "ext4", "-d", tree, made[-1], size], check=True)
        shutil.rmtree(tree)
        return made[-1]

    yield make
    for path in made:
        os.remove(path)
