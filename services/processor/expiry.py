"""Keys whose window has passed, found without an index: `keys` in log order is the queue of expiry.

In:      for each partition the cursor that the store holds; a clock.
Out:     candidates, oldest first, and where the cursor stands once they are settled.
Units:   offsets of `keys`; milliseconds.
Errors:  those of the reader; after them everything is taken over again, cursors included.
Source:  DESIGN, "Expiry needs no index". The window is one for the whole namespace, so a record that is not
         due yet stops the search. Whether the state still holds that very record is the domain's question.

Holds at most one small fetch of a partition and reads on only when that is used up. When a million keys are due
at once, the commands behind them must not wait for it, however slow the disk or the machine is just then: a transaction
has EXPIRY_MS for them, reading included, shared by the partitions that have some. Keys are settled a piece at a time
until that is used up, but no fewer than one piece, and as many as the partition has commands in the same transaction,
so that keys go as fast as they came.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Final

from events.identifiers import POSITION_KEY
from services.kafka.port import Reader, Record
from services.processor.domain.settling import expires_at
from services.processor.surroundings import Surroundings
from services.processor.terms import Terms

EXPIRY_MS: Final = 5.0  # of one transaction; a key takes some 10 us, and as long again until it is in the store
PIECE: Final = 128  # keys of all partitions together between two looks at the clock
EXPIRED_MOST: Final = 1_000  # of one partition in one transaction, whatever the clock says
LOOK_EVERY_MS: Final = 20  # at the end of `keys` there is nothing to find between two transactions


class Expiry:
    def __init__(self, reader: Reader, terms: Terms, surroundings: Surroundings) -> None:
        self._reader = reader
        self._terms = terms
        self._surroundings = surroundings
        self._queues: dict[int, deque[Record]] = {}
        self._due: dict[int, int] = {}  # when the first of a queue is, so that it is read from the record but once
        self._looked_at = 0.0
        self._share_ms = EXPIRY_MS
        self._piece = PIECE

    def assign(self, cursors: Mapping[int, int]) -> None:
        """Follow exactly these partitions, from these cursors on."""
        self._queues = {partition: deque() for partition in cursors}
        self._due = {}
        self._reader.assign({self._terms.where("keys", one): at for one, at in cursors.items()})
        self._looked_at = 0.0

    async def look(self) -> None:
        """Once a transaction. Read on where a queue is used up; never waits for records."""
        began_ms = self._surroundings.elapsed_ms()
        await self._read_on(began_ms)
        waiting = max(1, sum(map(bool, self._queues.values())))
        self._share_ms = (EXPIRY_MS - (self._surroundings.elapsed_ms() - began_ms)) / waiting
        self._piece = max(1, PIECE // waiting)

    async def _read_on(self, now_ms: float) -> None:
        if all(self._queues.values()) or now_ms - self._looked_at < LOOK_EVERY_MS:
            return
        self._looked_at = now_ms
        for where, records in (await self._reader.fetch(0)).items():
            queue = self._queues[where.partition]
            queue.extend(record for record in records if record.value is not None and record.key != POSITION_KEY)
            if queue:
                self._reader.pause([where])

    def pieces(self, partition: int, clock: int, commands: int = 0) -> Iterator[list[Record]]:
        """Those that are due, oldest first; of `commands` the same transaction has so many there.

        Whoever asks for the next piece has settled the one before.
        """
        ends_ms = self._surroundings.elapsed_ms() + self._share_ms
        most = self._piece
        taken = 0
        while piece := self._take(partition, clock, min(most, EXPIRED_MOST - taken)):
            yield piece
            taken += len(piece)
            is_over = self._surroundings.elapsed_ms() >= ends_ms
            most = min(self._piece, commands - taken) if is_over else self._piece

    def _take(self, partition: int, clock: int, most: int) -> list[Record]:
        if most <= 0 or clock < self._due.get(partition, 0):
            return []
        queue = self._queues[partition]
        taken: list[Record] = []
        while queue and len(taken) < most and clock >= _due_at(queue[0]):
            taken.append(queue.popleft())
        self._due[partition] = _due_at(queue[0]) if queue else 0
        if taken and not queue:
            self._reader.resume([self._terms.where("keys", partition)])
        return taken

    def cursor(self, partition: int) -> int:
        """Everything below it has been taken or need not be: what the store may hold after the commit."""
        queue = self._queues[partition]
        return queue[0].offset if queue else self._reader.position(self._terms.where("keys", partition))

    async def close(self) -> None:
        await self._reader.close()


def _due_at(record: Record) -> int:
    assert record.value is not None, "tombstones are not queued"
    return expires_at(record.value)
