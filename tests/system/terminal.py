# SPDX-License-Identifier: BSD-2-Clause
"""trapctl as people use it: in a terminal of a given size, whose screen is what a person would see; and as scripts do."""
import os
import signal
import subprocess
import termios
import time

import pexpect
import pyte

from harness import BUILD, FACTOR, TOP

TRAPCTL = os.path.join(BUILD, "trapctl")
LOOK = 0.05  # seconds after which a condition that is not about the terminal is looked at again
CHECKED = os.path.join(BUILD, "unit", "trapctl")  # the same under the sanitizers
OK, REFUSED, USAGE, CONNECT, LOST, LOCAL = range(6)  # its exit codes


def run(*words, program=CHECKED, cwd="/", env=None, stdin=None, timeout=60):
    """Without a terminal: (exit code, standard output, standard error)."""
    assert os.path.exists(program), f"{program} is missing (`make system` builds it)"
    done = subprocess.run([program, *words], cwd=cwd, env=environment(env), input=stdin, capture_output=True,
                          text=True, timeout=timeout * FACTOR, check=False,
                          **({} if stdin is not None else {"stdin": subprocess.DEVNULL}))
    return done.returncode, done.stdout, done.stderr


def good(result):
    """What it printed, where it ended well and had nothing to say against it; result is run()'s."""
    code, out, err = result
    assert code == OK and err == "", f"{code}: {out}{err}"
    return out


def environment(more=None):
    env = {k: v for k, v in os.environ.items() if k not in ("TRAPCTL_CONNECT", "XDG_RUNTIME_DIR", "XDG_STATE_HOME")}
    return {**env, "TERM": "xterm-256color", "HOME": "/dev/null", **(more or {})}


def fresh_settings():
    """Of a terminal that nobody has used."""
    ends = os.openpty()
    settings = termios.tcgetattr(ends[0])
    for end in ends:
        os.close(end)
    return settings


class Terminal:
    """A program in a terminal."""

    def __init__(self, *words, program=CHECKED, columns=100, rows=30, cwd="/", env=None):
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.text = b""  # all that it ever wrote
        self.child = pexpect.spawn(words[0] if program is None else program, list(words[1:] if program is None else words),
                                   dimensions=(rows, columns), cwd=cwd, env=environment(env), timeout=30 * FACTOR,
                                   # Tests that run in the background ignore Ctrl-C, and would hand that down.
                                   preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        self.child.delaybeforesend = None
        self.before = fresh_settings()  # the program may have changed its own already

    def settings(self):
        """Of the terminal: what has to be the same afterwards."""
        return termios.tcgetattr(self.child.child_fd)

    def lines(self):
        return [line.rstrip() for line in self.screen.display]

    def shows(self, what):
        return any(what in line for line in self.lines())

    def _read(self, deadline):
        """Takes what comes; False: nothing in time. EOFError at the end."""
        try:
            data = self.child.read_nonblocking(65536, timeout=max(0, deadline - time.monotonic()))
        except pexpect.TIMEOUT:
            return False
        except pexpect.EOF:
            raise EOFError from None
        self.text += data
        self._stream.feed(data)
        return True

    def until(self, holds, timeout=30):
        """Waits until holds() is true, of the screen or of something else; fails with the screen."""
        deadline = time.monotonic() + timeout * FACTOR
        ended = False
        while not holds():
            assert not ended and time.monotonic() < deadline, "the screen is:\n" + "\n".join(self.lines())
            try:
                self._read(min(deadline, time.monotonic() + LOOK))
            except EOFError:
                ended = True

    def expect(self, what, timeout=30):
        self.until(lambda: self.shows(what), timeout)

    def send(self, text):
        self.child.send(text)

    def resize(self, columns, rows):
        self.screen.resize(rows, columns)
        self.child.setwinsize(rows, columns)

    def end(self, timeout=30):
        """Waits for its end; the exit code, or the negative number of the signal that ended it."""
        deadline = time.monotonic() + timeout * FACTOR
        try:
            while self._read(deadline):
                pass
            raise AssertionError("it does not end; the screen is:\n" + "\n".join(self.lines()))
        except EOFError:
            self.child.wait()
        return self.child.exitstatus if self.child.signalstatus is None else -self.child.signalstatus

    def close(self):
        self.child.close(force=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def bash(cwd, env=None, columns=100, rows=30):
    """An interactive bash that has trapctl's completion."""
    path = f"{BUILD}:{os.environ['PATH']}"
    shell = Terminal("bash", "--norc", "--noprofile", "-i", program=None, cwd=cwd, columns=columns, rows=rows,
                     env={"PATH": path, "PS1": "starts> ", **(env or {})})
    shell.expect("starts>")
    # The prompt of before must not be taken for the one that comes when all is read and cleared.
    shell.send(f". {TOP}/tools/trapctl/trapctl.bash; PS1='ready> '; clear\r")
    shell.until(lambda: shell.lines()[0] == "ready>")
    return shell
