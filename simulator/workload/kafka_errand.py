"""One customer trying to get one step done by commands on the log: the persona's script, turn by turn.

In:      outcomes of attempts, in whatever order they come.
Out:     the next turn of clicks; the lines that the history gets.
Units:   seconds of the monotonic clock; history instants in Unix milliseconds.
Errors:  none. It reads no clock and sends nothing: `kafka_load` does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from simulator.workload.behaviour import Click, Outcome, Turn
from simulator.workload.kafka_door import Letter
from simulator.workload.personas import BY_NAME
from simulator.workload.plan import Purchase, customer_rng


@dataclass(eq=False, slots=True)
class Attempt:
    """One command: `place` is its click's among those of the turn, `abandons` that the customer leaves by plan."""

    errand: "Errand"
    number: int
    place: int
    letter: Letter
    due: float
    abandons: bool = False


class Errand:
    __slots__ = (
        "_asked", "_attempts", "_outcomes", "_script", "answer", "charge_id", "number", "open", "over", "payload",
        "purchase", "since", "step", "turn_at",
    )  # fmt: skip

    def __init__(self, purchase: Purchase, number: int, charge_id: str | None, seed: int, since: float) -> None:
        self.purchase = purchase
        self.number = number
        self.step = purchase.steps[number]
        self._asked = self.step.payload if charge_id is None else {**self.step.payload, "charge_id": charge_id}
        self.charge_id = charge_id
        self.payload = orjson.Fragment(orjson.dumps(self._asked))  # encoded once; three lines and commands carry it
        self.since = since
        self.turn_at = since
        self.answer: tuple[int, str] | None = None  # the first that settled it
        self.over = False
        self._script = BY_NAME[purchase.persona].visit(customer_rng(seed, self.step.intent))
        self._attempts = 0
        self._outcomes: list[Outcome | None] = []

    def asking(self, click: Click) -> orjson.Fragment:
        """What this click asks for: the amount may have changed."""
        return orjson.Fragment(orjson.dumps(click.changed(self._asked))) if click.add_amount else self.payload

    def begin(self) -> Turn:
        return self._turn(next(self._script))

    def attempt(self, place: int, letter: Letter, due: float) -> Attempt:
        """The click at this place of the turn is made."""
        self._attempts += 1
        return Attempt(self, self._attempts, place, letter, due)

    def heard(self, place: int, outcome: Outcome, now: float) -> Turn | None:
        """What became of one click; the next turn when it was the last that was missing, if there is one."""
        self._outcomes[place] = outcome
        outcomes = [known for known in self._outcomes if known is not None]
        if len(outcomes) < len(self._outcomes):
            return None
        self.turn_at = now
        try:
            return self._turn(self._script.send(tuple(outcomes)))
        except StopIteration:
            self.over = True
            return None

    def _turn(self, turn: Turn) -> Turn:
        self._outcomes = [None] * len(turn)
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

    # -- lines of the history ------------------------------------------------------------------------------

    def meant(self, at: int, planned_at: int) -> Mapping[str, Any]:
        return {
            "kind": "intent",
            "intent": self.step.intent,
            "at": at,
            "planned_at": planned_at,
            "merchant_id": self.purchase.merchant_id,
            "operation": self.step.operation,
            "payload": self.payload,
            "persona": self.purchase.persona,
        }

    def invoked(self, attempt: Attempt, key: str | None, payload: orjson.Fragment, at: int) -> Mapping[str, Any]:
        return {
            "kind": "invoke",
            "intent": self.step.intent,
            "attempt": attempt.number,
            "at": at,
            "merchant_id": self.purchase.merchant_id,
            "idempotency_key": key,
            "operation": self.step.operation,
            "payload": payload,
            "gateway": None,
            "command_id": attempt.letter.command_id.decode(),
        }

    def ended(self, attempt: Attempt, end: Mapping[str, Any], at: int) -> Mapping[str, Any]:
        return {"kind": end["kind"], "intent": self.step.intent, "attempt": attempt.number, "at": at, **end}
