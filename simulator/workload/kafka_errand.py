"""One customer trying to get one step done by commands on the log: the persona's script, turn by turn.

In:      outcomes of attempts, in whatever order they come.
Out:     the next turn of clicks; the commands, and the lines that the history gets, as JSON text.
Units:   seconds of the monotonic clock; history instants in Unix milliseconds.
Errors:  none. It reads no clock and sends nothing: `kafka_load` does.

What is said in several places (the payload, the names) is encoded once, and put together as text: a dictionary and an
encoder for each line would cost twice as much.
"""

from typing import NamedTuple

import orjson

from simulator.workload.behaviour import Click, Outcome, Turn
from simulator.workload.kafka_door import Letter
from simulator.workload.personas import BY_NAME
from simulator.workload.plan import Purchase, customer_rng

_MISSING = Outcome("none")


def json_of(value: object) -> str:
    return orjson.dumps(value).decode()


class End(NamedTuple):
    """What became of an attempt, in the words of the history: `reason` for all but an answer."""

    kind: str
    status: int | None = None
    replayed: bool = False
    body: str = ""
    reason: str = ""


class Attempt(Letter):
    """One command: `place` is its click's among those of the turn, `abandons` that the customer leaves by plan."""

    __slots__ = ("abandons", "due", "errand", "number", "place")

    def __init__(self, errand: "Errand", number: int, place: int, due: float, command: tuple[bytes, bytes]) -> None:
        super().__init__(command[0], errand.merchant.key, command[1])
        self.errand = errand
        self.number = number
        self.place = place
        self.due = due
        self.abandons = False


class Merchant(NamedTuple):
    """Who is paid, in the three forms that a command needs."""

    key: bytes
    text: str  # JSON
    partition: int


class Errand:
    __slots__ = (
        "_asked", "_attempts", "_intent", "_missing", "_outcomes", "_script", "answer", "charge_id", "merchant",
        "number", "over", "payload", "purchase", "since", "step", "turn_at",
    )  # fmt: skip

    def __init__(
        self, purchase: Purchase, merchant: Merchant, number: int, charge_id: str | None, seed: int, since: float
    ) -> None:
        self.purchase = purchase
        self.merchant = merchant
        self.number = number
        self.step = step = purchase.step(number)
        self._asked = step.payload if charge_id is None else {**step.payload, "charge_id": charge_id}
        self._intent = json_of(step.intent)
        self.charge_id = charge_id
        self.payload = json_of(self._asked)
        self.since = since
        self.turn_at = since
        self.answer: tuple[int, str] | None = None  # the first that settled it
        self.over = False
        self._script = BY_NAME[purchase.persona].visit(customer_rng(seed, step.intent))
        self._attempts = 0
        self._outcomes: list[Outcome] = []
        self._missing = 0

    def asking(self, click: Click) -> str:
        """What this click asks for, as JSON: the amount may have changed."""
        return json_of(click.changed(self._asked)) if click.add_amount else self.payload

    def begin(self) -> Turn:
        return self._turn(next(self._script))

    def attempt(self, place: int, due: float, command_id: bytes, value: bytes) -> Attempt:
        """The click at this place of the turn is made."""
        self._attempts += 1
        return Attempt(self, self._attempts, place, due, (command_id, value))

    def heard(self, place: int, outcome: Outcome, now: float) -> Turn | None:
        """What became of one click, told once; the next turn when it was the last that was missing, if there is one."""
        self._outcomes[place] = outcome
        self._missing -= 1
        if self._missing:
            return None
        self.turn_at = now
        try:
            return self._turn(self._script.send(tuple(self._outcomes)))
        except StopIteration:
            self.over = True
            return None

    def _turn(self, turn: Turn) -> Turn:
        self._missing = len(turn)
        self._outcomes = [_MISSING] * self._missing
        return turn

    def charge_id_after(self) -> str | None:
        """The charge that what follows is about; None when there is none, and nothing follows."""
        if self.answer is None or self.answer[0] not in (200, 201):
            return None
        if self.number > 0:
            return self.charge_id
        try:
            charge_id = orjson.loads(self.answer[1])["id"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return None
        return charge_id if isinstance(charge_id, str) else None

    # -- what is said -----------------------------------------------------------------------------------------

    def command(self, command_id: str, key: str, payload: str, at: int, deadline_at: int) -> bytes:
        """CONTRACT's command; `key` and `payload` are JSON."""
        return (
            f'{{"command_id":"{command_id}","type":"{self.step.operation}","merchant_id":{self.merchant.text},'
            f'"idempotency_key":{key},"issued_at":{at},"deadline_at":{deadline_at},"payload":{payload}}}'
        ).encode()

    def meant(self, at: int, planned_at: int) -> str:
        return (
            f'{{"kind":"intent","intent":{self._intent},"at":{at},"planned_at":{planned_at},'
            f'"merchant_id":{self.merchant.text},"operation":"{self.step.operation}","payload":{self.payload},'
            f'"persona":"{self.purchase.persona}"}}\n'
        )

    def invoked(self, attempt: Attempt, command_id: str, key: str, payload: str, at: int, planned_at: int) -> str:
        return (
            f'{{"kind":"invoke","intent":{self._intent},"attempt":{attempt.number},"at":{at},'
            f'"planned_at":{planned_at},"merchant_id":{self.merchant.text},"idempotency_key":{key},'
            f'"operation":"{self.step.operation}","payload":{payload},"gateway":null,"command_id":"{command_id}"}}\n'
        )

    def ended(self, attempt: Attempt, end: End, at: int) -> str:
        head = f'{{"kind":"{end.kind}","intent":{self._intent},"attempt":{attempt.number},"at":{at},'
        if end.kind == "ok":
            replayed = "true" if end.replayed else "false"
            return f'{head}"status":{end.status},"replayed":{replayed},"body":{json_of(end.body)}}}\n'
        status = '"status":null,' if end.kind == "fail" else ""
        return f'{head}{status}"reason":{json_of(end.reason)}}}\n'
