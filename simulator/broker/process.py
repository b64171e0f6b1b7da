"""One child process that cannot outlive us, and the signals it is given.

In:      a command line, a file for what it says.
Out:     a pid, an exit code.
Errors:  BrokerUnavailable when the program cannot be started at all.

It has a process group of its own, so that Ctrl-C in a terminal reaches us and not it. Should we be killed, a shell that
reads a pipe from us sees its end and kills the child: unlike PR_SET_PDEATHSIG this does not depend on which thread
started it, and needs no code between fork and exec.
"""

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from simulator.broker.errors import BrokerUnavailable

# Java reads and writes file names in the locale's encoding, and cannot find a folder that it cannot spell.
_UTF_8 = {"LC_ALL": "C.UTF-8"}
_GUARD = 'read -r _; kill -KILL "$1" 2>/dev/null'


class GuardedProcess:
    """A running child and its guard."""

    def __init__(self, command: Sequence[str], *, output: Path, directory: Path) -> None:
        try:
            with output.open("ab") as log:
                self._child = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=directory,
                    env=os.environ | _UTF_8,
                    process_group=0,
                )
        except OSError as error:
            raise BrokerUnavailable(
                f"{error.filename or command[0]} cannot be used ({error.strerror}): run `make setup` again."
            ) from error
        self.pid = self._child.pid
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "guard", str(self.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )

    def exit_code(self) -> int | None:
        """None while it lives. Once it does not, the guard is dismissed: its pid may soon be somebody else's."""
        code = self._child.poll()
        if code is not None:
            self._dismiss_guard()
        return code

    def send(self, number: int) -> None:
        """A signal; to a dead process nothing happens."""
        self._child.send_signal(number)

    def end(self, grace_s: float) -> int:
        """SIGTERM, and SIGKILL if that is not enough; reaps."""
        if self._child.poll() is None:
            self.send(signal.SIGCONT)  # a stopped process hears no SIGTERM
            self.send(signal.SIGTERM)
            try:
                self._child.wait(grace_s)
            except subprocess.TimeoutExpired:
                self.send(signal.SIGKILL)
        return self.reap()

    def reap(self) -> int:
        """Wait for the end of a process that was told to end."""
        code = self._child.wait()
        self._dismiss_guard()
        return code

    def _dismiss_guard(self) -> None:
        if self._guard.returncode is None:
            self._guard.kill()
            self._guard.wait()
            assert self._guard.stdin is not None
            self._guard.stdin.close()
