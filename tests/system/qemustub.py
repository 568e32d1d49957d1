# SPDX-License-Identifier: BSD-2-Clause
"""A few words of gdb's remote protocol, to QEMU's stub: a machine that is stopped at an instruction, and CSRs that a
test changes there. Give the machine `-S` and `-gdb unix:PATH,server=on,wait=off`."""
import re
import socket
import time

PATIENCE = 20


class Stub:
    def __init__(self, path):
        end = time.monotonic() + PATIENCE
        while True:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(PATIENCE)
            try:
                self.socket.connect(path)
                break
            except OSError:  # QEMU is not that far
                self.socket.close()
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)
        self.buffer = b""
        self.ask("qSupported:xmlRegisters=riscv")
        self.numbers = None

    def ask(self, text):
        """A packet, and the answer to it."""
        self.socket.sendall(b"$%s#%02x" % (text.encode(), sum(text.encode()) & 255))
        while not (packet := re.search(rb"\$([^#]*)#..", self.buffer, re.S)):
            data = self.socket.recv(65536)
            if not data:
                raise AssertionError("QEMU's stub has closed the connection")
            self.buffer += data
        self.buffer = self.buffer[packet.end():]
        self.socket.sendall(b"+")
        return re.sub(rb"\}(.)", lambda m: bytes([m[1][0] ^ 0x20]), packet[1], flags=re.S).decode()

    def expect_ok(self, text):
        answer = self.ask(text)
        assert answer == "OK", f"{text}: {answer}"

    def run_to(self, address):
        self.expect_ok(f"Z1,{address:x},4")
        stopped = self.ask("c")
        assert stopped.startswith("T05"), stopped
        self.expect_ok(f"z1,{address:x},4")

    def _number(self, csr):
        if self.numbers is None:
            text = ""
            while not text.endswith("</feature>"):
                text += self.ask(f"qXfer:features:read:riscv-csr.xml:{len(text):x},800")[1:]
            self.numbers = {name: int(n) for name, n in re.findall(r'name="(\w+)"[^>]*regnum="(\d+)"', text)}
        return self.numbers[csr]

    def csr(self, name):
        return int.from_bytes(bytes.fromhex(self.ask(f"p{self._number(name):x}")), "little")

    def set_csr(self, name, value):
        self.expect_ok(f"P{self._number(name):x}={value.to_bytes(8, 'little').hex()}")
        assert self.csr(name) == value

    def let_go(self):
        self.expect_ok("D")
        self.socket.close()
