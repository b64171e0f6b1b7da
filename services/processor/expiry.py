"""Keys whose window has passed, found without an index: `keys` in log order is the queue of expiry.

In:      for each partition the cursor that the store holds; a clock.
Out:     candidates, oldest first, and where the cursor stands once they are settled.
Units:   offsets of `keys`; milliseconds.
Errors:  those of the reader; after them everything is taken over again, cursors included.
Source:  DESIGN, "Expiry needs no index". The window is one for the whole namespace, so a record that is not
         due yet stops the search. Whether the state still holds that very record is the domain's question.

Holds at most one fetch of a partition (1 MiB) and reads on only when that is used up. When a million keys are due
at once, the commands behind them must not wait for it: a transaction takes EXPIRED_AT_ONCE of them, shared by the
partitions that have some, or as many as it has commands, so that keys go as fast as they came.
"""

from collections import deque
from collections.abc import Mapping
from typing import Final

import orjson

from events.identifiers import POSITION_KEY
from services.kafka.port import Reader, Record
from services.processor.surroundings import Surroundings
from services.processor.terms import Terms

EXPIRED_AT_ONCE: Final = 400  # some 10 ms of work, most of it looking up whether each is still the newest of its key
LOOK_EVERY_MS: Final = 20  # at the end of `keys` there is nothing to find between two transactions
_EXPIRES_AT: Final = b',"expires_at":'  # inside of a string its quotes would have backslashes
_DIGITS_MOST: Final = 40


class Expiry:
    def __init__(self, reader: Reader, terms: Terms, surroundings: Surroundings) -> None:
        self._reader = reader
        self._terms = terms
        self._surroundings = surroundings
        self._queues: dict[int, deque[Record]] = {}
        self._due: dict[int, int] = {}  # when the first of a queue is, so that it is read from the record but once
        self._looked_at = 0.0
        self._share = EXPIRED_AT_ONCE

    def assign(self, cursors: Mapping[int, int]) -> None:
        """Follow exactly these partitions, from these cursors on."""
        self._queues = {partition: deque() for partition in cursors}
        self._due = {}
        self._reader.assign({self._terms.where("keys", one): at for one, at in cursors.items()})
        self._looked_at = 0.0

    async def look(self) -> None:
        """Once a transaction. Read on where a queue is used up; never waits for records."""
        self._share = EXPIRED_AT_ONCE // max(1, sum(map(bool, self._queues.values())))
        now_ms = self._surroundings.elapsed_ms()
        if all(self._queues.values()) or now_ms - self._looked_at < LOOK_EVERY_MS:
            return
        self._looked_at = now_ms
        for where, records in (await self._reader.fetch(0)).items():
            queue = self._queues[where.partition]
            queue.extend(record for record in records if record.value is not None and record.key != POSITION_KEY)
            if queue:
                self._reader.pause([where])

    def take(self, partition: int, clock: int, most: int, commands: int = 0) -> list[Record]:
        """The oldest that are due, `most` of them at most; of `commands` the same transaction has so many there."""
        if clock < self._due.get(partition, 0):
            return []
        queue = self._queues[partition]
        most = min(most, max(1, self._share, commands))
        taken: list[Record] = []
        while queue and len(taken) < most and clock >= _expires_at(queue[0]):
            taken.append(queue.popleft())
        self._due[partition] = _expires_at(queue[0]) if queue else 0
        if taken and not queue:
            self._reader.resume([self._terms.where("keys", partition)])
        return taken

    def cursor(self, partition: int) -> int:
        """Everything below it has been taken or need not be: what the store may hold after the commit."""
        queue = self._queues[partition]
        return queue[0].offset if queue else self._reader.position(self._terms.where("keys", partition))

    async def close(self) -> None:
        await self._reader.close()


def _expires_at(record: Record) -> int:
    """The last member of a key record, as we write it; any other form is read as JSON."""
    value = record.value
    assert value is not None, "tombstones are not queued"
    at = value.rfind(_EXPIRES_AT, -_DIGITS_MOST)
    digits = value[at + len(_EXPIRES_AT) : -1]
    if at >= 0 and digits.isdigit() and value.endswith(b"}"):
        return int(digits)
    expires_at: int = orjson.loads(value)["expires_at"]
    return expires_at
