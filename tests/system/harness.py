# SPDX-License-Identifier: BSD-2-Clause
"""Drives one emulated machine in a test.

A Machine is QEMU started for Trapline with a bundle, or for a guest's kernel alone on OpenSBI (native,
for comparison). What its serial line prints is collected and logged; `expect` waits, always bounded,
never by sleeping; `close` ends the machine, by its process group. QEMU is under `timeout -k` besides,
so it ends even when the test does not.
"""
import contextlib
import hashlib
import os
import re
import shutil
import signal
import socketserver
import struct
import subprocess
import threading
import time

import executed

TOP = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
BUILD = os.path.join(TOP, "build")
LOGS = os.path.join(BUILD, "test-logs")
QEMU = os.environ.get("QEMU") or os.path.join(BUILD, "bin", "qemu-system-riscv64")
FIRMWARE = os.path.join(BUILD, "firmware", "fw_dynamic.bin")
TRAPLINE = os.path.join(BUILD, "trapline.bin")
ELF = os.path.join(BUILD, "trapline.elf")
DEBUG = os.path.join(BUILD, "debug", "trapline.bin")  # make DEBUG=1: more checks
LINUX = os.path.join(BUILD, "linux", "Image")
INITRD = os.path.join(BUILD, "linux", "initrd.cpio")
BOOTARGS = "earlycon=sbi console=hvc0"
USERSPACE = r"trapline-guest: userspace up"
PROMPT = r"guest:\S*# "
SHELL_PROMPT = r"trapline> "
ESCAPE = b"\x1d"  # Ctrl-]: on to the next console
COVERAGE = os.environ.get("COVERAGE")  # a folder: what ran of the hypervisor is left there (ci/coverage)

# All limits are for an idle machine of this project's size; a slower one can be given more.
FACTOR = float(os.environ.get("TIMEOUT_FACTOR", "1"))


