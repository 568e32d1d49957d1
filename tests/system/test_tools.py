# SPDX-License-Identifier: BSD-2-Clause
"""The host-side scripts: bundles as docs/bundle.md says, and one clear line for each mistake."""
import os
import re
import shutil
import signal
import struct
import subprocess

import pytest

import harness
from harness import TOP, vm


def tool(*words, **env):
    return subprocess.run(
        words, cwd=TOP, env={**os.environ, **env}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60, check=False,
    )


def fdtget(path, node, prop, kind="s"):
    return tool("fdtget", "-t", kind, path, node, prop).stdout.strip()


@pytest.fixture
def small(tmp_path):
    """A file that passes for a kernel, quicker to handle than one."""
    path = tmp_path / "Image"
    data = bytearray(os.urandom(3 << 20))
    data[56:60] = b"RSC\x05"
    data[:4] = b"MZo\x10"
    path.write_bytes(data)
    return str(path)


def test_bundle_layout(bundle, small):
    path = bundle(
        vm("a", kernel=small, vcpus=3, ram="64M", disks=["host", "host@1", small], bootargs="x 'y z'"),
        vm("b", kernel=small, initrd=None, console="uart", autostart=False),
    )
    with open(path, "rb") as file:
        data = file.read()
    base = (int.from_bytes(data[4:8], "big") + 3) & ~3
    for name, source in (("kernel", small), ("initrd", harness.INITRD), ("disk", small)):
        offset = int(fdtget(path, f"/images/{name}", "data-offset", "u"))
        size = int(fdtget(path, f"/images/{name}", "data-size", "u"))
        assert (base + offset) % (2 << 20) == 0
        with open(source, "rb") as file:
            assert data[base + offset : base + offset + size] == file.read()
    own = f"{os.path.getsize(path):x}"  # all of the file, as U-Boot looks for it
    assert tool("fdtget", "-l", path, "/images").stdout.split() == ["kernel", "initrd", "disk", own]
    assert tool("fdtget", "-t", "x", path, f"/images/{own}", "data-size").stdout.strip() == own
    assert tool("fdtget", "-l", path, "/trapline").stdout.split() == ["a", "b"]
    assert fdtget(path, "/trapline", "compatible") == "trapline,bundle-1"
    assert fdtget(path, "/trapline/a", "memory", "x") == "0 4000000"
    assert fdtget(path, "/trapline/a", "disks") == "host host@1 disk"
    assert fdtget(path, "/trapline/a", "bootargs") == "x 'y z'"
    assert "autostart" in tool("fdtget", "-p", path, "/trapline/a").stdout.split()
    assert "autostart" not in tool("fdtget", "-p", path, "/trapline/b").stdout.split()


def test_same_files_make_the_same_bundle(bundle, small):
    first, second = (bundle(vm(kernel=small)) for _ in range(2))
    with open(first, "rb") as a, open(second, "rb") as b:
        assert a.read() == b.read()


@pytest.mark.parametrize(
    "words, message",
    [
        ([], "no VM"),
        (["--vm", "a"], "VM a: no kernel"),
        (["--kernel", "k"], "comes before the first --vm"),
        (["--vm", "a", "--kernel", "/nonesuch"], "kernel: /nonesuch: No such file"),
        (["--vm", "a", "--kernel", "/bin/sh"], "an ELF file"),
        (["--vm", "a", "--vm", "a"], "two VMs are called a"),
        (["--vm", "1 2"], "no name for a VM"),
        (["--vm", "a", "--ram", "12q"], "not a size"),
        (["--vm", "a", "--vcpus", "0", "--kernel", "k"], "at least one vCPU"),
    ],
)
def test_bundle_mistakes(tmp_path, words, message):
    done = tool("tools/mkbundle", str(tmp_path / "x.itb"), *words)
    assert done.returncode != 0
    assert message in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "env, message",
    [
        ({"CPU": "rv64,h=off"}, "no hypervisor extension"),
        ({"CPU": "nonesuch"}, "does not take"),
        ({"MACHINE": "nonesuch"}, "does not take"),
        ({"QEMU": "/nonesuch"}, "no QEMU at /nonesuch"),
        ({"QEMU": "/bin/true"}, "is not QEMU"),
        ({"MEM": "16M"}, "too little for the bundle"),
        ({"DISK": "/nonesuch"}, "no disk image /nonesuch"),
        ({"TRAPLINE": "/nonesuch"}, "no /nonesuch"),
    ],
    ids=lambda v: "" if isinstance(v, str) else "-".join(v),
)
def test_run_mistakes(bundle, small, env, message):
    done = tool("tools/run", bundle(vm(kernel=small)), **{"TRAPLINE": harness.LINUX, **env})
    assert done.returncode != 0
    assert message in done.stderr and len(done.stderr.splitlines()) == 1


