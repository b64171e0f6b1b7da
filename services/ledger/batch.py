"""Fold fetched records into the rows of one database transaction. Pure.

In:      records of a partition, in log order; the same batch may take records of many partitions.
Out:     rows to insert, and per charge, key, balance and processor the newest state.
Errors:  none: a record that cannot be read, or that our own code trips over, is listed in `skipped`.

Topics are independent of one another: nothing here looks at one topic to interpret another.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from services.kafka.port import Record, TopicPartition
from services.ledger.domain import Balance, Book, effect, faithfully, postings
from services.ledger.records import (
    Event,
    ExpiredKey,
    KeyCommand,
    Reached,
    Unreadable,
    UsedKey,
    read_charge_event,
    read_command,
    read_key_record,
)

Row = dict[str, Any]

COMMANDS: Final = "commands"
KEYS: Final = "keys"
CHARGES: Final = "charges"
READ: Final = (COMMANDS, KEYS, CHARGES)  # the topics the ledger reads, by their short names


class Skipped(NamedTuple):
    topic: str
    partition: int
    offset: int
    reason: str


class Batch:
    """Rows by table; `balances` holds changes, everything else holds values."""

    def __init__(self, partitions: int, book: Book = faithfully) -> None:
        self.records = 0
        self.entries: list[Row] = []
        self.postings: list[Row] = []
        self.key_commands: list[Row] = []
        self.charges: dict[tuple[str, str], Row] = {}
        self.balances: dict[tuple[str, str], Balance] = {}
        self.keys: dict[tuple[str, str], Row] = {}  # with all columns
        self.expired: dict[tuple[str, str], Row] = {}  # a tombstone whose record was in an earlier batch, or never
        self.processors: dict[int, Row] = {}
        self.skipped: list[Skipped] = []
        self._partitions = partitions
        self._book = book

    def add(self, kind: str, where: TopicPartition, records: Sequence[Record]) -> None:
        """Fold the records of one partition; `kind` is the topic's short name."""
        fold: Callable[[int, Record], None] = {
            COMMANDS: self._command,
            KEYS: self._key,
            CHARGES: self._charge_event,
        }[kind]
        for record in records:
            try:
                fold(where.partition, record)
            except Unreadable as unreadable:
                self.skipped.append(Skipped(where.topic, where.partition, record.offset, str(unreadable)))
            except Exception as bug:  # no record may stop the ledger for good, not even by a bug of ours
                reason = f"{type(bug).__name__}: {bug}"
                self.skipped.append(Skipped(where.topic, where.partition, record.offset, reason))
        self.records += len(records)

    def _command(self, partition: int, record: Record) -> None:
        command = read_command(record, partition, self._partitions)
        if command is not None:
            self.key_commands.append(_key_command_row(partition, command))

    def _key(self, partition: int, record: Record) -> None:
        said = read_key_record(record)
        match said:
            case UsedKey():
                name = (said.merchant_id, said.idempotency_key)
                self.keys[name] = {"partition": partition, "tombstoned": False, **said._asdict()}
                self.expired.pop(name, None)
            case ExpiredKey():
                if said in self.keys:
                    self.keys[said]["tombstoned"] = True
                else:
                    self.expired[said] = {"partition": partition, "tombstoned": True, **said._asdict()}
            case Reached():
                self.processors[partition] = {"partition": partition, **said._asdict()}

    def _charge_event(self, partition: int, record: Record) -> None:
        event = read_charge_event(record)
        lines = postings(event.type, event.amount, event.authorized_amount)
        written, counted = self._book(lines)
        self.entries.append(_entry_row(partition, event))
        for line, (account, amount) in enumerate(written):
            self.postings.append(
                {
                    "partition": partition,
                    "log_offset": event.offset,
                    "line": line,
                    "merchant_id": event.merchant_id,
                    "currency": event.currency,
                    "account": account,
                    "amount": amount,
                }
            )
        owner = (event.merchant_id, event.currency)
        self.balances[owner] = self.balances.get(owner, Balance()).plus(effect(counted))
        charge = (event.merchant_id, event.charge_id)
        known = self.charges.get(charge)
        self.charges[charge] = {
            "merchant_id": event.merchant_id,
            "charge_id": event.charge_id,
            "partition": partition,
            "first_offset": event.offset if known is None else known["first_offset"],
            "last_offset": event.offset,
            "body": event.charge,
        }


def _key_command_row(partition: int, command: KeyCommand) -> Row:
    return {
        "partition": partition,
        "log_offset": command.offset,
        "merchant_id": command.merchant_id,
        "idempotency_key": command.idempotency_key,
        "command_id": command.command_id,
        "operation": command.operation,
        "fingerprint": command.fingerprint,
        "appended_at": command.appended_at,
    }


def _entry_row(partition: int, event: Event) -> Row:
    return {
        "partition": partition,
        "log_offset": event.offset,
        "event_id": event.event_id,
        "event_type": event.type,
        "charge_id": event.charge_id,
        "merchant_id": event.merchant_id,
        "currency": event.currency,
        "amount": event.amount,
        "sequence": event.sequence,
        "command_id": event.command_id,
        "idempotency_key": event.idempotency_key,
        "occurred_at": event.occurred_at,
    }
