# SPDX-License-Identifier: BSD-2-Clause
"""The ways that boards start Trapline, and shapes of machine that only a device tree of one's own can show."""
import os
import re
import time
from pathlib import Path

import pytest

import harness
import qemustub
from harness import vm

IMAGE = 0x80200000  # where OpenSBI starts it
UBOOT = os.path.join(harness.BUILD, "uboot", "u-boot.bin")
EXTLINUX = os.path.join(harness.TOP, "firmware", "boards", "extlinux.conf")


def board_disk(file_system, path, **more):
    """What docs/boards.md has a user copy to the board's boot partition."""
    files = {"extlinux/extlinux.conf": Path(EXTLINUX), "trapline/trapline.bin": Path(harness.TRAPLINE),
             "trapline/bundle.itb": Path(path)}
    return file_system(files | more)


def to_uboot(m):
    m.expect("Hit any key to stop autoboot", 30)
    m.send("\n")
    m.expect("^=> ")
    m.line("virtio scan")
    m.expect("^=> ")


def test_extlinux(machine, bundle, file_system):
    """U-Boot, started by OpenSBI as on a board, reads image and bundle from a disk. It puts the bundle 1 MiB off a
    multiple of 2 MiB, and looks for a ramdisk in it, as it is a FIT."""
    m = machine(kernel=UBOOT, harts=2, disk=board_disk(file_system, bundle(vm(vcpus=2, bootargs=harness.BOOTARGS))))
    to_uboot(m)
    m.line("sysboot virtio 0 any ${scriptaddr} /extlinux/extlinux.conf")
    m.expect("Loading ramdisk from FIT")
    m.expect("Starting kernel")
    m.expect("Trapline, a RISC-V hypervisor", 60)
    m.expect(r"harts +2:")
    m.boot()
    assert m.run("nproc").strip() == "2"


def test_booti(machine, bundle, file_system):
    """The commands of docs/boards.md, and power off: there is no `keep`."""
    m = machine(kernel=UBOOT, harts=2, disk=board_disk(file_system, bundle()))
    to_uboot(m)
    for command in (
        "load virtio 0 ${kernel_addr_r} /trapline/trapline.bin",
        "load virtio 0 ${ramdisk_addr_r} /trapline/bundle.itb",
        "setenv bootargs",
    ):
        m.line(command)
        m.expect("^=> ")
    m.line("booti ${kernel_addr_r} ${ramdisk_addr_r}:${filesize} ${fdtcontroladdr}")
    m.expect("Trapline, a RISC-V hypervisor", 60)
    m.boot()
    m.line("poweroff")
    m.expect_off()


# What rv64 and its options can leave out, and what a model can have beyond it.
PROBED = ("sstc", "svpbmt", "zicbom", "zicboz", "svadu", "zkr", "ssnpm", "smstateen", "ssstateen", "v", "sscofpmf")
WITHOUT = "rv64,sstc=off,svpbmt=off,zicbom=off,zicboz=off,svadu=off"
UNIT = os.path.join(harness.BUILD, "guests", "unit.bin")


def promise(text, names):
    """The tree's source, with these extensions for every hart, in both properties."""
    text = text.replace('riscv,isa-base', 'riscv,cbom-block-size = <64>; riscv,cboz-block-size = <64>; riscv,isa-base')
    text = re.sub(r'(riscv,isa-extensions = "i)', "\\1" + "".join(f"\\\\0{name}" for name in names), text)
    return re.sub(r'(riscv,isa = "[^"]*)', "\\1" + "".join(f"_{name}" for name in names), text)


def keep_only(text, names):
    text = re.sub(r'riscv,isa-extensions = "[^"]*"', 'riscv,isa-extensions = "' + "\\\\0".join(names) + '"', text)
    return re.sub(r'riscv,isa = "[^"]*"', 'riscv,isa = "rv64' + "".join(names[:6]) + '"', text)


def start_with_tree(machine, bundle, file_system, tmp_path, cpu, edit):
    """The unit guest's cases of extensions, on a machine whose tree was changed behind OpenSBI, which believes it."""
    tree = harness.device_tree(str(tmp_path / "board.dtb"), edit, cpu=cpu, harts=2)
    path = bundle(vm("unit", UNIT, None, "only=isa", vcpus=2, ram="128M"))
    text = Path(EXTLINUX).read_text().replace("\tappend keep", "\tfdt /board.dtb")
    m = machine(kernel=UBOOT, harts=2, cpu=cpu, disk=board_disk(
        file_system, path, **{"extlinux/extlinux.conf": text, "board.dtb": Path(tree)}))
    to_uboot(m)
    m.line("sysboot virtio 0 any ${scriptaddr} /extlinux/extlinux.conf")
    m.expect(r"guests +i m a f d c")
    return m


