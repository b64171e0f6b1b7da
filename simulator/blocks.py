"""Plain values on disk, dealt to shelves: what is put on a shelf comes back from it, in order.

In:      values that `marshal` can write (texts, bytes, numbers, lists, tuples, dictionaries), each with its shelf.
Out:     the values of one shelf, a bounded number at a time.
Units:   bytes; nothing is kept in memory but BUFFER_BYTES for each shelf, and where its blocks lie.
Errors:  OSError, when the disk is full.

One file without a name: it is gone with the process, however that ends. Packed, as it is mostly text. A pickled
`Blocks` reads the same file in a child that was given `descriptor`.
"""

import marshal
import os
from collections.abc import Iterator
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, Any, Final, Self

from cramjam import zstd

BUFFER_BYTES: Final = 256 * 1024
LEVEL: Final = 1


class Blocks:
    """`with Blocks(shelves) as blocks:` `put` everything, then `take` shelf by shelf."""

    def __init__(self, shelves: int) -> None:
        self._file: IO[bytes] = TemporaryFile(prefix="payonce-audit-")  # noqa: SIM115  closed on leaving
        self.descriptor = self._file.fileno()
        self._end = 0
        self._buffers: list[list[Any]] = [[] for _ in range(shelves)]
        self._sizes = [0] * shelves
        self._blocks: list[list[tuple[int, int]]] = [[] for _ in range(shelves)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __getstate__(self) -> dict[str, Any]:
        """For a child, which only reads, and by place: parent and child share the file's position."""
        for shelf in range(len(self._buffers)):
            self._flush(shelf)
        self._file.flush()
        return {"descriptor": self.descriptor, "_blocks": self._blocks}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._file = os.fdopen(self.descriptor, "rb")
        self._buffers = [[] for _ in self._blocks]

    @property
    def count(self) -> int:
        return len(self._blocks)

    def put(self, shelf: int, value: Any, size: int) -> None:
        """`size`: about how many bytes the value has."""
        self._buffers[shelf].append(value)
        self._sizes[shelf] += size
        if self._sizes[shelf] > BUFFER_BYTES:
            self._flush(shelf)

    def _flush(self, shelf: int) -> None:
        if not self._buffers[shelf]:
            return
        block = bytes(zstd.compress(marshal.dumps(self._buffers[shelf]), level=LEVEL))
        self._file.write(block)
        self._blocks[shelf].append((self._end, len(block)))
        self._end += len(block)
        self._buffers[shelf], self._sizes[shelf] = [], 0

    def take(self, shelf: int) -> Iterator[list[Any]]:
        self._file.flush()
        for at, length in self._blocks[shelf]:
            yield marshal.loads(bytes(zstd.decompress(os.pread(self.descriptor, length, at))))  # noqa: S302  our own
        if self._buffers[shelf]:
            yield self._buffers[shelf]
