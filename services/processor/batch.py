"""One turn of the loop, from records to work: decode, look up, expire, decide. Nothing is appended here.

In:      records of `commands` in log order, what is known of their keys, candidates for expiry.
Out:     for each partition what is to be appended, what the store becomes, and where the partition stands then.
Units:   offsets of `commands`; timestamps in Unix milliseconds.
Errors:  none of the decisions' own: a record on which pure code fails is dead-lettered (services.processor.poison).
Source:  DESIGN, "Per loop".
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from services.kafka.packed import Appending, Packed
from services.kafka.port import Assignment, Outgoing, Record, TopicPartition
from services.processor import poison
from services.processor.backlog import Portion
from services.processor.domain.natively import Read, read, settle_read, settles
from services.processor.domain.settling import (
    Incoming,
    Rules,
    Settled,
    Standing,
    decode,
    lookups,
    settle,
    settle_expiry,
)
from services.processor.domain.stored import of_key
from services.processor.expiry import Expiry
from services.processor.holding import Holding
from services.processor.position import position_entry
from services.processor.store.port import KeyStore, Reach
from services.processor.strategies import BaseOffsets, Work
from services.processor.terms import Terms


class Decoded(NamedTuple):
    read_to: int
    records: Sequence[Record]
    commands: Sequence[Incoming] | Read | None  # None where decoding failed: one record at a time, then
    wanted: Sequence[bytes]  # store keys


@dataclass(slots=True)
class PartitionBatch:
    keys: Appending
    charges: Appending
    replies: Appending
    dead_letters: list[Outgoing]
    writes: dict[bytes, bytes | None]
    standing: Standing
    read_to: int
    cursor: int
    counts: Mapping[str, int]

    def reach(self, terms: Terms, partition: int, base_offsets: BaseOffsets, before: Reach) -> Reach:
        """How far the store reaches once this is in it. Our records may have others' aborted ones between
        them, so the end may be said too low, which only means that a few of them are read once more."""
        keys, charges = terms.where("keys", partition), terms.where("charges", partition)
        return Reach(
            base_offsets[keys] + len(self.keys) if keys in base_offsets else before.keys,
            base_offsets[charges] + len(self.charges) if charges in base_offsets else before.charges,
            self.cursor,
        )


@dataclass(slots=True)
class Batch:
    partitions: dict[int, PartitionBatch] = field(default_factory=dict)

    def work(self, terms: Terms, member: Assignment) -> Work:
        def of(name: str, attribute: str) -> dict[TopicPartition, Sequence[Outgoing]]:
            appended = {one: getattr(settled, attribute) for one, settled in self.partitions.items()}
            return {terms.where(name, one): records for one, records in appended.items() if records}

        return Work(
            keys=of("keys", "keys"),
            charges=of("charges", "charges"),
            replies=of("replies", "replies"),
            dead_letters=of("dead-letters", "dead_letters"),
            group=terms.group,
            commands=terms.topic("commands"),
            offsets={one: settled.read_to for one, settled in self.partitions.items()},
            member=member,
        )

    def counts(self) -> dict[str, int]:
        """Of the whole transaction, by outcome."""
        total: dict[str, int] = {}
        for one in self.partitions.values():
            for name, count in one.counts.items():
                total[name] = total.get(name, 0) + count
        return total


def rules_for(terms: Terms, partition: int) -> Rules:
    return Rules(terms.namespace, partition, terms.partitions, terms.window_ms, terms.guarantee, terms.turn)


class Known:
    """What is known of the keys: the store, and before it what batches will write there that are not in it yet."""

    def __init__(self, store: KeyStore, on_their_way: Sequence[Batch]) -> None:
        """The newest first."""
        self._store = store
        self._on_their_way = on_their_way

    def get(self, partition: int, keys: Sequence[bytes]) -> dict[bytes, bytes | None]:
        found: dict[bytes, bytes | None] = {}
        for batch in self._on_their_way:
            settled = batch.partitions.get(partition)
            if settled is not None and (known := settled.writes.keys() & keys):
                found.update((key, settled.writes[key]) for key in known)
                keys = [key for key in keys if key not in known]
        found.update(self._store.get(partition, keys))
        return found


def decode_portion(rules: Rules, portion: Portion) -> Decoded:
    """Needs no state."""
    records, read_to = portion
    try:
        if settles(rules):
            usual = read(rules, records)
            return Decoded(read_to, records, usual, usual.wanted)
        commands = decode(rules, records)
        return Decoded(read_to, records, commands, lookups(rules, commands))
    except Exception as error:  # whatever a bug raises; the culprit is found one by one
        poison.noticed(rules.partition, error)
        return Decoded(read_to, records, None, ())


def settle_partition(
    terms: Terms, known: Known, partition: int, holding: Holding, decoded: Decoded | None, expiry: Expiry
) -> PartitionBatch | None:
    """None when there is nothing to do: no commands, and no key whose window has passed.

    Moves the holding on. What comes of it may yet fail: then all of them are forgotten and taken over again.
    """
    rules = rules_for(terms, partition)
    commands = len(decoded.records) if decoded is not None else 0
    cursor = expiry.cursor(partition)
    # Before the batch's own records, so that a key that is used again gets its new record after its tombstone.
    tombstones, forgotten = _expire(
        rules, known, holding.standing, expiry.pieces(partition, holding.standing.clock, commands)
    )
    if decoded is None and expiry.cursor(partition) == cursor:
        return None
    found = known.get(partition, decoded.wanted) if decoded is not None else {}
    for key in forgotten:
        found.pop(key, None)
    settled = _settle(rules, known, holding.standing, decoded, found)
    holding.standing = settled.standing
    if decoded is not None:
        holding.read_to = decoded.read_to
    made = PartitionBatch(
        _joined(tombstones, settled.keys),
        settled.charges,
        settled.replies,
        settled.dead_letters,
        {**forgotten, **settled.writes},
        settled.standing,
        holding.read_to,
        expiry.cursor(partition),
        {
            "executed": settled.executed,
            "replayed": settled.replayed,
            "refused": settled.refused,
            "expired": settled.expired,
            "dead": settled.dead,
            "keys_expired": len(tombstones),
        },
    )
    if terms.exactly_once:
        _append_position(terms, made)
    return made


def _expire(
    rules: Rules, known: Known, standing: Standing, pieces: Iterable[Sequence[Record]]
) -> tuple[list[Outgoing], dict[bytes, bytes | None]]:
    tombstones: list[Outgoing] = []
    forgotten: dict[bytes, bytes | None] = {}
    for piece in pieces:
        candidates = [(one.key, one.value) for one in piece if one.key and one.value]
        found = known.get(rules.partition, [of_key(key) for key, _ in candidates])
        some, gone = settle_expiry(rules, standing, candidates, found)
        tombstones += some
        forgotten |= gone
    return tombstones, forgotten


def _joined(tombstones: list[Outgoing], keys: Appending) -> Appending:
    if not tombstones:
        return keys
    joined: Appending = Packed() if isinstance(keys, Packed) else []
    joined.extend(tombstones)
    joined.extend(keys)
    return joined


def _settle(
    rules: Rules, known: Known, standing: Standing, decoded: Decoded | None, found: dict[bytes, bytes | None]
) -> Settled:
    if decoded is not None and decoded.commands is not None:
        try:
            if isinstance(decoded.commands, Read):
                return settle_read(rules, standing, decoded.commands, found)
            return settle(rules, standing, decoded.commands, found)
        except Exception as error:  # whatever a bug raises; the culprit is found one by one
            poison.noticed(rules.partition, error)
    elif decoded is None:
        return settle(rules, standing, [], found)
    return poison.settle_singly(rules, standing, decoded.records, lambda keys: known.get(rules.partition, keys))


def _append_position(terms: Terms, made: PartitionBatch) -> None:
    record, key, value = position_entry(made.standing, terms.window_ms)
    made.keys.append(record)
    made.writes[key] = value