class Machine:
    """An emulated machine that is running; use it in a `with`, or through the fixture `machine`."""

    def __init__(
        self, name, bundle=None, kernel=TRAPLINE, harts=1, mem="1G", cpu="rv64", machine="virt",
        append="", disk=None, icount=False, args=(), limit=180,
    ):
        assert os.path.exists(kernel), f"{kernel} is missing (`make system` builds all; `make DEBUG=1 trapline`)"
        os.makedirs(LOGS, exist_ok=True)
        self.log_path = os.path.join(LOGS, f"{name}.log")
        self._stderr_path = os.path.join(LOGS, f"{name}.stderr")
        self.output = ""
        self._rest = b""  # an escape sequence or character that has come in part
        self._at = 0  # expect() looks from here on
        self._commands = 0
        self._changed = threading.Condition()
        self._ended = False
        command = [
            "timeout", "-k", "5", str(limit * FACTOR), QEMU,
            "-M", machine, "-cpu", cpu, "-smp", str(harts), "-m", mem,
            "-display", "none", "-monitor", "none", "-serial", "stdio",
            "-bios", FIRMWARE, "-kernel", kernel, "-append", append,
        ]
        if machine.startswith("virt"):
            command += ["-global", "virtio-mmio.force-legacy=false", "-device", "virtio-rng-device"]
        if bundle:
            command += ["-initrd", bundle]
        if icount:
            command += ["-icount", f"shift={0 if icount is True else icount},sleep=off"]
        if disk:
            command += ["-drive", f"if=none,id=disk,format=raw,file={disk}",
                        "-device", "virtio-blk-device,drive=disk"]
        command += args
        self._trace = os.path.join(COVERAGE, f"{name}.trace") if COVERAGE and kernel == TRAPLINE else None
        if self._trace:
            command += executed.options(ELF, self._trace)
        self._log = open(self.log_path, "wb")
        self._log.write((" ".join(command) + "\n").encode())
        self.started = time.monotonic()
        # QEMU's own messages have a file of their own: among the console's text they would tear its lines.
        with open(self._stderr_path, "wb") as stderr:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, start_new_session=True,
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        while True:
            data = os.read(self._process.stdout.fileno(), 65536)
            with self._changed:
                if not data:
                    self._ended = True
                    self._changed.notify_all()
                    return
                self._log.write(data)
                self._log.flush()
                self.output += self._text(data)
                self._changed.notify_all()

    def _text(self, data):
        """What a person would read: without carriage returns and terminal control sequences."""
        data = self._rest + data
        part = re.search(rb"(\x1b(\[[0-9;?]*)?|[\xc0-\xff][\x80-\xbf]{0,2})$", data)
        self._rest = part.group() if part else b""
        whole = data[: len(data) - len(self._rest)].decode(errors="replace")
        return re.sub(r"\x1b(\[[0-9;?]*[A-Za-z])?|\r", "", whole)

    # --- what tests use ---

    def expect(self, pattern, timeout=30, fail=r"PANIC|Kernel panic|Oops|trapline: panic"):
        """Waits until the regular expression comes, after what was matched before; the match.

        Fails at once when `fail` comes first, or the machine ends; after `timeout` seconds otherwise.
        """
        deadline = time.monotonic() + timeout * FACTOR
        wanted = re.compile(pattern, re.M)
        unwanted = re.compile(fail, re.M) if fail else None
        with self._changed:
            while True:
                match = wanted.search(self.output, self._at)
                bad = unwanted.search(self.output, self._at) if unwanted else None
                if match and not (bad and bad.start() < match.start()):
                    self._at = match.end()
                    return match
                if bad:
                    raise AssertionError(self._report(f"{bad.group()!r} came before /{pattern}/"))
                if self._ended:
                    raise AssertionError(self._report(f"the machine ended before /{pattern}/"))
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(self._report(f"no /{pattern}/ in {timeout} s"))
                self._changed.wait(left)

    def send(self, data):
        """Types text or bytes on the machine's console."""
        self._process.stdin.write(data if isinstance(data, bytes) else data.encode())
        self._process.stdin.flush()

    def line(self, text):
        self.send(text + "\n")

    def shell(self, command, timeout=30):
        """Runs a command in the guest's shell; (exit status, output). The shell must be at its prompt."""
        # The marks are quoted apart, so that the echo of the line is none, and numbered, so that a console that
        # shows again what it had shown has none either.
        self._commands += 1
        n = self._commands
        self.line(f"echo 'BEG''IN' {n}; {command}; echo 'EN''D' {n} $?")
        self.expect(rf"^BEGIN {n}\n")
        start = self._at
        match = self.expect(rf"^END {n} (\d+)\n", timeout)
        self.expect(PROMPT)
        return int(match.group(1)), self.output[start : match.start()]

    def run(self, command, timeout=30):
        """Like shell(), and fails when the command does; its output."""
        status, text = self.shell(command, timeout)
        assert status == 0, self._report(f"{command!r} ended with {status}:\n{text}")
        return text

    def to_shell(self, presses=100):
        """Goes on to Trapline's own shell, from whatever console has the terminal."""
        if "[trapline: " not in self.output:  # what is typed sooner may be lost, and the first console comes unasked
            self.expect(r"\[trapline: |trapline> ", 60)
        for _ in range(presses):
            self._at = len(self.output)
            self.send(ESCAPE)
            # Without any VM's console the shell keeps the terminal and says nothing.
            banner = self._came(r"\[trapline: (shell|console of ).*\]", 5)
            if banner and banner.group(1) != "shell":
                continue
            # The shell shows again what it had shown: only the answer to a new line is surely the shell's, and now's.
            self._commands += 1
            self.line(f"help here-{self._commands}")
            if self._came(f"no command here-{self._commands}\n", 10):
                self.expect(SHELL_PROMPT)
                return
        raise AssertionError(self._report("Trapline's shell does not come"))

    def _came(self, pattern, timeout):
        """As expect(), but None when the pattern does not come in time."""
        try:
            return self.expect(pattern, timeout)
        except AssertionError:
            if self._ended:
                raise
            return None

    def command(self, command, timeout=30):
        """Runs a command of Trapline's shell, which must have the terminal; what it printed."""
        self.line(command)
        self.expect(re.escape(command) + r"\s*\n")
        start = self._at
        match = self.expect(SHELL_PROMPT, timeout)
        return self.output[start : match.start()]

    def boot(self, timeout=60):
        """Waits for the Debian guest's shell, and keeps the kernel's messages off its console."""
        self.expect(USERSPACE, timeout)
        self.expect(PROMPT, timeout)
        self.run("dmesg -n 1")

    def expect_off(self, timeout=30):
        """Waits until the machine has powered itself off."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended, timeout * FACTOR)
            if not self._ended:
                raise AssertionError(self._report(f"not powered off in {timeout} s"))
        status = self._process.wait(10)
        assert status == 0, self._report(f"QEMU ended with status {status}")

    def close(self):
        if self._process.poll() is None:
            # The session that this object started: timeout and QEMU, nothing else.
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join(10)
        self._process.stdin.close()
        self._process.stdout.close()
        self._log.close()
        if self._trace and os.path.exists(self._trace):
            with open(f"{self._trace[:-6]}.ran", "w") as file:
                file.writelines(f"{a:#x}\n" for a in sorted(executed.addresses(ELF, self._trace)))
            os.remove(self._trace)

    def _report(self, what):
        tail = "\n".join(self.output.splitlines()[-25:])
        with open(self._stderr_path, errors="replace") as file:
            stderr = file.read()[-1000:]
        if stderr:
            tail += f"\n--- QEMU's own messages\n{stderr}"
        return f"{what}\n--- end of the console (all: {os.path.relpath(self.log_path, TOP)})\n{tail}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@contextlib.contextmanager
def serving(handler, kind=socketserver.ThreadingTCPServer):
    """A server on this machine, which is 10.0.2.2 for one on QEMU's user network, meanwhile; its port."""
    with kind(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def vm(name="vm0", kernel=LINUX, initrd=INITRD, bootargs=BOOTARGS, vcpus=1, ram="256M", disks=(),
       console="virtio", autostart=True, watchdog=False, nets=()):
    """The words for tools/mkbundle that describe one VM."""
    words = ["--vm", name, "--kernel", kernel, "--vcpus", str(vcpus), "--ram", ram, "--console", console]
    if initrd:
        words += ["--initrd", initrd]
    if bootargs is not None:
        words += [f"--bootargs={bootargs}"]
    for disk in disks:
        words += ["--disk", disk]
    for net in nets:
        words += ["--net", net]
    if watchdog:
        words.append("--watchdog")
    return words if autostart else words + ["--no-autostart"]


def working_debian(rounds):
    """Boot arguments of a Debian guest that computes, checks it, prints "sums are right", and ends."""
    total = hashlib.sha256("".join(f"{n}\n" for n in range(1, 20001)).encode()).hexdigest()
    return (f'console=hvc0 tl.cmd="for i in $(seq {rounds}); do seq 20000 | sha256sum | grep -q ^{total} || exit 1; '
            'done; echo sums are right" tl.then=poweroff')


def make_bundle(path, *vms, hash_name="crc32", switches=()):
    command = [os.path.join(TOP, "tools", "mkbundle"), path, "--hash", hash_name]
    for switch in switches:
        command += ["--switch", switch]
    for words in vms:
        command += words
    subprocess.run(command, check=True)
    return path


def make_initrd(path, add=(), modules=(), program=None):
    """An initrd with more in it: add, words such as "bin/tool=FILE"; modules of the kernel to be loaded; a program with
    its libraries, "ROOT=PATH"."""
    linux = os.path.join(BUILD, "linux")
    command = [os.path.join(TOP, "guests", "linux", "mkinitrd"), os.path.join(linux, "busybox"),
               os.path.join(linux, "modules"), path]
    for word in add:
        command += ["--add", word]
    for name in modules:
        command += ["--module", name]
    if program:
        command += ["--program", program]
    subprocess.run(command, check=True)
    return path


def linux_tool(name):
    """A program of guests/linux-tools, as make_initrd's add takes it."""
    return f"bin/{name}={os.path.join(BUILD, 'guests', 'linux-tools', name)}"


def image_at(path, address, image=TRAPLINE):
    """An ELF file that makes QEMU load and enter a flat image at an address of one's own."""
    with open(image, "rb") as file:
        data = file.read()
    in_memory = max(len(data), int.from_bytes(data[16:24], "little"))  # the header's image_size
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 243, 1, address, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    segment = struct.pack("<IIQQQQQQ", 1, 7, 4096, address, address, len(data), in_memory, 4096)
    with open(path, "wb") as file:
        file.write((header + segment).ljust(4096, b"\0") + data)
    return path


def control_ports(paths):
    """QEMU's arguments for a machine whose control ports are these sockets."""
    args = ["-device", "virtio-serial-device,max_ports=8"]
    for i, path in enumerate(paths):
        args += ["-chardev", f"socket,id=c{i},path={path},server=on,wait=off",
                 "-device", f"virtserialport,chardev=c{i},name=trapline.control.{i}"]
    return args


def device_tree(path, edit, machine="virt", **options):
    """The tree that QEMU would give, with edit(text) done to its source; for args=["-dtb", path]. The options are
    Machine's harts, mem, cpu, which must be the same there."""
    command = [QEMU, "-display", "none", "-M", f"{machine},dumpdtb={path}",
               "-smp", str(options.get("harts", 1)), "-m", options.get("mem", "1G"), "-cpu", options.get("cpu", "rv64")]
    subprocess.run(["timeout", "-k", "5", "30"] + command, check=True, capture_output=True)
    text = subprocess.run(["dtc", "-q", "-I", "dtb", "-O", "dts", path], check=True, capture_output=True, text=True)
    changed = edit(text.stdout)
    assert changed != text.stdout
    subprocess.run(["dtc", "-q", "-I", "dts", "-O", "dtb", "-o", path], check=True, input=changed, text=True)
    return path


def make_disk(path, size):
    with open(path, "wb") as file:
        file.truncate(size)
    return path


def make_partitions(path, size, **partitions):
    """A disk image with a GPT: name=size (as sfdisk's: "8MiB") each; {name: (first byte, bytes)}."""
    make_disk(path, size)
    table = "label: gpt\n" + "".join(f"size={size}, name={name}\n" for name, size in partitions.items())
    sfdisk = ["/sbin/sfdisk", "-q", path]
    subprocess.run(sfdisk, input=table, text=True, check=True)
    return partitions_of(path)


def partitions_of(path):
    dump = subprocess.run(["/sbin/sfdisk", "-d", path], capture_output=True, text=True, check=True).stdout
    found = re.findall(r'start= *(\d+), size= *(\d+),.* name="([^"]*)"', dump)
    return {name: (int(start) * 512, int(size) * 512) for start, size, name in found}


def copy_in(disk, place, path):
    """A file into the beginning of a partition, (first byte, bytes)."""
    with open(disk, "r+b") as file, open(path, "rb") as source:
        data = source.read()
        assert len(data) <= place[1]
        file.seek(place[0])
        file.write(data)


def copy_out(disk, place, path):
    """A partition, (first byte, bytes), as a file of its own."""
    with open(disk, "rb") as file, open(path, "wb") as out:
        file.seek(place[0])
        out.write(file.read(place[1]))
    return path


def ready():
    """What is missing for the system tests, or None."""
    for path in (QEMU, FIRMWARE, LINUX, INITRD):
        if not (os.path.exists(path) or shutil.which(path)):
            return f"{path} is missing: run `sh tools/setup test`, or `make system`"
    return None
