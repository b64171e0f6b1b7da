"""What the customers want: payments of several steps, all decided by the seed.

Out:     for each payment its merchant and its steps; for each step the request, how often it is repeated, and the
         status and code that a single execution must come to.
Units:   minor units.
"""

import random
from dataclasses import dataclass, replace
from typing import Any

DECLINES = ("declined", "insufficient_funds", "expired", "incorrect_cvc", "processing_error")
CURRENCIES = ("eur", "usd", "jpy", "xof")
ODD = " !#$%&'()*+-./:<=>?@[]^_`{|}~\"\\;,"


@dataclass(frozen=True)
class Step:
    """One request under one key; `about` is the step of the same payment that made the charge it is about."""

    action: str
    key: str
    body: dict[str, Any]
    status: int
    code: str | None = None
    about: int | None = None
    unknown_charge: str | None = None
    rival: dict[str, Any] | None = None  # posted at the same moment under the same key: one of the two is refused
    at_once: int = 1  # a double click
    replays: int = 0  # asked again afterwards


@dataclass(frozen=True)
class Payment:
    number: int
    merchant: str
    steps: tuple[Step, ...]


def payments(seed: int, count: int, merchants: list[str]) -> list[Payment]:
    rng = random.Random(f"{seed} payments")
    return [_payment(rng, number, rng.choice(merchants)) for number in range(count)]


def last_round(count: int, merchants: list[str]) -> list[Payment]:
    """One more sale of each merchant, so that the group commits every partition once more after all rewinding."""
    rng = random.Random("last round")
    return [
        Payment(count + at, merchant, (Step("create", f"last-{count + at}", _create(rng), 201),))
        for at, merchant in enumerate(merchants)
    ]


def _payment(rng: random.Random, number: int, merchant: str) -> Payment:
    kinds = {_sale: 54, _declined: 8, _held: 9, _voided: 7, _refunded: 9, _conflict: 6, _rivals: 5, _nowhere: 4}
    make = rng.choices(list(kinds), list(kinds.values()))[0]
    steps = [_repeated(rng, step) for step in make(rng, _Keys(rng, number))]
    return Payment(number, merchant, tuple(steps))


def _repeated(rng: random.Random, step: Step) -> Step:
    if step.rival is not None:
        return step
    at_once = rng.choices((1, 2, 4), (92, 6, 2))[0]
    return replace(step, at_once=at_once, replays=rng.choices((0, 1, 2), (84, 12, 4))[0])


class _Keys:
    """Keys of every form that the contract allows; the payment's number makes them different."""

    def __init__(self, rng: random.Random, number: int) -> None:
        self._rng = rng
        self._number = number
        self._count = 0

    def __call__(self) -> str:
        self._count += 1
        plain = f"{self._number}-{self._count}"
        match self._rng.randrange(5):
            case 0:
                return plain + "".join(self._rng.choices(ODD, k=self._rng.randint(1, 12))) + "."
            case 1:
                return plain.ljust(255, "x")
            case _:
                return f"order-{plain}-{self._rng.getrandbits(32):08x}"


def _create(rng: random.Random, method: str = "visa", **more: Any) -> dict[str, Any]:
    body = {
        "amount": rng.randint(2, 500_000),
        "currency": rng.choice(CURRENCIES),
        "payment_method": f"pm_card_{method}",
        **more,
    }
    if rng.random() < 0.3:
        body["description"] = rng.choice((None, "Tea, 2 × 50 g", 'say "yes"', "Ærø €"))
    if rng.random() < 0.3:
        body["metadata"] = {"z": "1", "a": str(rng.randint(0, 9))}
    items = list(body.items())
    rng.shuffle(items)
    return dict(items)


def _sale(rng: random.Random, key: _Keys) -> list[Step]:
    more = rng.choice(({}, {"capture": True}, {"capture": None}))
    return [Step("create", key(), _create(rng, **more), 201)]


def _declined(rng: random.Random, key: _Keys) -> list[Step]:
    return [Step("create", key(), _create(rng, rng.choice(DECLINES)), 402, "card_declined")]


def _held(rng: random.Random, key: _Keys) -> list[Step]:
    body = _create(rng, capture=False)
    part = rng.randint(1, body["amount"])
    return [
        Step("create", key(), body, 201),
        Step("capture", key(), {"amount": body["amount"] + 1}, 409, "capture_too_large", about=0),
        Step("capture", key(), rng.choice(({"amount": part}, {}, {"amount": None})), 200, about=0),
        Step("void", key(), {}, 409, "charge_already_captured", about=0),
    ]


def _voided(rng: random.Random, key: _Keys) -> list[Step]:
    return [
        Step("create", key(), _create(rng, capture=False), 201),
        Step("refund", key(), {}, 409, "charge_not_captured", about=0),
        Step("void", key(), {}, 200, about=0),
        Step("capture", key(), {}, 409, "charge_already_voided", about=0),
    ]


def _refunded(rng: random.Random, key: _Keys) -> list[Step]:
    body = _create(rng)
    part = rng.randint(1, body["amount"] - 1)
    return [
        Step("create", key(), body, 201),
        Step("refund", key(), {"amount": part}, 201, about=0),
        Step("refund", key(), {"amount": body["amount"]}, 409, "refund_too_large", about=0),
        Step("refund", key(), {}, 201, about=0),
        Step("refund", key(), {"amount": 1}, 409, "charge_already_refunded", about=0),
    ]


def _conflict(rng: random.Random, key: _Keys) -> list[Step]:
    body, name = _create(rng), key()
    other = body | {"amount": body["amount"] + 1}
    return [
        Step("create", name, body, 201),
        Step("create", name, other, 422, "idempotency_key_reused"),
        Step("refund", name, {}, 422, "idempotency_key_reused", about=0),
    ]


def _rivals(rng: random.Random, key: _Keys) -> list[Step]:
    body = _create(rng)
    return [Step("create", key(), body, 201, rival=body | {"amount": body["amount"] + 1})]


def _nowhere(rng: random.Random, key: _Keys) -> list[Step]:
    nobodys = f"ch_{rng.getrandbits(128):032x}"
    return [Step("capture", key(), {}, 404, "charge_not_found", unknown_charge=nobodys)]
