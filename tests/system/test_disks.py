# SPDX-License-Identifier: BSD-2-Clause
"""Disks on partitions of the machine's disk."""
import array
import os
import re
import subprocess

import harness
import writelog
from harness import vm

FILL = ("mke2fs -q /dev/vda >/dev/null && mount /dev/vda /mnt && "
        "dd if=/dev/urandom of=/mnt/file bs=64k count=64 2>/dev/null && md5sum </mnt/file && umount /mnt")


def fsck(path):
    subprocess.run(["/sbin/e2fsck", "-f", "-n", path], check=True, capture_output=True)


def qemu_img(*words, cwd):
    done = subprocess.run(["qemu-img", *words], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def read_file(image, path):
    done = subprocess.run(["/sbin/debugfs", "-R", f"cat {path}", image], check=True, capture_output=True)
    return done.stdout


def md5sum(data):
    return subprocess.run(["md5sum"], input=data, capture_output=True).stdout.decode()


def test_partitions(machine, bundle, disk, tmp_path):
    """Two VMs on partitions of one disk; a third only reads; one that there is not."""
    image = disk(1 << 20)
    parts = harness.make_partitions(image, 64 << 20, web="16MiB", db="16MiB")
    guests = [vm("web", disks=["part:web"]), vm("db", disks=["part:db"], autostart=False),
              vm("peek", disks=["part:web:ro"], autostart=False), vm("lost", disks=["part:home"])]
    m = machine(bundle=bundle(*guests), disk=image, append="keep", harts=2)
    m.expect("VM peek: .*partition 'web' is in use")
    m.expect("VM lost: .*no partition is called 'home'")
    m.boot()
    assert m.run("blockdev --getsize64 /dev/vda").strip() == str(parts["web"][1])
    assert m.run("echo $(cat /sys/block/vda/serial)").strip() == "web"
    assert m.shell("dd if=/dev/zero of=/dev/vda bs=1M seek=16 count=1")[0] != 0
    digest = m.run(FILL)
    m.to_shell()
    m.command("start db")
    m.line("console db")
    m.boot()
    other = m.run(FILL)
    m.run("sync")
    m.to_shell()
    m.line("poweroff now")
    m.expect_off()
    assert harness.partitions_of(image) == parts
    for name, digest in (("web", digest), ("db", other)):
        file = harness.copy_out(image, parts[name], str(tmp_path / name))
        fsck(file)
        assert md5sum(read_file(file, "/file")) == digest


WORK = ("mount -o discard /dev/vda /mnt && cat /mnt/hello && dd if=/dev/urandom of=/mnt/file bs=64k count=100 2>/dev/null && "
        "dd if=/dev/zero of=/mnt/gone bs=64k count=160 2>/dev/null && sync && rm /mnt/gone && sync && "
        "dd if=/dev/urandom of=/mnt/small bs=4k count=200 2>/dev/null && md5sum </mnt/file && umount /mnt")


def test_template_serves_two(machine, bundle, disk, file_system, tmp_path):
    """Two VMs write to qcow2 overlays of one template at the same time; QEMU's tools find both clean and read what
    the guests read, and the template is untouched."""
    image = disk(1 << 20)
    parts = harness.make_partitions(image, 256 << 20, template="40MiB", one="80MiB", two="80MiB")
    source = file_system({"hello": "from the template\n"}, "64M")
    qemu_img("convert", "-c", "-f", "raw", "-O", "qcow2", source, "template", cwd=tmp_path)  # as the cloud's are
    for name in ("one", "two"):
        qemu_img("create", "-q", "-f", "qcow2", "-b", "template", "-F", "qcow2", name, cwd=tmp_path)
    for name, place in parts.items():
        harness.copy_in(image, place, str(tmp_path / name))
    before = open(harness.copy_out(image, parts["template"], str(tmp_path / "template")), "rb").read()

    guests = [vm(name, disks=[f"qcow2:{name}"], autostart=name == "one") for name in ("one", "two")]
    m = machine(bundle=bundle(*guests), disk=image, append="keep", harts=2)
    m.boot()
    assert m.run("echo $(cat /sys/block/vda/serial)").strip() == "one"
    m.to_shell()
    m.command("start two")
    m.line("console two")
    m.boot()
    whole = "sync; echo 1 >/proc/sys/vm/drop_caches; md5sum </dev/vda"
    m.run(f"{{ (({WORK}) && {whole}) >/text 2>&1 & }}")
    m.to_shell()
    m.line("console one")
    m.expect(r"\[trapline: console of one")
    digests = {"one": m.run(f"({WORK}) && {whole}", 120)}
    m.to_shell()
    m.line("console two")
    m.expect(r"\[trapline: console of two")
    digests["two"] = m.run("wait; cat /text", 120)
    m.to_shell()
    m.line("poweroff now")
    m.expect_off()

    assert open(harness.copy_out(image, parts["template"], str(tmp_path / "template")), "rb").read() == before
    for name, digest in digests.items():
        harness.copy_out(image, parts[name], str(tmp_path / name))
        qemu_img("check", "-f", "qcow2", name, cwd=tmp_path)
        qemu_img("convert", "-f", "qcow2", "-O", "raw", name, "raw", cwd=tmp_path)
        raw = str(tmp_path / "raw")
        fsck(raw)
        text = read_file(raw, "/hello").decode()
        with open(raw, "rb") as file:
            assert digest == text + md5sum(read_file(raw, "/file")) + md5sum(file.read())


def grown_while_used(m):
    """From Trapline's shell: larger disks, which the guest sees at once, and can use to the end."""
    m.command("disk resize data 60M")
    m.command("disk resize web/disk-2 12M")
    assert "only be made larger" in m.command("disk resize web/disk-1 20M")
    m.line("console web")
    m.expect(r"\[trapline: console of web")
    for disk, mib in (("b", 60), ("c", 12)):
        m.run(f"until [ $(blockdev --getsize64 /dev/vd{disk}) = {mib << 20} ]; do usleep 20000; done", 60)
        m.run(f"dd if=/dev/urandom of=/dev/vd{disk} bs=1M seek={mib - 2} count=2 conv=fsync", 60)
    m.to_shell()


def test_disks_from_the_shell(machine, bundle, disk, file_system, tmp_path):
    """Disks made, cloned, grown and deleted in Trapline's shell; a VM then uses them."""
    image = disk(1 << 20)
    parts = harness.make_partitions(image, 512 << 20, template="64MiB")
    harness.copy_in(image, parts["template"], file_system({"hello": "from the template\n"}, "64M"))
    waiting = bundle(vm("web", disks=["qcow2:web", "qcow2:data", "part:raw"]))
    m = machine(bundle=waiting, disk=image, append="keep")
    m.expect("VM web: .*no partition is called 'web'")
    m.expect(harness.SHELL_PROMPT)
    m.command("disk clone template web room=48M")
    m.command("disk create data 20M")
    m.command("disk create raw 8M raw")
    m.command("disk create gone 8M")
    assert "it is behind 'web'" in m.command("disk delete template")
    assert "no room" in m.command("disk create large 1G")
    images = m.command('qmp {"execute": "query-images"}').replace("\n", "")
    assert '{"image": "web", "format": "qcow2", "virtual-size": 67108864, "actual-size": 262144, "backing": "template"' in images
    m.command("disk delete gone")
    m.command("disk resize data 40M")
    lines = m.command("disk").splitlines()
    assert [line.split()[1:6] for line in lines[1:5]] == [
        ["template", "64", "raw", "64", "free"], ["web", "48", "qcow2", "64", "free"],
        ["data", "21", "qcow2", "40", "free"], ["raw", "8", "raw", "8", "free"]]
    assert lines[2].split()[6] == "template"
    assert "well" in m.command("stacks").splitlines()[-1]
    m.line("poweroff")
    m.expect_off()
    subprocess.run(["/sbin/sfdisk", "-q", "--verify", image], check=True, capture_output=True)

    m = machine(bundle=waiting, disk=image, append="keep")
    m.boot()
    digest = m.run(WORK, 60)
    m.run("mke2fs -q /dev/vdb >/dev/null && mount /dev/vdb /mnt && cp /bin/busybox /mnt/file && umount /mnt")
    assert m.shell("dd if=/dev/zero of=/dev/vdb bs=1M seek=36 count=8")[0] != 0  # past its end
    m.run("dd if=/dev/zero of=/dev/vdc bs=1M count=8")
    m.to_shell()
    grown_while_used(m)
    assert "in use" in m.command("disk delete web force")
    assert '"used-by": ["web/disk-0"]' in m.command('qmp {"execute": "query-images"}').replace("\n", "")
    assert '"backing-filename": "template"' in m.command('qmp {"execute": "query-block"}').replace("\n", "")
    assert "well" in m.command("stacks").splitlines()[-1]
    m.line("poweroff now")
    m.expect_off()
    for name, place in harness.partitions_of(image).items():
        harness.copy_out(image, place, str(tmp_path / name))
    for name in ("web", "data"):
        qemu_img("check", "-f", "qcow2", name, cwd=tmp_path)
        qemu_img("convert", "-f", "qcow2", "-O", "raw", name, f"{name}.raw", cwd=tmp_path)
        fsck(str(tmp_path / f"{name}.raw"))
    assert harness.partitions_of(image)["raw"][1] == 12 << 20 and os.path.getsize(tmp_path / "data.raw") == 60 << 20
    web = str(tmp_path / "web.raw")
    assert digest == read_file(web, "/hello").decode() + md5sum(read_file(web, "/file"))


def counted(path, size):
    """What diskverify expects behind a disk: 64-bit words that count."""
    with open(path, "wb") as file:
        array.array("Q", range(size // 8)).tofile(file)


def compare_sectors(one, other, below):
    """Both disks had the same operations; where they differ, one has nothing and the other what is behind it."""
    for at in range(0, len(one), 512):
        a, b = one[at:at + 512], other[at:at + 512]
        assert a == b or (not any(a) and b == below[at:at + 512]), f"sector {at // 512}"


def all_kinds(m, name, count):
    """Serial numbers, and disks that are read only and slow, of whatever they are made."""
    letters = "abcd"[:count]
    assert m.run(f"for d in {' '.join(letters)}; do echo $(cat /sys/block/vd$d/serial); done").split() == [f"no-{i}" for i in range(count)]
    assert m.run(f"cat /sys/block/vd[{letters}]/ro").split() == ["1"] * count
    for d in letters:
        assert m.shell(f"dd if=/dev/zero of=/dev/vd{d} bs=4k count=1 conv=fsync")[0] != 0
    m.to_shell()
    for i in range(count):
        m.command(f"disk limit {name}/disk-{i} iops=100")
    m.line(f"console {name}")
    m.expect(rf"\[trapline: console of {name}")
    m.run(f"for d in {' '.join(letters)}; do (t=$(cut -d' ' -f1 /proc/uptime); dd if=/dev/vd$d of=/dev/null bs=4k count=60 iflag=direct; "
          "echo $t $(cut -d' ' -f1 /proc/uptime) >/time$d) 2>/dev/null & done; wait; true", 60)
    for line in m.run("cat /time?").strip().split("\n"):
        before, after = (float(word) for word in line.split())
        assert after - before > 0.4, line  # 60, less a burst of 10, at 100 a second
    assert m.run("ls /time? | wc -l").strip() == str(count)


def test_verified(machine, bundle, disk, tmp_path):
    """Random writes, zeros, discards and reads, four at a time, on raw, qcow2 and an overlay at once, each sector verified; again by
    another VM, which only reads them; and QEMU's tools find the images clean and the three disks the same."""
    size, image = 8 << 20, disk(1 << 20)
    parts = harness.make_partitions(image, 48 << 20, raw="8MiB", plain="10MiB", over="10MiB", base="10MiB")
    files = {name: str(tmp_path / name) for name in (*parts, "counted")}
    counted(files["counted"], size)
    qemu_img("create", "-q", "-f", "qcow2", "plain", str(size), cwd=tmp_path)
    qemu_img("convert", "-f", "raw", "-O", "qcow2", "counted", "base", cwd=tmp_path)
    qemu_img("create", "-q", "-f", "qcow2", "-b", "base", "-F", "qcow2", "over", cwd=tmp_path)
    for name in ("plain", "over", "base"):
        harness.copy_in(image, parts[name], files[name])
    initrd = harness.make_initrd(str(tmp_path / "verify.cpio"), [harness.linux_tool("diskverify")])
    disks = ["part:raw", "qcow2:plain", "qcow2:over"]
    readers = [f"{name}:ro:serial=no-{i}" for i, name in enumerate([*disks, files["plain"]])]
    guests = [vm(initrd=initrd, disks=disks), vm("again", initrd=initrd, disks=readers, autostart=False)]
    m = machine(bundle=bundle(*guests), disk=image, append="keep", harts=2)

    def verify(what):
        m.run("for d in 'vda 7 80' 'vdb 7 80' 'vdc 7 80 counted'; do "
              f"diskverify {what} /dev/$d >/$(echo $d | cut -c1-3) 2>&1 & done; wait; true", 120)
        assert m.run("cat /vda /vdb /vdc").split("\n")[:3] == ["diskverify: all as it must be: sectors 16384"] * 3

    m.boot()
    verify("write")
    m.to_shell()
    m.command("stop vm0")
    m.command("destroy vm0")
    m.command("create again")
    m.command("start again")
    m.line("console again")
    m.boot()
    verify("check")
    all_kinds(m, "again", 4)
    m.to_shell()
    m.line("poweroff now")
    m.expect_off()
    for name, place in parts.items():
        harness.copy_out(image, place, files[name])
    for name in ("plain", "over", "base"):
        qemu_img("check", "-f", "qcow2", name, cwd=tmp_path)
    qemu_img("compare", "-f", "raw", "-F", "qcow2", "raw", "plain", cwd=tmp_path)
    qemu_img("compare", "-f", "raw", "-F", "qcow2", "counted", "base", cwd=tmp_path)
    qemu_img("convert", "-f", "qcow2", "-O", "raw", "over", "over.raw", cwd=tmp_path)
    compare_sectors(*(open(str(path), "rb").read() for path in (files["raw"], tmp_path / "over.raw", files["counted"])))


def seconds_to_read(m, pieces):
    """How long a guest needs for so many pieces of 64 KiB of its second disk, by its own clock."""
    text = m.run("echo 1 >/proc/sys/vm/drop_caches; cut -d' ' -f1 /proc/uptime; "
                 f"dd if=/dev/vdb of=/dev/null bs=64k count={pieces} 2>/dev/null; cut -d' ' -f1 /proc/uptime", 120)
    before, after = (float(word) for word in text.split())
    return after - before


def test_limits_and_errors(machine, bundle, disk, tmp_path):
    """A rate holds; a full partition and a bad sector are errors for the guest and lines for the operator, no more."""
    image = disk(1 << 20)
    parts = harness.make_partitions(image, 64 << 20, thin="8MiB", slow="24MiB")
    qemu_img("create", "-q", "-f", "qcow2", "thin", "32M", cwd=tmp_path)
    harness.copy_in(image, parts["thin"], str(tmp_path / "thin"))
    guest = vm(disks=["qcow2:thin:serial=thin-1", "part:slow:bytes=2M:iops=1000", "host"])
    bad = disk(8 << 20)
    broken = ["-blockdev", f"driver=file,filename={bad},node-name=file1",
              "-blockdev", "driver=blkdebug,image=file1,node-name=bad1,inject-error.0.event=read_aio,"
              "inject-error.0.sector=8192,inject-error.0.errno=5",
              "-blockdev", "driver=raw,file=bad1,node-name=disk1", "-device", "virtio-blk-device,drive=disk1"]
    m = machine(bundle=bundle(guest), append="keep", args=broken + [
        "-drive", f"if=none,id=disk,format=raw,file={image}", "-device", "virtio-blk-device,drive=disk"])
    m.boot()
    bad_disk = m.run("for d in a b c; do [ $(blockdev --getsize64 /dev/vd$d) = 8388608 ] && echo vd$d; done; true").strip()
    assert bad_disk == "vdc", "the order of the host's disks has changed"
    assert m.run("echo $(cat /sys/block/vda/serial)").strip() == "thin-1"
    assert seconds_to_read(m, 192) > 3.5  # 12 MiB, less a burst of 4, at 2 a second
    m.to_shell()
    assert "no VM has a disk" in m.command("disk limit vm0/disk-3 iops=1")
    m.command("disk limit vm0/disk-1 bytes=1M iops=off")
    m.line("console vm0")
    m.expect(r"\[trapline: console of vm0")
    assert seconds_to_read(m, 104) > 2  # 6.5 MiB
    assert m.shell("dd if=/dev/vdc of=/dev/null bs=4k skip=1000 count=100", 60)[0] != 0
    m.run("dd if=/dev/vdc of=/dev/null bs=4k count=100")
    m.run("dd if=/dev/urandom of=/dev/vda bs=64k count=64 conv=fsync")
    assert m.shell("dd if=/dev/urandom of=/dev/vda bs=64k seek=64 count=400 conv=fsync", 120)[0] != 0
    m.run("dd if=/dev/vda of=/dev/null bs=64k count=64")
    m.to_shell()
    assert "disk thin: write at byte" in m.command("log") and "its partition is full" in m.command("log")
    m.line("poweroff now")
    m.expect_off()
    harness.copy_out(image, parts["thin"], str(tmp_path / "thin"))
    qemu_img("check", "-f", "qcow2", "thin", cwd=tmp_path)


def failing(path, name, rule):
    """A disk of the machine with errors as QEMU's blkdebug makes them."""
    return ["-blockdev", f"driver=file,filename={path},node-name=file-{name}",
            "-blockdev", f"driver=blkdebug,image=file-{name},node-name=bad-{name}," +
            ",".join(f"inject-error.0.{word}" for word in rule.split()),
            "-blockdev", f"driver=raw,file=bad-{name},node-name={name}", "-device", f"virtio-blk-device,drive={name}"]


def test_errors_of_the_host_disk(machine, bundle, disk, tmp_path):
    """Flushes that fail, and a sector that cannot be written: I/O errors for the guest, lines for the operator, images that
    qemu-img mends; another VM goes on."""
    disks, parts = {}, {}
    for name in ("good", "noflush", "nowrite"):
        disks[name] = disk(64 << 20)
        parts[name] = harness.make_partitions(disks[name], 64 << 20, **{name: "40MiB"})[name]
        qemu_img("create", "-q", "-f", "qcow2", name, "32M", cwd=tmp_path)
        harness.copy_in(disks[name], parts[name], str(tmp_path / name))
    sector = parts["nowrite"][0] // 512 + 20 * 128  # the image's 20th cluster, of the first that are written
    args = (failing(disks["noflush"], "noflush", "event=flush_to_disk iotype=flush errno=5") +
            failing(disks["nowrite"], "nowrite", f"event=write_aio iotype=write errno=5 sector={sector}"))
    guests = [vm("bad", disks=["qcow2:noflush", "qcow2:nowrite"]), vm("good", disks=["qcow2:good"], autostart=False)]
    m = machine(bundle=bundle(*guests), append="keep", disk=disks["good"], args=args)
    m.boot()
    write = "dd if=/dev/urandom of=/dev/vd{} bs=64k seek={} count={} conv=fsync"
    assert m.shell(write.format("a", 0, 8), 60)[0] != 0
    m.run(write.format("b", 0, 8), 60)
    assert m.shell(write.format("b", 8, 32), 60)[0] != 0
    m.run(write.format("b", 4, 1), 60)  # what has its place is written there
    m.run("echo 1 >/proc/sys/vm/drop_caches; dd if=/dev/vdb of=/dev/null bs=64k count=8")
    m.to_shell()
    log = m.command("log")
    assert re.search(r"disk noflush: (flush|write) at byte \d+: input/output error", log)
    assert re.search(r"disk nowrite: write at byte \d+: input/output error", log)
    m.command("start good")
    m.line("console good")
    m.boot()
    digest = m.run(FILL, 60)
    m.to_shell()
    m.line("poweroff now")
    m.expect_off()
    for name, place in parts.items():
        harness.copy_out(disks[name], place, str(tmp_path / name))
        status = subprocess.run(["qemu-img", "check", "-q", "-r", "leaks", "-f", "qcow2", name], cwd=tmp_path)
        assert status.returncode == 0, name
        qemu_img("convert", "-f", "qcow2", "-O", "raw", name, f"{name}.raw", cwd=tmp_path)
    fsck(str(tmp_path / "good.raw"))
    assert md5sum(read_file(str(tmp_path / "good.raw"), "/file")) == digest


# Each file is on the disk for sure before the next one is begun.
GENERATIONS = ("mount -o discard /dev/vda /mnt && for i in $(seq 1 12); do dd if=/dev/urandom of=/mnt/f$i bs=10k count=$((i * 3)) 2>/dev/null; "
               "md5sum </mnt/f$i >/mnt/m$i; sync; [ $((i % 4)) != 0 ] || rm /mnt/f$((i - 2)); done; umount /mnt")


def check_generations(raw):
    """What was sure before a later file came is there and right; how many files are."""
    names = subprocess.run(["/sbin/debugfs", "-R", "ls -p /", raw], check=True, capture_output=True, text=True).stdout
    found = {entry.split("/")[5] for entry in names.split("\n") if entry.count("/") > 5}
    last = max((int(name[1:]) for name in found if re.fullmatch(r"[fm]\d+", name)), default=0)
    for i in range(1, last):
        if f"f{i}" in found:
            assert md5sum(read_file(raw, f"/f{i}")) == read_file(raw, f"/m{i}").decode(), f"f{i} of {last}"
        else:
            assert i % 4 == 2 and last >= i + 2, f"f{i} of {last} is lost"
    return last


def test_power_cuts(machine, bundle, disk, file_system, tmp_path):
    """What QEMU logged of the host's disk is replayed up to many a write: ext4 on a qcow2 overlay survives all of them."""
    image, log = disk(1 << 20), disk(1 << 20)
    parts = harness.make_partitions(image, 128 << 20, template="64MiB", one="48MiB")
    source = file_system({"hello": "from the template\n"}, "64M")
    harness.copy_in(image, parts["template"], source)
    subprocess.run(["cp", source, str(tmp_path / "template")], check=True)
    qemu_img("create", "-q", "-f", "qcow2", "-b", "template", "-F", "raw", "one", cwd=tmp_path)
    harness.copy_in(image, parts["one"], str(tmp_path / "one"))
    replay = str(tmp_path / "replay")
    subprocess.run(["cp", "--sparse=always", image, replay], check=True)
    m = machine(bundle=bundle(vm(disks=["qcow2:one"])), append="keep", args=writelog.options(image, log))
    m.boot()
    m.run(GENERATIONS, 120)
    m.to_shell()
    m.line("poweroff now")
    m.expect_off()

    logged = list(writelog.entries(log))
    assert len(logged) > 200
    assert any(entry[0] & writelog.DISCARD and entry[2] for entry in logged)  # of files that were removed
    every, seen, leaks = len(logged) // 24, set(), 0
    with open(replay, "r+b") as file:
        for n, entry in enumerate(logged):
            writelog.apply(file, entry)
            if n % every and n != len(logged) - 1:
                continue
            file.flush()
            harness.copy_out(replay, parts["one"], str(tmp_path / "one"))
            status = subprocess.run(["qemu-img", "check", "-q", "-f", "qcow2", "one"], cwd=tmp_path, capture_output=True)
            assert status.returncode in (0, 3), f"after {n} writes: {status.stdout}{status.stderr}"
            leaks += status.returncode == 3
            qemu_img("convert", "-f", "qcow2", "-O", "raw", "one", "raw", cwd=tmp_path)
            raw = str(tmp_path / "raw")
            done = subprocess.run(["/sbin/e2fsck", "-f", "-y", raw], capture_output=True, text=True)
            assert done.returncode in (0, 1), done.stdout
            seen.add(check_generations(raw))
    assert 12 in seen and len(seen) > 5
    with open(image, "rb") as one, open(replay, "rb") as other:
        assert one.read() == other.read()
