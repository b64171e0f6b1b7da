"""Goes over a topic once more, and leaves out the records of commands that were acquitted.

In:      of every record that was found its offset and its command; which commands are suspect.
Out:     entries, each with the partition's clock as far as acquitted commands tell it.
Units:   offsets, not places: compaction may have removed records since.
"""

from collections.abc import Sequence

from simulator.audit.log import Batch, Entry, Fate
from simulator.audit.matching import NOBODY


class Walk:
    """`rest` of one record batch after the other, in order."""

    def __init__(
        self, offsets: Sequence[int], owners: Sequence[int], is_suspect: bytearray, clocks: Sequence[int]
    ) -> None:
        self._offsets, self._owners, self._is_suspect, self._clocks = offsets, owners, is_suspect, clocks
        self._at = self._clock = 0

    def rest(self, batch: Batch) -> list[Entry]:
        """Those that are to be examined."""
        if batch.fate is not Fate.COMMITTED:
            return batch.entries()
        found = []
        for at, offset in enumerate(batch.offsets):
            owner = self._owner(offset)
            if owner != NOBODY:
                self._clock = max(self._clock, self._clocks[owner])
            if owner == NOBODY or self._is_suspect[owner]:
                found.append(batch.entry(at)._replace(clock=self._clock))
        return found

    def _owner(self, offset: int) -> int:
        offsets, at = self._offsets, self._at
        while at < len(offsets) and offsets[at] < offset:
            at += 1
        self._at = at
        return self._owners[at] if at < len(offsets) and offsets[at] == offset else NOBODY
