"""Key records and charge events as a processor leaves them on the log, made without one: many, and quickly.

In:      a namespace's topics, how many keys, how far apart their clocks are.
Out:     the records of `keys` and `charges` of every partition, `@position` the last of each `keys`.
Units:   milliseconds.
Source:  CONTRACT, "The log". That they are the very bytes a processor writes for the same command is a test's
         business (tests/unit/test_large_log.py).

The commands themselves are not on the log: the position is 0, and the first command to come executes there.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import Final

import orjson

from events.identifiers import POSITION_KEY
from events.instants import rfc3339
from events.partitioner import partition_of
from events.topics import topic_name
from services.kafka.port import Outgoing, TopicPartition

MERCHANTS: Final = 64
PORTION: Final = 20_000  # pairs made at once
_EVENT = "charge.succeeded"

Loads = dict[TopicPartition, list[Outgoing]]


def command(number: int, now_ms: int) -> dict[str, object]:
    """The command that a pair is the outcome of."""
    merchant, key, command_id = _names(number, now_ms)
    return {
        "command_id": command_id,
        "type": "charge.create",
        "merchant_id": merchant,
        "idempotency_key": key,
        "issued_at": now_ms,
        "deadline_at": now_ms + 80_000,
        "payload": {
            "amount": 100 + number % 100_000,
            "currency": "eur",
            "payment_method": "pm_card_visa",
            "description": f"order {number}",
            "metadata": {"order": str(number), "shop": merchant},
        },
    }


def merchant_of(number: int) -> str:
    return f"merchant{number % MERCHANTS}"


def command_loads(namespace: str, partitions: int, first: int, count: int, now_ms: int) -> Loads:
    """Commands of these numbers, for each partition of `commands`."""
    loads: Loads = {}
    for number in range(first, first + count):
        merchant = merchant_of(number).encode()
        where = TopicPartition(topic_name(namespace, "commands"), partition_of(merchant, partitions))
        loads.setdefault(where, []).append(Outgoing(merchant, orjson.dumps(command(number, now_ms))))
    return loads


def _names(number: int, now_ms: int) -> tuple[str, str, str]:
    """Merchant, key and command id; the last two (UUID versions 4 and 7) are spread as chance would spread them."""
    noise = sha256(b"%d" % number).hexdigest()
    key = f"{noise[18:26]}-{noise[26:30]}-4{noise[30:33]}-9{noise[33:36]}-{noise[36:48]}"
    at = f"{now_ms:012x}"
    return merchant_of(number), key, f"{at[:8]}-{at[8:]}-7{noise[:3]}-8{noise[3:6]}-{noise[6:18]}"


def pair(namespace: str, number: int, offset: int, now_ms: int, window_ms: int) -> tuple[Outgoing, Outgoing]:
    """The key record and the charge event of `command(number, now_ms)`, executed at that offset and clock."""
    merchant, key, command_id = _names(number, now_ms)
    amount = 100 + number % 100_000
    derived = f"\0{merchant}\0{command_id}".encode()
    charge_id = "ch_" + sha256(b"ch" + derived).hexdigest()[:32]
    event_id = "evt_" + sha256(b"evt" + derived).hexdigest()[:32]
    asked = (
        f'{{"payload":{{"amount":{amount},"currency":"eur","description":"order {number}","metadata":'
        f'{{"order":"{number}","shop":"{merchant}"}},"payment_method":"pm_card_visa"}},"type":"charge.create"}}'
    )
    charge = (
        f'{{"amount":{amount},"amount_captured":{amount},"amount_refunded":0,"captured":true,"created_at":{now_ms},'
        f'"currency":"eur","description":"order {number}","id":"{charge_id}","merchant_id":"{merchant}",'
        f'"metadata":{{"order":"{number}","shop":"{merchant}"}},"object":"charge","payment_method":"pm_card_visa",'
        '"status":"succeeded"}'
    )
    body = charge.replace('"', '\\"')
    key_record = (
        f'{{"merchant_id":"{merchant}","idempotency_key":"{key}","operation":"charge.create",'
        f'"fingerprint":"{sha256(asked.encode()).hexdigest()}","status":201,"body":"{body}","charge_id":"{charge_id}",'
        f'"event_id":"{event_id}","command_id":"{command_id}","offset":{offset},"completed_at":{now_ms},'
        f'"expires_at":{now_ms + window_ms}}}'
    )
    event = (
        f'{{"event_id":"{event_id}","type":"{_EVENT}","charge_id":"{charge_id}","merchant_id":"{merchant}",'
        f'"amount":{amount},"currency":"eur","sequence":1,"occurred_at":{now_ms},"command_id":"{command_id}",'
        f'"idempotency_key":"{key}","data":{{"charge":{charge}}}}}'
    )
    headers = (
        ("ce_specversion", b"1.0"),
        ("ce_id", event_id.encode()),
        ("ce_source", f"/{namespace}/{merchant}".encode()),
        ("ce_type", b"payonce.charge.succeeded.v1"),
        ("ce_time", rfc3339(now_ms).encode()),
    )
    return (
        Outgoing(f"{merchant}/{key}".encode(), key_record.encode(), ()),
        Outgoing(charge_id.encode(), event.encode(), headers),
    )


def portions(
    namespace: str, partitions: int, keys: int, first_ms: int, last_ms: int, window_ms: int, first: int = 0
) -> Iterator[Loads]:
    """All of it, some at a time; the clocks go evenly from first_ms to last_ms.

    Those that do not begin at the first number go on where the log is, and say nothing of the position.
    """
    home = [partition_of(merchant_of(number).encode(), partitions) for number in range(MERCHANTS)]
    offsets = [0] * partitions
    for begin in range(0, keys, PORTION):
        loads: Loads = {}
        for number in range(first + begin, first + min(begin + PORTION, keys)):
            partition = home[number % MERCHANTS]
            now_ms = first_ms + (last_ms - first_ms) * (number - first) // keys
            key_record, event = pair(namespace, number, offsets[partition], now_ms, window_ms)
            offsets[partition] += 1
            loads.setdefault(TopicPartition(topic_name(namespace, "keys"), partition), []).append(key_record)
            loads.setdefault(TopicPartition(topic_name(namespace, "charges"), partition), []).append(event)
        yield loads
    if first:
        return
    standing = orjson.dumps({"position": 0, "clock": last_ms, "window_ms": window_ms})
    yield {
        TopicPartition(topic_name(namespace, "keys"), one): [Outgoing(POSITION_KEY, standing)]
        for one in range(partitions)
    }