def test_run_wants_a_bundle():
    done = tool("tools/run", "Makefile")
    assert "Makefile is not a bundle" in done.stderr


def test_initrd_is_the_same_each_time(tmp_path):
    linux = os.path.join(harness.BUILD, "linux")
    made = []
    for name in ("first", "second"):
        path = tmp_path / name
        done = tool("guests/linux/mkinitrd", f"{linux}/busybox", f"{linux}/modules", str(path),
                    "--add", f"bin/usertest={linux}/usertest")
        assert done.returncode == 0, done.stderr
        made.append(path.read_bytes())
    assert made[0] == made[1]


def test_help_names_every_setting():
    text = tool("make", "-s", "help").stdout
    for word in ("run", "bundle", "unit", "test", "bench", "HARTS", "MEM", "MACHINE", "CPU", "GUEST", "SSH", "DISK", "KEEP",
                 "QEMU", "QEMU_ARGS", "demo", "install", "uninstall", "PREFIX", "DESTDIR", "KERNEL", "INITRD", "BOOTARGS", "VCPUS", "RAM", "NAME", "OUT"):
        assert re.search(rf"\b{word}\b", text), word


def test_run_spike(bundle):
    unit = os.path.join(harness.BUILD, "guests", "unit.bin")
    path = bundle(vm("unit", unit, None, "only=isa_bit", ram="64M"))
    its = f"{path[:-4]}-{os.getpid()}.its"
    os.rename(path[:-3] + "its", its)  # what mkbundle left for people: tools/run makes a bundle of such a file, too
    done = tool("tools/run", its, MACHINE="spike", HARTS="1", MEM="512M", TIMEOUT="50")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "unit guest: 1 passed, 0 failed" in done.stdout
    for folder in (harness.BUILD, os.path.dirname(its)):  # of which nothing is left, nor is another one's written over
        assert not os.path.exists(os.path.join(folder, os.path.basename(its)[:-3] + "itb"))


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_run_ends_qemu_by_a_signal(bundle, how):
    """Without a terminal, QEMU is a child of tools/run: it ends with it, not when TIMEOUT is over."""
    unit = os.path.join(harness.BUILD, "guests", "unit.bin")
    path = bundle(vm("unit", unit, None, "only=isa_bit", ram="64M"))
    with subprocess.Popen([os.path.join(TOP, "tools", "run"), path], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env=os.environ | {"KEEP": "1", "HARTS": "1", "MEM": "512M", "TIMEOUT": "100"}) as run:
        while b"OpenSBI" not in run.stdout.readline():
            assert run.poll() is None
        run.send_signal(how)
        run.communicate(timeout=30 * harness.FACTOR)  # up to the end of file: QEMU, too, has closed it
        assert run.returncode == -how


def dump_rows(address, page):
    return "".join(f"{address + i:016x}  {page[i:i + 8].hex(' ')}  {page[i + 8:i + 16].hex(' ')}  |{'.' * 16}|\n"
                   for i in range(0, len(page), 16))


