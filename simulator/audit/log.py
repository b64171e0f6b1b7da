"""What the auditor is given of the log: every record of five topics, and how far each of them goes.

In:      records as `simulator.log_reader` reads them, or as a test writes them.
Out:     plain values, record by record or batch by batch; nothing here decodes or judges.
Units:   offsets count records of one partition and have gaps (markers, compaction); timestamps are Unix
         milliseconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, NamedTuple

COMMANDS: Final = "commands"
KEYS: Final = "keys"
CHARGES: Final = "charges"
REPLIES: Final = "replies"
DEAD_LETTERS: Final = "dead-letters"
TOPICS: Final = (COMMANDS, KEYS, CHARGES, REPLIES, DEAD_LETTERS)
OUTPUTS: Final = (KEYS, CHARGES, REPLIES, DEAD_LETTERS)


class Fate(IntEnum):
    """What became of a record. Only committed ones ever happened; the others are evidence of how."""

    COMMITTED = 0
    ABORTED = 1
    OPEN = 2  # at or above the last stable offset: its Kafka transaction had not ended when the log was read


class Entry(NamedTuple):
    """One record of one topic, as it lies on the log."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    fate: Fate = Fate.COMMITTED
    producer: tuple[int, int] | None = None  # id and epoch of its batch; None where the producer has none
    clock: int = 0  # the partition's clock at this record, where whoever read the partition from its beginning says it


class Batch(NamedTuple):
    """Records of one producer and one fate that lie together, member by member: fewer objects than entries are."""

    partition: int
    offsets: Sequence[int]
    timestamps: Sequence[int]
    keys: Sequence[bytes | None]
    values: Sequence[bytes | None]
    headers: Sequence[Sequence[tuple[str, bytes]]]
    fate: Fate = Fate.COMMITTED
    producer: tuple[int, int] | None = None

    def entries(self) -> list[Entry]:
        partition, fate, producer = self.partition, self.fate, self.producer
        members = zip(self.offsets, self.timestamps, self.keys, self.values, self.headers, strict=True)
        return [Entry(partition, *member, fate, producer) for member in members]

    def entry(self, at: int) -> Entry:
        return Entry(
            self.partition,
            self.offsets[at],
            self.timestamps[at],
            self.keys[at],
            self.values[at],
            self.headers[at],
            self.fate,
            self.producer,
        )

    def without(self, at: int) -> "Batch":
        """The same without the record at this place of it."""
        return self._replace(
            offsets=[*self.offsets[:at], *self.offsets[at + 1 :]],
            timestamps=[*self.timestamps[:at], *self.timestamps[at + 1 :]],
            keys=[*self.keys[:at], *self.keys[at + 1 :]],
            values=[*self.values[:at], *self.values[at + 1 :]],
            headers=[*self.headers[:at], *self.headers[at + 1 :]],
        )


class Bounds(NamedTuple):
    """How far one partition goes: [start, end); read_committed readers stop at `stable`."""

    start: int
    stable: int
    end: int


@dataclass
class Extent:
    """How far the whole log goes. `bounds` is keyed by (topic, partition), topic without its namespace."""

    partitions: int
    bounds: Mapping[tuple[str, int], Bounds]
    group_offsets: Mapping[int, int] = field(default_factory=dict)  # of the processor's group

    @property
    def records(self) -> int:
        """At most: markers and what compaction removed are counted too."""
        return sum(bound.end - bound.start for bound in self.bounds.values())
