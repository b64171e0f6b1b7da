"""Plays the network to a persona: sends outcomes in, and keeps what it did.

Out:     `play`: all turns of one visit. `HonestSystem`: a network that loses things, before a system that honours
         every key and never charges twice for one.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from simulator.seeded import Chance
from simulator.workload.behaviour import Click, Outcome, Persona, Resend, Turn

CREATED, DECLINED, CONFLICT, OTHER_REQUEST = (Outcome("ok", status) for status in (201, 402, 409, 422))
FAILED, TOO_MANY = Outcome("ok", 500), Outcome("ok", 429, retry_after_ms=1_000.0)
IN_FLIGHT = Outcome("ok", 409, retry_after_ms=1_000.0)
UNAVAILABLE = Outcome("fail", 503, retry_after_ms=1_000.0)
NO_ANSWER_IN_TIME = Outcome("info", 504, retry_after_ms=1_000.0)
UNREACHABLE, DIED, TIMED_OUT = Outcome("fail"), Outcome("info"), Outcome("info", timed_out=True)
OUTCOMES = {
    "created": CREATED,
    "declined": DECLINED,
    "conflict": CONFLICT,
    "other request": OTHER_REQUEST,
    "failed": FAILED,
    "too many": TOO_MANY,
    "in flight": IN_FLIGHT,
    "unavailable": UNAVAILABLE,
    "no answer in time": NO_ANSWER_IN_TIME,
    "unreachable": UNREACHABLE,
    "died": DIED,
    "timed out": TIMED_OUT,
}

Network = Callable[[int, Click], Outcome]


def play(persona: Persona, seed: int, network: Network) -> list[Turn]:
    """All turns of one visit; `network` answers the n-th click (from 1)."""
    script = persona.visit(Chance(f"{seed}"))
    turns: list[Turn] = []
    clicks = 0
    try:
        turn = next(script)
        while True:
            turns.append(turn)
            outcomes = []
            for click in turn:
                clicks += 1
                outcomes.append(network(clicks, click))
            turn = script.send(tuple(outcomes))
    except StopIteration:
        return turns


def clicks_of(turns: list[Turn]) -> list[Click]:
    return [click for turn in turns for click in turn]


def keys_of(turns: list[Turn]) -> set[str | None]:
    return {click.key for click in clicks_of(turns)}


@dataclass
class HonestSystem:
    """Each key is executed once, another amount under it is refused; a third of requests and answers are lost."""

    rng: Chance
    charged: dict[str, int] = field(default_factory=dict)  # by key: what had been added to the amount
    shown: bool = False

    def __call__(self, _number: int, click: Click) -> Outcome:
        if click.if_unanswered and self.shown:
            return Outcome("none")
        for _ in range(1 if click.resend is Resend.NOBODY else 2):
            outcome = self._try(click)
            if not outcome.broken:
                break
        self.shown |= outcome.settles
        return outcome

    def _try(self, click: Click) -> Outcome:
        lost = self.rng.random()
        if lost < 1 / 6:
            return DIED
        added = self.charged.setdefault(click.key, click.add_amount)
        if lost < 1 / 3 or click.vanishes_after_ms is not None:
            return DIED
        return CREATED if added == click.add_amount else OTHER_REQUEST
