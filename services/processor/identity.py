"""Who this processor is: an identity minted once per directory, and a lock that a living process holds.

In:      DIR.
Out:     DIR/identity.json `{identity, member_id}`: the name of its producer, and its last name in the group, by
         which a successor evicts it. DIR/identity.lock, held by the kernel until the process is gone.
Errors:  IdentityTaken, one sentence, when another process lives in the same directory.
Source:  DESIGN, "No static membership".
"""

import fcntl
import os
import uuid
from pathlib import Path
from typing import Any

import orjson


class IdentityTaken(Exception):  # it says what the matter is
    """Another living process has this directory."""


class Identity:
    """Take it by `claim`; it is ours until `release`, or until the process ends, however it ends."""

    def __init__(self, folder: Path, lock: int, name: str, predecessor: str | None) -> None:
        self._folder = folder
        self._lock = lock
        self.name = name
        self.predecessor = predecessor

    @classmethod
    def claim(cls, folder: Path) -> "Identity":
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / "identity.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise IdentityTaken(
                f"Another processor is running in {folder}; give this one a directory of its own."
            ) from None
        known = _read(folder / "identity.json")
        made = cls(folder, lock, known.get("identity") or uuid.uuid4().hex, known.get("member_id"))
        made._write(made.predecessor)
        return made

    def remember(self, member_id: str) -> None:
        """Keep our name in the group for whoever comes after us."""
        self._write(member_id)

    def release(self) -> None:
        os.close(self._lock)

    def _write(self, member_id: str | None) -> None:
        new = self._folder / "identity.json.new"
        new.write_bytes(orjson.dumps({"identity": self.name, "member_id": member_id}))
        new.replace(self._folder / "identity.json")


def _read(file: Path) -> dict[str, Any]:
    try:
        known = orjson.loads(file.read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return {}
    return known if isinstance(known, dict) else {}
