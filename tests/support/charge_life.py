"""One charge's life, told by everybody who has an opinion of it: processor, ledger and auditor must agree at each step.

In:      operations and payloads, in order; each is a command of its own, a second after the one before.
Out:     the answer, and `charge`, `balance` and `events` as they are then.
Units:   amounts in minor units.
"""

from types import SimpleNamespace
from typing import Any, NamedTuple

import orjson

from events.charges import ChargeEvent
from events.guarantees import Guarantee
from events.identifiers import charge_id
from events.operations import BY_NAME
from services.ledger import domain as ledger
from services.processor.domain.rules import Rules, Standing
from services.processor.domain.settling import decode, lookups, settle
from simulator.audit import books, rules

MERCHANT = "shop"
RULES = Rules("payments", 0, 1, 86_400_000, Guarantee.EXACTLY_ONCE)
CARD = {"amount": 500, "currency": "usd", "payment_method": "pm_card_visa"}


class Answer(NamedTuple):
    status: int
    body: dict[str, Any]


class Read(NamedTuple):
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class Life:
    def __init__(self) -> None:
        self.charge: dict[str, Any] | None = None
        self.charge_id = ""
        self.balance = ledger.Balance()
        self.events: list[dict[str, Any]] = []
        self._standing = Standing(0, 0)
        self._store: dict[bytes, bytes | None] = {}

    def created(self, **changes: Any) -> Answer:
        """A charge of 500 usd with a card that succeeds, unless said otherwise."""
        (create,) = (name for name, operation in BY_NAME.items() if operation.begins)
        return self.does(create, **{**CARD, **changes})

    def does(self, operation: str, **payload: Any) -> Answer:
        offset = self._standing.position
        clock = 1_700_000_000_000 + offset * 1_000
        command_id = f"00000000-0000-7000-8000-{offset:012d}"
        if BY_NAME[operation].begins:
            self.charge_id = charge_id(MERCHANT, command_id)
        else:
            payload = {"charge_id": self.charge_id, **payload}
        value = {
            "command_id": command_id,
            "type": operation,
            "merchant_id": MERCHANT,
            "idempotency_key": f"key-{offset}",
            "issued_at": clock,
            "deadline_at": clock + 80_000,
            "payload": payload,
        }
        incoming = decode(RULES, [Read(offset, clock, MERCHANT.encode(), orjson.dumps(value))])
        settled = settle(
            RULES, self._standing, incoming, {key: self._store.get(key) for key in lookups(RULES, incoming)}
        )
        self._standing = settled.standing
        self._store.update(settled.writes)
        assert len(settled.replies) == 1, "every command is answered once"
        reply = orjson.loads(settled.replies[0].value or b"")
        answer = Answer(reply["status"], orjson.loads(reply["body"]))
        if settled.dead_letters:
            return answer
        meant = rules.execute(operation, payload, MERCHANT, command_id, clock, self.charge)
        assert meant.status == answer.status, f"the auditor means {meant.status}: {answer}"
        if meant.body is not None:
            assert meant.body == answer.body
        assert [meant.event] == [orjson.loads(event.value or b"")["type"] for event in settled.charges] or (
            meant.event is None and not settled.charges
        )
        for record in settled.charges:
            event = orjson.loads(record.value or b"")
            ChargeEvent.model_validate(event)
            assert (meant.amount, meant.charge) == (event["amount"], event["data"]["charge"])
            assert meant.refund == event["data"].get("refund")
            self._happened(event)
        return answer

    def _happened(self, event: dict[str, Any]) -> None:
        charge = event["data"]["charge"]
        lines = ledger.postings(event["type"], event["amount"], charge["amount"])
        assert ledger.is_balanced(lines)
        seen: Any = SimpleNamespace(**event, charge=charge)
        assert sorted(books.postings(seen)) == sorted((line.account, event["currency"], line.amount) for line in lines)
        assert tuple(books.effect(seen)) == tuple(ledger.effect(lines))
        self.balance = self.balance.plus(ledger.effect(lines))
        self.charge = charge
        self.events.append(event)
