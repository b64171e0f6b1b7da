"""The partitions this process holds: where each stands, how far it was read, and what stopped it.

Units:   offsets of `commands`; timestamps in Unix milliseconds.
Source:  DESIGN, "Exactly once": a timestamp far ahead of our own clock stops a partition, since one broker's
         wrong clock must not expire every key.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from services.kafka.fetched import timestamp_max
from services.kafka.port import Assignment, Record
from services.processor.domain.settling import Standing
from services.processor.store.port import Reach

AHEAD_MS_MAX: Final = 5 * 60_000


@dataclass(slots=True)
class Holding:
    standing: Standing  # with the batch under way, if there is one
    read_to: int  # the next offset of `commands` to read, likewise
    reach: Reach  # of the store, as committed
    ahead_ms: int | None = None  # the timestamp that stopped it
    sure: "Sure" = field(init=False)

    def __post_init__(self) -> None:
        self.sure = Sure(self.standing, self.read_to)

    def committed(self, standing: Standing, read_to: int, reach: Reach) -> None:
        self.sure = Sure(standing, read_to)
        self.reach = reach

    def roll_back(self) -> None:
        """What was decided and is not committed never happened."""
        self.standing, self.read_to = self.sure


class Sure(NamedTuple):
    """Where a partition stands without what is under way."""

    standing: Standing
    read_to: int


def kept(held: Assignment | None, now: Assignment, partitions: frozenset[int]) -> frozenset[int]:
    """Those of the partitions that nobody else can have owned since: same member, exactly one generation on."""
    if held is None or held.member_id != now.member_id or now.generation != held.generation + 1:
        return frozenset()
    return partitions & now.partitions


def too_far_ahead(records: Sequence[Record], now_ms: int) -> int | None:
    """The highest timestamp among the records, if it is beyond belief."""
    highest = timestamp_max(records)
    return highest if highest > now_ms + AHEAD_MS_MAX else None
