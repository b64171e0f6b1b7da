"""What a right processor appends for one executed command, to the byte.

In:      a command as `Asked`, its outcome by the auditor's own rules.
Out:     the values of its event, its key record and its reply, as CONTRACT, "The log" writes them.
Units:   Unix milliseconds; money in minor units.

Members stand in the order in which CONTRACT names them, without white space. JSON does not promise that: a record that
says the same in other bytes is as right, and is looked at member by member (`simulator.audit.examine`).
"""

from typing import Any, NamedTuple

import orjson

from simulator.audit import rules


class Asked(NamedTuple):
    """One command. What may have to be escaped is a JSON text already, with its quotes."""

    merchant: str  # has nothing to escape
    command: str  # JSON
    key: str  # JSON; null without one
    operation: str
    offset: int
    clock: int


def text(value: str | None) -> str:
    """As it stands in JSON."""
    return orjson.dumps(value).decode()


def event(asked: Asked, event_id: str, outcome: rules.Outcome, charge: str, sequence: int) -> bytes:
    """`charge` is the whole charge after it, in its canonical form."""
    after: dict[str, Any] | None = outcome.charge
    assert after is not None
    refund = "" if outcome.refund is None else f',"refund":{orjson.dumps(outcome.refund).decode()}'
    return (
        f'{{"event_id":"{event_id}","type":"{outcome.event}","charge_id":{text(after["id"])},'
        f'"merchant_id":"{asked.merchant}","amount":{outcome.amount},"currency":{text(outcome.currency)},'
        f'"sequence":{sequence},"occurred_at":{asked.clock},"command_id":{asked.command},'
        f'"idempotency_key":{asked.key},"data":{{"charge":{charge}{refund}}}}}'
    ).encode()


def key_record(
    asked: Asked, event_id: str, fingerprint: str, status: int, body: str, charge_id: str, ttl_ms: int
) -> bytes:
    """`body` is the answer as a JSON text."""
    return (
        f'{{"merchant_id":"{asked.merchant}","idempotency_key":{asked.key},"operation":"{asked.operation}",'
        f'"fingerprint":"{fingerprint}","status":{status},"body":{body},"charge_id":{text(charge_id)},'
        f'"event_id":"{event_id}","command_id":{asked.command},"offset":{asked.offset},'
        f'"completed_at":{asked.clock},"expires_at":{asked.clock + ttl_ms}}}'
    ).encode()


def reply(asked: Asked, status: int, body: str, *, replayed: bool) -> bytes:
    """`body` is the answer as a JSON text."""
    return (
        f'{{"command_id":{asked.command},"merchant_id":"{asked.merchant}","idempotency_key":{asked.key},'
        f'"status":{status},"replayed":{"true" if replayed else "false"},"body":{body}}}'
    ).encode()