def test_core_of_a_linux_guest(tmp_path):
    """Registers, memory where its kernel has it, and a stack that only the guest's own page tables know."""
    virtual, top = 0xffffffd000003000, 0x80300000  # Sv39; tables, one after another, then the page of the stack
    indices = [virtual >> shift & 511 for shift in (30, 21, 12)]
    pages = [bytearray(4096) for _ in range(4)]
    for n, index in enumerate(indices):
        pages[n][8 * index:8 * index + 8] = struct.pack("<Q", (top + 4096 * (n + 1)) >> 12 << 10 | (0xcf if n == 2 else 1))
    pages[3][0x800:0x808] = b"a frame!"
    text = "vm0 vCPU 0 of 1: VM crashed, hart started\n"
    text += f"  ra {0xffffffff80001234:016x}    sp {virtual + 0x800:016x}\n        pc {0xffffffff80005678:016x}\n"
    text += f"     vsepc {0:016x}       vsatp {8 << 60 | top >> 12:016x}\n\n"
    text += "".join(dump_rows(top + 4096 * n, page) for n, page in enumerate(pages)) + f"{top + 4 * 4096:016x}\n"
    console, core = tmp_path / "console", tmp_path / "core"
    console.write_text(text)
    done = tool("tools/dump2core", str(console), str(core), "--offset", "0xfffffffeffe00000")
    assert done.returncode == 0 and "1 vCPUs, 16 KiB" in done.stdout, done.stderr
    said = tool("riscv64-linux-gnu-readelf", "-hlnW", str(core))
    assert not said.stderr and "CORE (Core file)" in said.stdout and said.stdout.count("NT_PRSTATUS") == 1, said
    loads = {int(at, 16): (int(offset, 16), int(size, 16)) for offset, at, size in
             re.findall(r"LOAD +0x(\w+) 0x(\w+) 0x\w+ 0x(\w+)", said.stdout)}
    assert loads[top + 0xfffffffeffe00000][1] == 4 * 4096
    offset, size = loads[virtual]
    image = core.read_bytes()
    assert size == 4096 and image[offset + 0x800:offset + 0x808] == b"a frame!" and len(loads) == 2
    assert struct.pack("<3Q", 0xffffffff80005678, 0xffffffff80001234, virtual + 0x800) in image


def test_debian_disks_at_once(tmp_path):
    """Two disks that are made at the same time share nothing but the template; without that, one line says so."""
    top = tmp_path / "a tree"
    (top / "build/debian").mkdir(parents=True)
    (top / "tools").mkdir()
    for name in ("debian", "apt.sh", "child.sh"):
        shutil.copy(os.path.join(TOP, "tools", name), top / "tools")
    qemu_img = tmp_path / "bin/qemu-img" # says which file it is to make
    qemu_img.parent.mkdir()
    qemu_img.write_text("#!/bin/sh\nshift $(($# - 2))\necho overlay >\"$1\"\nrealpath \"$1\" >>\"$MADE\"\n")
    qemu_img.chmod(0o755)
    env = {"PATH": f"{qemu_img.parent}:{os.environ['PATH']}", "MADE": str(tmp_path / "made")}

    def disk(name):
        return tool(str(top / "tools/debian"), "disk", str(tmp_path / name), "vm", **env)

    done = disk("first")
    assert done.returncode == 1 and done.stderr.startswith("debian: error: no build/debian/template.ext4"), done.stderr
    with open(top / "build/debian/template.ext4", "wb") as file:
        file.truncate(1 << 20)
    for name in ("first", "second"):
        done = disk(name)
        assert done.returncode == 0, done.stderr
    made = (tmp_path / "made").read_text().split("\n")[:-1]
    assert len(made) == 2 and len(set(made)) == 2, made
    assert sorted(os.listdir(tmp_path)) == ["a tree", "bin", "first", "first.login", "made", "second", "second.login"]
