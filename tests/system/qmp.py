# SPDX-License-Identifier: BSD-2-Clause
"""A client of the machine protocol, as small as one can be: one message a line each way."""
import json
import socket
import time


class Client:
    """Connects to the Unix socket that QEMU made of a control port, and negotiates."""

    def __init__(self, path, timeout=30, negotiate=True):
        self.events = []
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout)
        deadline = time.monotonic() + timeout
        while True:
            try:
                self._socket.connect(path)
                break
            except (FileNotFoundError, ConnectionRefusedError):  # QEMU is still starting
                if time.monotonic() > deadline:
                    raise
        self._file = self._socket.makefile("r", encoding="utf-8", newline="\r\n")
        self.greeting = self.receive()
        if negotiate:
            assert self.execute("qmp_capabilities") == {}

    def receive(self):
        line = self._file.readline()
        if not line.endswith("\r\n"):
            raise EOFError(f"the session ended: {line!r}")
        return json.loads(line)

    def send(self, text):
        self._socket.sendall(text.encode())

    def ask(self, message):
        """Sends a message; the answer to it. Events that come before it are kept."""
        self.send(json.dumps(message) + "\n")
        while True:
            answer = self.receive()
            if "event" not in answer:
                return answer
            self.events.append(answer)

    def execute(self, command, **arguments):
        answer = self.ask({"execute": command, "arguments": {k.replace("_", "-"): v for k, v in arguments.items()}})
        if "error" in answer:
            raise RuntimeError(answer["error"]["desc"])
        return answer["return"]

    def event(self, name):
        """The next event of this name."""
        while True:
            for i, event in enumerate(self.events):
                if event["event"] == name:
                    del self.events[: i + 1]
                    return event["data"]
            self.events.append(self.receive())

    def close(self):
        self._file.close()
        self._socket.close()
