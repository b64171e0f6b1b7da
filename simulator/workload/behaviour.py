"""What a customer's browser can do, and what it can see: the vocabulary of the personas.

A persona is a generator. It yields a *turn*: the clicks it makes, side by side. It is sent back one *outcome*
for each click. When it returns, the customer has gone. So a persona does no I/O and reads no clock, and a
test plays the network by sending outcomes in.

Units:   milliseconds.
Source:  Jepsen's split of generator and interpreter; its three-valued outcomes.
"""

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator
from enum import StrEnum
from typing import Any, Final, NamedTuple

from simulator.seeded import Chance

TRIES_MAX: Final = 8
AMOUNT_MAX: Final = 999_999_999_999  # of a request


class Resend(StrEnum):
    """Who sends the very same bytes again, once and on a new connection, without the page's knowing."""

    NOBODY = "nobody"
    CLIENT = "client"  # a browser or OkHttp: a kept connection died before the answer began; to the same gateway
    PROXY = "proxy"  # a reverse proxy: any connection that died before the answer began; to the next gateway


class Click(NamedTuple):
    """One HTTP request: sent after `delay_ms`, waited for `patience_ms`; a key of None is none.

    With `vanishes_after_ms` the customer's connection is gone that long after the request was sent. `add_amount`
    is what the customer has added to the amount since (where the request has one): still one payment, of the
    latest amount. With `if_unanswered` the click is not made once an answer has been shown. There are few values of
    `patience_ms`: a load process has one queue for each.
    """

    key: str | None
    delay_ms: float = 0.0
    patience_ms: float = 4_000.0
    vanishes_after_ms: float | None = None
    add_amount: int = 0
    if_unanswered: bool = False
    resend: Resend = Resend.NOBODY

    def changed(self, payload: dict[str, Any]) -> dict[str, Any]:
        """The request as this click makes it."""
        if not self.add_amount or "amount" not in payload:
            return payload
        return {**payload, "amount": min(AMOUNT_MAX, payload["amount"] + self.add_amount)}


class Outcome(NamedTuple):
    """`ok`: an answer came. `fail`: it provably did not happen. `info`: nobody knows. `none`: it was not clicked.

    `status` is None when no answer came: nobody could be reached, the connection died, or, with `timed_out`, the
    customer waited in vain. `retry_after_ms` is what the answer's Retry-After says: it decides nothing then, and
    asks for the same request later.
    """

    kind: str
    status: int | None = None
    retry_after_ms: float | None = None
    timed_out: bool = False

    @property
    def come_back(self) -> bool:
        return self.retry_after_ms is not None

    @property
    def broken(self) -> bool:
        """What client libraries call a network error: no answer, and not because the waiting ended."""
        return self.kind in ("fail", "info") and self.status is None and not self.timed_out

    @property
    def settles(self) -> bool:
        """Whether a customer takes this for the end of the story: every answer but "come back later"."""
        return self.kind == "ok" and self.status is not None and not self.come_back and self.status < 500


Turn = tuple[Click, ...]
Visit = Generator[Turn, tuple[Outcome, ...], None]


class Expects(StrEnum):
    """What a system that honours every key does for a kind of customer."""

    CHARGED_ONCE = "charged once: asks under one key until an answer comes"
    LEFT_IN_DOUBT = "charged once at most: gives up early, perhaps without knowing what became of the payment"
    OVERCHARGED = "may be charged twice: the client sends one payment under several keys, and each is honoured"
    UNPROTECTED = "sends no key: refused where one is required, charged for every attempt where none is"


class Persona(ABC):
    """A kind of customer. `weight` is its share among all customers, relative to the others' weights.

    A weight of 0 is a kind that comes only when a scenario asks for it.
    """

    name: str
    help: str  # one line
    expects: Expects
    weight: int = 0

    @property
    def is_bug(self) -> bool:
        """Whether no server can protect this customer from the client."""
        return self.expects is Expects.OVERCHARGED

    @abstractmethod
    def visit(self, rng: Chance) -> Visit:
        """Try to get one payment operation done; every choice comes from `rng`."""


def new_key(rng: Chance) -> str:
    """A version 4 UUID, as browsers mint them, but from the seed."""
    drawn = rng.bits(128) & ~(0xF000 << 64 | 0xC000 << 48) | 0x4000 << 64 | 0x8000 << 48
    text = f"{drawn:032x}"  # a third of what uuid.UUID takes
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def minted(rng: Chance, *, kept: bool) -> Iterator[str]:
    """The key of each next request: one that was kept, or each time a new one."""
    key = new_key(rng)
    while True:
        yield key
        if not kept:
            key = new_key(rng)


def insist(rng: Chance, keys: Iterator[str | None], like: Click, tries: int = TRIES_MAX) -> Visit:
    """Ask like this, under the next key, until an answer settles it or `tries` are over; back off in between."""
    delay_ms = like.delay_ms
    for attempt in range(1, tries + 1):
        (outcome,) = yield (like._replace(key=next(keys), delay_ms=delay_ms),)
        if outcome.settles:
            return
        delay_ms = backoff_ms(rng, attempt)


def backoff_ms(rng: Chance, attempt: int, first_ms: float = 250.0, most_ms: float = 2_000.0) -> float:
    """The wait before retry number `attempt` (1, 2, …): doubling, capped, and jittered down to a half.

    Source:  stripe-python, `_sleep_time_seconds`: min(0.5·2^(n-1), 5) times a factor in [0.5, 1]; ours is
    shorter, so
             that a run of half a minute sees whole stories.
    """
    ceiling_ms: float = min(first_ms * 2.0 ** (attempt - 1), most_ms)
    return ceiling_ms * rng.uniform(0.5, 1.0)
