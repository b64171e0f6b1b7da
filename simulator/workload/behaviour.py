"""What a customer's browser can do, and what it can see: the vocabulary of the personas.

A persona is a generator. It yields a *turn*: the clicks it makes, side by side. It is sent back one *outcome*
for each click. When it returns, the customer has gone. So a persona does no I/O and reads no clock, and a
test plays the network by sending outcomes in.

Units:   milliseconds.
Source:  Jepsen's split of generator and interpreter; its three-valued outcomes.
"""

import uuid
from collections.abc import Generator
from dataclasses import dataclass
from random import Random
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Click:
    """One HTTP request: sent after `delay_ms`, waited for `patience_ms`.

    With `vanishes_after_ms` the customer's connection is gone that long after the request was sent.
    """

    key: str
    delay_ms: float = 0.0
    patience_ms: float = 4_000.0
    vanishes_after_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """`ok`: an answer came. `fail`: it provably did not happen. `info`: nobody knows.

    `come_back` says that the answer carried Retry-After: it decides nothing, and asks for the same request
    later.
    """

    kind: str
    status: int | None = None
    come_back: bool = False

    @property
    def settles(self) -> bool:
        """Whether a customer takes this for the end of the story: every answer but "come back later"."""
        return self.kind == "ok" and self.status is not None and not self.come_back and self.status < 500


Turn = tuple[Click, ...]
Visit = Generator[Turn, tuple[Outcome, ...], None]


class Persona(Protocol):
    """A kind of customer. `weight` is its share among all customers, relative to the others' weights."""

    name: str
    weight: int

    def visit(self, rng: Random) -> Visit:
        """Try to get one payment operation done; every choice comes from `rng`."""
        ...


def new_key(rng: Random) -> str:
    """A version 4 UUID, as browsers mint them, but from the seed."""
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def backoff_ms(rng: Random, attempt: int, first_ms: float = 250.0, most_ms: float = 2_000.0) -> float:
    """The wait before retry number `attempt` (1, 2, …): doubling, capped, and jittered down to a half.

    Source:  stripe-python, `_sleep_time_seconds`: min(0.5·2^(n-1), 5) times a factor in [0.5, 1]; ours is
    shorter, so
             that a run of half a minute sees whole stories.
    """
    ceiling_ms: float = min(first_ms * 2.0 ** (attempt - 1), most_ms)
    return ceiling_ms * rng.uniform(0.5, 1.0)