def guests_isa(m):
    return set(re.search(r"guests +((?:[a-z0-9]+\s+)+)", m.output).group(1).split())


def test_tree_promises_what_traps(machine, bundle, file_system, tmp_path):
    m = start_with_tree(machine, bundle, file_system, tmp_path, WITHOUT, lambda text: promise(text, PROBED))
    m.expect(r"unit guest: \d+ passed, 0 failed")
    assert not guests_isa(m) & set(PROBED)
    m.expect_off()


def test_tree_keeps_quiet(machine, bundle, file_system, tmp_path):
    """The other way round: the hart has all of it, and the guest gets what the tree says."""
    quiet = ("i", "m", "a", "f", "d", "c", "h", "zicsr", "zifencei", "zicntr")
    m = start_with_tree(machine, bundle, file_system, tmp_path, "max", lambda text: keep_only(text, quiet))
    m.expect(r"unit guest: \d+ passed, 0 failed")
    assert guests_isa(m) == set(quiet) - {"h"}
    m.expect_off()


def test_harts(machine, bundle, tmp_path):
    """One hart is disabled, one has no H: what is left are harts 0 and 3, and a gap between them."""
    tree = harness.device_tree(str(tmp_path / "board.dtb"), lambda text: text + """
        / { cpus { cpu@1 { status = "disabled"; };
                   cpu@2 { riscv,isa = "rv64imafdc"; riscv,isa-extensions = "i", "m", "a", "f", "d", "c"; }; }; };""", harts=4)
    m = machine(bundle=bundle(vm(vcpus=3)), harts=4, args=["-dtb", tree])
    m.expect(r"harts +2: (0 3|3 0); not 1 \(disabled\); not 2 \(no H extension\)")
    m.boot()
    m.run("for i in 1 2 3; do sha256sum /bin/busybox & done; wait")
    m.line("poweroff")
    m.expect_off()


def hexes(text, pattern):
    return [int(word, 16) for word in re.findall(pattern, text)]


def test_memory(machine, bundle, tmp_path):
    """Banks with a hole between them, one above 4 GiB; most of the low one is reserved, in the middle, by the
    reservation block and by /reserved-memory. So the guest's memory has to come from above 4 GiB."""
    path = bundle(vm(ram="512M"))
    reserved = [(0x90000000, 0x10000000), (0xA4000000, 0x1C000000)]
    banks = [(0x80000000, 0x40000000), (0x100000000, 0x20000000), (0x140000000, 0x40000000)]

    def edit(text):
        cells = " ".join(f"{a >> 32:#x} {a & 0xFFFFFFFF:#x} 0 {n:#x}" for a, n in banks)
        text = re.sub(r"(memory@80000000 \{[^}]*reg = )<[^>]*>", rf"\1<{cells}>", text)
        text = text.replace("/dts-v1/;", "/dts-v1/;\n/memreserve/ 0x90000000 0x10000000;")
        return text + """
            / { reserved-memory { #address-cells = <2>; #size-cells = <2>; ranges;
                                  npu@a4000000 { reg = <0 0xa4000000 0 0x1c000000>; no-map; }; }; };"""

    tree = harness.device_tree(str(tmp_path / "board.dtb"), edit, mem="6G")
    m = machine(bundle=path, mem="6G", args=["-dtb", tree])
    m.expect("memory +2560 MiB, .* banks " + " ".join(f"{a:x}..{a + n:x}" for a, n in banks))
    m.boot()
    m.run("mount -t tmpfs -o size=400M none /mnt && dd if=/dev/urandom of=/mnt/a bs=1M count=128 2>/dev/null && "
          "cp /mnt/a /mnt/b && cmp /mnt/a /mnt/b", 90)
    m.to_shell()
    host = hexes("".join(m.command(f"gpa vm0 {gpa:#x}") for gpa in range(0x80200000, 0xA0000000, 0x2000000)),
                 r"= hpa 0x([0-9a-f]+)")
    assert len(host) > 4
    for pa in host:
        assert any(a <= pa < a + n for a, n in banks)
        assert not any(a <= pa < a + n for a, n in reserved)
    assert any(pa >= 1 << 32 for pa in host)


@pytest.mark.parametrize("address", [0x88001000, 0x9FFFF008])
def test_bundle_anywhere(machine, bundle, tmp_path, address):
    """Not by QEMU's -initrd, which aligns: as some loader of a board may put it, at a page or at 8 bytes."""
    path = bundle()
    end = address + os.path.getsize(path)

    tree = harness.device_tree(str(tmp_path / "board.dtb"), lambda text: text + f"""
        / {{ chosen {{ linux,initrd-start = <{address:#x}>; linux,initrd-end = <{end:#x}>; }}; }};""")
    m = machine(args=["-dtb", tree, "-device", f"loader,file={path},addr={address:#x},force-raw=on"])
    m.boot()


