"""Records on disk, by slice, while a partition is read: what is put in log order comes out in log order.

In:      entries, each with the number of its slice.
Out:     the entries of one slice.
Units:   bytes; what is in memory is bounded as `simulator.blocks` says.
Errors:  OSError, when the disk is full.
"""

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from types import TracebackType
from typing import Final, Self

from simulator.audit.log import Entry, Fate
from simulator.blocks import Blocks

# Topic, then an entry's members but its partition, with its fate as a number.
Record = tuple[
    str, int, int, bytes | None, bytes | None, tuple[tuple[str, bytes], ...], int, tuple[int, int] | None, int
]
_OVERHEAD_BYTES: Final = 200  # of a record besides its value


class Spill:
    """`with Spill(partition, slices) as spill:` `put` everything, then `take` slice by slice."""

    def __init__(self, partition: int, slices: int) -> None:
        self._partition = partition
        self._blocks = Blocks(slices)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._blocks.__exit__(kind, error, trace)

    def put(self, number: int, topic: str, entry: Entry, clock: int, *, headers: bool) -> None:
        """`clock` is the partition's at this record; `headers` says whether they are wanted back."""
        kept = tuple((name, bytes(value)) for name, value in entry.headers) if headers else ()
        _, offset, timestamp, key, value, _, fate, producer, _ = entry
        record: Record = (topic, offset, timestamp, key, value, kept, int(fate), producer, clock)
        self._blocks.put(number, record, len(value or b"") + _OVERHEAD_BYTES)

    def take(self, number: int) -> Iterator[tuple[str, list[Entry]]]:
        """Topic after topic as they were put, a bounded number of entries at a time."""
        fates = tuple(Fate)
        for records in self._blocks.take(number):
            for topic, some in groupby(records, key=itemgetter(0)):
                yield (
                    topic,
                    [
                        Entry(self._partition, offset, timestamp, key, value, headers, fates[fate], producer, clock)
                        for _, offset, timestamp, key, value, headers, fate, producer, clock in some
                    ],
                )
