"""The key store: a copy of what `keys` and `charges` say, so that a restart reads only what it missed.

In:      per partition the bytes of the domain's records, and how far into the log they reach.
Out:     those bytes again; nothing here decodes them.
Units:   offsets of `keys` and `charges`.
Errors:  those of the disk. The log is the truth: whatever is lost here is read again from there.
Source:  DESIGN, "Exactly once": one batch with the positions, topic ids, another log wipes it.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol


class Reach(NamedTuple):
    """How far one partition's copy reaches: everything below these offsets is in it."""

    keys: int
    charges: int
    cursor: int  # of `keys`: everything below it has been looked at for expiry


NOTHING = Reach(0, 0, 0)


class Change(NamedTuple):
    """What one partition's copy becomes; a value of None forgets the key."""

    writes: Mapping[bytes, bytes | None]
    reach: Reach


class KeyStore(Protocol):
    """`apply` may run in another thread while `get` is asked for other keys than those being written."""

    def open(self, topic_ids: Mapping[str, str]) -> bool:
        """Say which log this is to be a copy of; True when it was another's and all of it was wiped."""

    def reach(self, partition: int) -> Reach:
        """NOTHING for a partition that was never written, or wiped."""

    def get(self, partition: int, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """The values of those keys that are there."""

    def apply(self, changes: Mapping[int, Change]) -> None:
        """All of it or nothing, also when the process is killed meanwhile.

        A kill may take applies away again, the newest first: whatever is left is whole, and the reach says how far
        it goes.
        """

    def flush(self, *, wait: bool = True) -> None:
        """What was applied outlives a kill once this is done; without `wait` it returns when that is begun."""

    def wipe(self, partition: int) -> None: ...

    def close(self) -> None: ...
