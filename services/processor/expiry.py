"""Keys whose window has passed, found without an index: `keys` in log order is the queue of expiry.

In:      for each partition the cursor that the store holds; a clock.
Out:     candidates, oldest first, and where the cursor stands once they are settled.
Units:   offsets of `keys`; milliseconds.
Errors:  those of the reader; after them everything is taken over again, cursors included.
Source:  DESIGN, "Expiry needs no index". The window is one for the whole namespace, so a record that is not
         due yet stops the search. Whether the state still holds that very record is the domain's question.

Holds at most one fetch of a partition (1 MiB) and reads on only when that is used up.
"""

from collections import deque
from collections.abc import Mapping
from typing import Final

from events.identifiers import POSITION_KEY
from services.kafka.port import Reader, Record
from services.processor.domain.settling import is_due
from services.processor.surroundings import Surroundings
from services.processor.terms import Terms

LOOK_EVERY_MS: Final = 20  # at the end of `keys` there is nothing to find between two transactions


class Expiry:
    def __init__(self, reader: Reader, terms: Terms, surroundings: Surroundings) -> None:
        self._reader = reader
        self._terms = terms
        self._surroundings = surroundings
        self._queues: dict[int, deque[Record]] = {}
        self._looked_at = 0.0

    def assign(self, cursors: Mapping[int, int]) -> None:
        """Follow exactly these partitions, from these cursors on."""
        self._queues = {partition: deque() for partition in cursors}
        self._reader.assign({self._terms.where("keys", one): at for one, at in cursors.items()})
        self._looked_at = 0.0

    async def look(self) -> None:
        """Read on where a queue is used up; never waits for records."""
        now_ms = self._surroundings.elapsed_ms()
        if all(self._queues.values()) or now_ms - self._looked_at < LOOK_EVERY_MS:
            return
        self._looked_at = now_ms
        for where, records in (await self._reader.fetch(0)).items():
            queue = self._queues[where.partition]
            queue.extend(record for record in records if record.value is not None and record.key != POSITION_KEY)
            if queue:
                self._reader.pause([where])

    def take(self, partition: int, clock: int, most: int) -> list[Record]:
        queue = self._queues[partition]
        taken: list[Record] = []
        while queue and len(taken) < most and _is_due(queue[0], clock):
            taken.append(queue.popleft())
        if taken and not queue:
            self._reader.resume([self._terms.where("keys", partition)])
        return taken

    def cursor(self, partition: int) -> int:
        """Everything below it has been taken or need not be: what the store may hold after the commit."""
        queue = self._queues[partition]
        return queue[0].offset if queue else self._reader.position(self._terms.where("keys", partition))

    async def close(self) -> None:
        await self._reader.close()


def _is_due(record: Record, clock: int) -> bool:
    return record.value is not None and is_due(record.value, clock)