@pytest.mark.parametrize("hz", [1000000, 24000000])
def test_timebase(machine, bundle, tmp_path, hz):
    """The counter is QEMU's, of 10 MHz: so to everybody time only goes faster or slower than it does."""
    def edit(text):
        return re.sub(r"timebase-frequency = <[^>]*>", f"timebase-frequency = <{hz}>", text)

    tree = harness.device_tree(str(tmp_path / "board.dtb"), edit)
    m = machine(bundle=bundle(), args=["-dtb", tree])
    m.expect(rf"timebase {hz} Hz")
    m.boot()
    start = time.monotonic()
    text = m.run("cut -d' ' -f1 /proc/uptime; sleep 4; cut -d' ' -f1 /proc/uptime", 60)
    real = time.monotonic() - start
    before, after = (float(word) for word in text.split())
    assert 4 <= after - before < 12
    assert real > 0.95 * 4 * hz / 10000000


def test_firmware_console(machine, bundle, tmp_path):
    """A tree that names no console: the firmware's is used, which finds one; for input too. And no PLIC."""
    tree = harness.device_tree(str(tmp_path / "board.dtb"), lambda text: text + """
        / { chosen { /delete-property/ stdout-path; }; /delete-node/ aliases;
            soc { plic@c000000 { status = "disabled"; }; }; };""")
    m = machine(bundle=bundle(), args=["-dtb", tree])
    m.expect("console SBI, interrupts none")
    m.boot()
    assert m.run("echo $((6 * 7))").strip() == "42"
    m.to_shell()
    assert "running" in m.command("list")


@pytest.mark.parametrize("machine_type, name", [
    ("virt,aclint=on", "PLIC"), ("virt,aclint=on,aia=aplic", "APLIC"), ("virt,aclint=on,aia=aplic-imsic", "IMSIC")])
def test_interrupt_controllers(machine, bundle, disk, machine_type, name):
    """Interrupts of UART (typing), disk and entropy source, with each kind of controller."""
    m = machine(bundle=bundle(vm(vcpus=2, disks=["host"])), harts=2, machine=machine_type, disk=disk(16 << 20))
    m.expect(rf"interrupts {name}, 1 disk, entropy virtio-rng")
    m.boot()
    assert "input is polled" not in m.output
    m.run("dd if=/dev/urandom of=/tmp/x bs=1M count=8 2>/dev/null && dd if=/tmp/x of=/dev/vda bs=64k conv=fsync "
          "2>/dev/null && echo 3 >/proc/sys/vm/drop_caches && cmp -n 8388608 /tmp/x /dev/vda", 60)
    m.run("dd if=/dev/hwrng bs=512 count=8 2>/dev/null | md5sum")


def test_two_memory_nodes(machine, bundle):
    """NUMA: two sockets, each with its memory node, its harts, its PLIC and CLINT."""
    m = machine(bundle=bundle(vm(vcpus=4)), harts=4, mem="2G", args=[
        "-object", "memory-backend-ram,id=m0,size=1G", "-object", "memory-backend-ram,id=m1,size=1G",
        "-numa", "node,nodeid=0,memdev=m0,cpus=0-1", "-numa", "node,nodeid=1,memdev=m1,cpus=2-3"])
    m.expect("memory +2048 MiB, .* banks 80000000..100000000")
    m.expect(r"harts +4:( [0-3]){4}$")  # the firmware chooses the first one by lottery
    m.boot()
    assert m.run("nproc").strip() == "4"


@pytest.mark.parametrize("causes,said", [
    ((12, 13, 15), "guests' page faults"),  # as the first firmware of the P550
    ((20, 21, 22, 23), "guest page faults"),
])
def test_firmware_that_does_not_delegate(machine, bundle, tmp_path, causes, said):
    """medeleg is changed behind OpenSBI, which hands on what it takes first: all works, slower, and that is said."""
    path = str(tmp_path / "stub")
    m = machine(bundle=bundle(vm()), args=["-S", "-gdb", f"unix:{path},server=on,wait=off"])
    stub = qemustub.Stub(path)
    stub.run_to(IMAGE)
    stub.set_csr("medeleg", stub.csr("medeleg") & ~sum(1 << c for c in causes))
    stub.let_go()
    m.expect(rf"warning: the firmware takes {said} first", 30)
    m.boot()
    m.line("poweroff")
    m.expect_off()
    assert m.output.count("the firmware takes") == 1
