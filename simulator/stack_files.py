"""What a stack keeps in its directory: the lock, the API keys, stack.json; and the ports it holds.

In:      a directory.
Out:     DIR/stack.lock (held while the stack lives), DIR/api-keys.json (survives restarts), DIR/stack.json
         (true at every moment: replaced as a whole, never written in place).
Errors:  Failure, one sentence each.
Source:  CONTRACT, `payonce up`; socket(7) on SO_REUSEADDR.
"""

import fcntl
import json
import os
import re
import secrets
import socket
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simulator.failure import Failure, UsageFailure

STACK_FILE = "stack.json"
LOCK_FILE = "stack.lock"
LOCK_ATTEMPTS, LOCK_PAUSE_S = 5, 0.02  # is_stack_running holds it for microseconds
MERCHANT_ID = re.compile(r"[a-z0-9_]{1,64}")


class DirectoryLock:
    """One stack per directory, for as long as this process lives; the kernel lets go when it is killed."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / LOCK_FILE
        self._file: int | None = None

    def acquire(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise UsageFailure(f"{self._path.parent} is not a directory.") from None
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        if not self._locked(self._file):
            holder = os.pread(self._file, 32, 0).decode(errors="replace").strip() or "unknown"
            self.release()
            raise UsageFailure(
                f"A stack (process {holder}) runs in {self._path.parent} already: stop it or name another."
            )
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    @staticmethod
    def _locked(file: int) -> bool:
        for _ in range(LOCK_ATTEMPTS):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(LOCK_PAUSE_S)
            else:
                return True
        return False

    def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


class HeldPort:
    """A port that nobody else is given while our child is dead: bound with SO_REUSEADDR, never listening.

    The kernel lets a child that also sets SO_REUSEADDR bind and listen beside it, and gives the port to no
    bind(0) and to no outgoing connection. Meanwhile a client is refused, as it is by any dead server.
    """

    def __init__(self, host: str, port: int = 0) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((host, port))
        except OSError as error:
            self._socket.close()
            raise Failure(f"Cannot listen on {host}:{port}: {error.strerror}.") from None
        self.host = host
        self.port: int = self._socket.getsockname()[1]
        if sys.platform != "linux":  # elsewhere a bound port is taken, even for whoever allows reuse
            self._socket.close()

    def close(self) -> None:
        self._socket.close()


def write_atomically(path: Path, text: str) -> None:
    """Replace a file as a whole, readable by its owner only: a reader sees the old text or the new one."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_api_keys(path: Path) -> dict[str, str]:
    """Merchant ids to API keys, checked."""
    try:
        keys = json.loads(path.read_text())
    except FileNotFoundError:
        raise UsageFailure(f"There is no file of API keys at {path}.") from None
    except (OSError, ValueError) as error:
        raise UsageFailure(f"The file of API keys {path} cannot be read: {error}.") from None
    if not isinstance(keys, dict) or not keys:
        raise UsageFailure(f"The file of API keys {path} must be a JSON object of merchant ids to keys.")
    for merchant_id, key in keys.items():
        if not MERCHANT_ID.fullmatch(merchant_id) or not isinstance(key, str) or not key:
            raise UsageFailure(f"The file of API keys {path} has a bad entry for {merchant_id!r}.")
    if len(set(keys.values())) != len(keys):
        raise UsageFailure(f"The file of API keys {path} gives one key to two merchants.")
    return keys


def keep_api_keys(path: Path, merchants: int) -> dict[str, str]:
    """Keys for merchant_1 .. merchant_N, made once and kept: those already in the file stay as they are."""
    keys = read_api_keys(path) if path.exists() else {}
    missing = [f"merchant_{n}" for n in range(1, merchants + 1) if f"merchant_{n}" not in keys]
    if missing:
        keys |= {merchant_id: f"sk_test_{secrets.token_hex(16)}" for merchant_id in missing}
        write_atomically(path, json.dumps(keys, indent=2) + "\n")
    return keys


def is_stack_running(directory: Path) -> bool:
    """Whether a live process holds the directory; a stack.json may have outlived its stack."""
    try:
        with (directory / LOCK_FILE).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def write_stack(directory: Path, stack: Mapping[str, Any]) -> None:
    write_atomically(directory / STACK_FILE, json.dumps(stack, indent=2) + "\n")


def read_stack(path: Path) -> dict[str, Any]:
    """The stack.json of a running stack, from its directory or the file itself."""
    file = path / STACK_FILE if path.is_dir() else path
    try:
        stack = json.loads(file.read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise Failure(f"No stack is running here ({file} does not exist): start one with `payonce up`.") from None
    except (OSError, ValueError) as error:
        raise Failure(f"{file} cannot be read: {error}.") from None
    if not isinstance(stack, dict) or "gateway_urls" not in stack:
        raise UsageFailure(f"{file} is not the stack.json of a stack.")
    return stack


def read_target(path: Path) -> dict[str, Any]:
    """The stack that --target names; where there is none, the option was given wrongly."""
    try:
        return read_stack(path)
    except Failure as failure:
        raise UsageFailure(str(failure)) from None
