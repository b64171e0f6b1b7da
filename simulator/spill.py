"""Records on disk, by slice, while a partition is read: what is put in log order comes out in log order.

In:      entries, each with the number of its slice.
Out:     the entries of one slice.
Units:   bytes; nothing is kept in memory but BUFFER_BYTES for each slice, and where its blocks lie.
Errors:  OSError, when the disk is full.

One file without a name: it is gone with the process, however that ends. Packed, as records are text.
"""

import marshal
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from tempfile import TemporaryFile
from types import TracebackType
from typing import Final, Self

from cramjam import zstd

from simulator.audit.log import Entry, Fate

BUFFER_BYTES: Final = 256 * 1024
LEVEL: Final = 1
# Topic, then an entry's members but its partition, with its fate as a number.
Record = tuple[
    str, int, int, bytes | None, bytes | None, tuple[tuple[str, bytes], ...], int, tuple[int, int] | None, int
]
_OVERHEAD_BYTES: Final = 200  # of a record besides its value


class Spill:
    """`with Spill(partition, slices) as spill:` `put` everything, then `take` slice by slice."""

    def __init__(self, partition: int, slices: int) -> None:
        self._partition = partition
        self._file = TemporaryFile(prefix="payonce-audit-")  # noqa: SIM115  closed on leaving
        self._end = 0
        self._buffers: list[list[Record]] = [[] for _ in range(slices)]
        self._sizes = [0] * slices
        self._blocks: list[list[tuple[int, int]]] = [[] for _ in range(slices)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def put(self, number: int, topic: str, entry: Entry, clock: int, *, headers: bool) -> None:
        """`clock` is the partition's at this record; `headers` says whether they are wanted back."""
        kept = tuple((name, bytes(value)) for name, value in entry.headers) if headers else ()
        _, offset, timestamp, key, value, _, fate, producer, _ = entry
        self._buffers[number].append((topic, offset, timestamp, key, value, kept, int(fate), producer, clock))
        self._sizes[number] += len(value or b"") + _OVERHEAD_BYTES
        if self._sizes[number] > BUFFER_BYTES:
            self._flush(number)

    def _flush(self, number: int) -> None:
        block = bytes(zstd.compress(marshal.dumps(self._buffers[number]), level=LEVEL))
        self._file.seek(self._end)
        self._file.write(block)
        self._blocks[number].append((self._end, len(block)))
        self._end += len(block)
        self._buffers[number], self._sizes[number] = [], 0

    def take(self, number: int) -> Iterator[tuple[str, list[Entry]]]:
        """Topic after topic as they were put, a bounded number of entries at a time."""
        for at, length in self._blocks[number]:
            self._file.seek(at)
            yield from self._entries(marshal.loads(bytes(zstd.decompress(self._file.read(length)))))  # noqa: S302  our own
        yield from self._entries(self._buffers[number])

    def _entries(self, records: list[Record]) -> Iterator[tuple[str, list[Entry]]]:
        fates = tuple(Fate)
        for topic, some in groupby(records, key=itemgetter(0)):
            yield (
                topic,
                [
                    Entry(self._partition, offset, timestamp, key, value, headers, fates[fate], producer, clock)
                    for _, offset, timestamp, key, value, headers, fate, producer, clock in some
                ],
            )
