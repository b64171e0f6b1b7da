"""The five topics as read, parsed and indexed; nothing is judged here.

In:      the committed records of every partition.
Out:     commands, key records, positions, events, replies, dead letters, each with its place on the log.
Units:   offsets; Unix milliseconds.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiokafka import ConsumerRecord

from tests.support.outside.contract import fingerprint, partition, record_key

Place = tuple[int, int]  # partition, offset


@dataclass(frozen=True)
class Entry:
    """One record; `value` is None where it is no JSON object."""

    place: Place
    at: int
    key: str
    value: dict[str, Any] | None
    raw: bytes | None
    headers: dict[str, str]

    @property
    def content(self) -> dict[str, Any]:
        assert self.value is not None, f"{self.place} is no JSON object"
        return self.value


@dataclass(frozen=True)
class Command:
    """A command that may be executed, and the partition's clock when it is its turn."""

    entry: Entry
    clock: int
    key: str  # of its record in `keys`
    fingerprint: str

    @property
    def id(self) -> str:
        return str(self.entry.content["command_id"])

    @property
    def offset(self) -> int:
        return self.entry.place[1]


@dataclass
class Book:
    partitions: int
    commands: list[Command] = field(default_factory=list)
    unwanted: list[Entry] = field(default_factory=list)  # commands that nobody may run
    keys: list[Entry] = field(default_factory=list)  # without tombstones
    tombstones: list[Entry] = field(default_factory=list)
    positions: dict[int, list[Entry]] = field(default_factory=lambda: defaultdict(list))
    events: list[Entry] = field(default_factory=list)
    replies: list[Entry] = field(default_factory=list)
    dead: list[Entry] = field(default_factory=list)
    ends: dict[int, int] = field(default_factory=dict)  # of `commands`

    def by_key(self) -> dict[str, list[Entry]]:
        return _grouped((one.key, one) for one in self.keys)

    def events_by_command(self) -> dict[str, list[Entry]]:
        return _grouped((one.content["command_id"], one) for one in self.events)

    def events_by_charge(self) -> dict[str, list[Entry]]:
        return _grouped((one.content["charge_id"], one) for one in self.events)

    def commands_by_id(self) -> dict[str, list[Command]]:
        return _grouped((one.id, one) for one in self.commands)


def _grouped(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, list[Any]]:
    groups: dict[Any, list[Any]] = defaultdict(list)
    for name, one in pairs:
        groups[name].append(one)
    return groups


def read_book(partitions: int, topics: Mapping[str, Mapping[int, list[ConsumerRecord]]]) -> Book:
    """In log order, partition by partition."""
    book = Book(partitions)
    for number in range(partitions):
        clock = 0
        for entry in map(_entry, topics["commands"][number]):
            clock = max(clock, entry.at)
            if _may_run(entry, partitions):
                content = entry.content
                print_ = fingerprint(content["type"], content["payload"])
                book.commands.append(Command(entry, clock, record_key(content), print_))
            else:
                book.unwanted.append(entry)
            book.ends[number] = entry.place[1] + 1
        for entry in map(_entry, topics["keys"][number]):
            if entry.key == "@position":
                book.positions[number].append(entry)
            else:
                (book.tombstones if entry.raw is None else book.keys).append(entry)
        book.events += map(_entry, topics["charges"][number])
        book.replies += map(_entry, topics["replies"][number])
        book.dead += map(_entry, topics["dead-letters"][number])
    return book


def _entry(record: ConsumerRecord) -> Entry:
    try:
        value = json.loads(record.value) if record.value is not None else None
    except ValueError:
        value = None
    return Entry(
        (record.partition, record.offset),
        record.timestamp,
        (record.key or b"").decode(),
        value if isinstance(value, dict) else None,
        record.value,
        {name: text.decode() for name, text in record.headers},
    )


def _may_run(entry: Entry, partitions: int) -> bool:
    """Readable, under its merchant's key, in its merchant's partition; whoever posts here breaks no other rule."""
    if entry.value is None or entry.value.get("merchant_id") != entry.key:
        return False
    return partition(entry.key.encode(), partitions) == entry.place[0]
