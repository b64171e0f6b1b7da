"""Records of the three topics that the ledger reads, written by hand, one merchant `shop` in one partition.

Out:     records as services.kafka.port has them; `Booked`, a ledger's database fed by them without a Kafka.
Units:   Unix milliseconds; amounts in minor units.
"""

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from events.identifiers import charge_id, event_id
from services.kafka.port import Headers, TopicPartition
from services.ledger.batch import READ, Batch
from services.ledger.main import BROKEN
from services.ledger.projector import Options
from services.ledger.store import LogState, Opened, Store
from services.named_bugs import switched_on
from services.readmodel import ReadModel

SHOP = "shop"
AT = 1_700_000_000_000
TTL_MS = 24 * 3600 * 1000
NAMESPACE = "payments"


class Rec(NamedTuple):
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int = AT
    headers: Headers = ()


def command_id(number: int) -> str:
    return f"00000000-0000-7000-8000-{number:012d}"


def command(offset: int, *, number: int = 1, key: str | None = "k", at: int = AT, **changes: Any) -> Rec:
    """A charge.create of 500 eur."""
    value = {
        "command_id": command_id(number),
        "type": "charge.create",
        "merchant_id": SHOP,
        "idempotency_key": key,
        "issued_at": at,
        "deadline_at": at + 80_000,
        "payload": {"amount": 500, "currency": "eur", "payment_method": "pm_card_visa"},
        **changes,
    }
    return Rec(offset, SHOP.encode(), json.dumps(value).encode(), at)


def event(
    offset: int,
    kind: str = "succeeded",
    *,
    number: int = 1,
    of: int | None = None,
    amount: int = 500,
    authorized: int | None = None,
    currency: str = "eur",
    key: str | None = "k",
    merchant: str = SHOP,
    **changes: Any,
) -> Rec:
    """A charge event of command `number` about the charge that command `of` created."""
    charge = charge_id(merchant, command_id(number if of is None else of))
    value = {
        "event_id": event_id(merchant, command_id(number)),
        "type": f"charge.{kind}",
        "charge_id": charge,
        "merchant_id": merchant,
        "amount": amount,
        "currency": currency,
        "sequence": 1,
        "occurred_at": AT + offset,
        "command_id": command_id(number),
        "idempotency_key": key,
        "data": {
            "charge": {
                "id": charge,
                "object": "charge",
                "merchant_id": merchant,
                "status": "succeeded" if kind == "succeeded" else "authorized",
                "amount": amount if authorized is None else authorized,
                "amount_captured": 0,
                "amount_refunded": 0,
                "currency": currency,
                "payment_method": "pm_card_visa",
                "captured": kind == "succeeded",
                "description": f"after offset {offset}",
                "metadata": {},
                "created_at": AT,
            }
        },
        **changes,
    }
    return Rec(offset, charge.encode(), json.dumps(value).encode())


def key_record(
    offset: int,
    *,
    number: int = 1,
    key: str = "k",
    command_offset: int = 0,
    completed_at: int = AT,
    **changes: Any,
) -> Rec:
    value = {
        "merchant_id": SHOP,
        "idempotency_key": key,
        "operation": "charge.create",
        "fingerprint": sha256(b"any").hexdigest(),
        "status": 201,
        "body": '{"id":"ch"}',
        "charge_id": charge_id(SHOP, command_id(number)),
        "event_id": event_id(SHOP, command_id(number)),
        "command_id": command_id(number),
        "offset": command_offset,
        "completed_at": completed_at,
        "expires_at": completed_at + TTL_MS,
        **changes,
    }
    return Rec(offset, f"{SHOP}/{key}".encode(), json.dumps(value).encode())


def tombstone(offset: int, key: str = "k") -> Rec:
    return Rec(offset, f"{SHOP}/{key}".encode(), None)


def position(offset: int, reached: int, clock: int = AT) -> Rec:
    value = {"position": reached, "clock": clock, "window_ms": TTL_MS}
    return Rec(offset, b"@position", json.dumps(value).encode())


class Booked:
    """A ledger's database of one partition, fed by hand."""

    def __init__(self, url: str, breaks: Sequence[str] = (), topic_id: str = "1") -> None:
        self.store = Store(url, NAMESPACE)
        self.read = ReadModel(url)
        self.topics = {kind: TopicPartition(f"{NAMESPACE}.{kind}", 0) for kind in READ}
        self.topic_ids = {where.topic: topic_id for where in self.topics.values()}
        self.book = switched_on(BROKEN, breaks, Options(NAMESPACE, 1)).book
        self.opened = self.open()
        self.positions = dict(self.opened.positions)

    def open(self, start: int = 0, end: int = 1_000_000) -> Opened:
        everywhere = self.topics.values()
        log = LogState(self.topic_ids, dict.fromkeys(everywhere, start), dict.fromkeys(everywhere, end))
        return self.store.open(log)

    def apply(self, **records: Sequence[Rec]) -> Batch:
        """One transaction; topics by their short names, `charges=[...]`."""
        batch = Batch(1, self.book)
        end = {}
        for kind, some in records.items():
            batch.add(kind, self.topics[kind], some)
            end[self.topics[kind]] = some[-1].offset + 1
        self.store.apply(batch, {where: self.positions[where] for where in end}, end)
        self.positions.update(end)
        return batch

    def key(self, key: str = "k", now: int = AT + 1) -> dict[str, Any]:
        life = self.read.key(SHOP, key, now)
        assert life is not None, f"nothing is known of the key {key}"
        return life

    def close(self) -> None:
        self.read.close()
        self.store.close()
