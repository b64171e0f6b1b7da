"""What the faults on the link between customers and gateways have in common.

A fault there is a toxic (`simulator/proxy/toxic.py`) that stands on every proxy while the strike lasts. Several stand
one behind the other; none disturbs another.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from simulator.faults.base import Injection
from simulator.proxy.http import HttpLossProxy
from simulator.proxy.toxic import Direction, Passage, Toxic, Treatment

Manner = Literal["reset", "silence"]
Of = Annotated[Literal["requests", "answers", "both"], Field(description="Which messages it meets.")]


def meets(of: Of, direction: Direction) -> bool:
    return of in ("both", "requests" if direction == "request" else "answers")


@contextmanager
def standing_on(proxies: Sequence[HttpLossProxy], toxic: Toxic) -> Iterator[None]:
    """While it stands there it is asked; afterwards it holds nothing back."""
    for proxy in proxies:
        proxy.add(toxic)
    try:
        yield
    finally:
        for proxy in proxies:
            proxy.remove(toxic)


@dataclass
class Draw:
    """Which of many are hit: a share of them by chance, and the first one always, so that what was planned bites."""

    injection: Injection
    share: float
    sure: bool = False  # one was hit already, or will be without fail

    def falls(self) -> bool:
        return not (self.sure or self.injection.hits) or self.injection.rng.random() < self.share


class Lost(Treatment):
    """Nothing of the message goes on, and it was hit. In silence, until the customer loses patience."""

    def __init__(self, passage: Passage, injection: Injection, manner: Manner) -> None:
        super().__init__(passage)
        self._injection = injection
        self._manner = manner
        self._told = False

    def take(self, part: bytes) -> None:
        if self._told:
            return
        self._told = True
        self._injection.hit(
            gateway=self.passage.gateway, of=self.passage.direction, manner=self._manner, bytes=len(part)
        )
        if self._manner == "reset":
            self.passage.reset()
