"""What may happen to traffic between Kafka's clients and a broker: rules for single requests, conditions of the wire.

In:      who is meant: whoever's client id contains `client` ("" for everybody).
Out:     what was done, as counts and as the requests themselves: the proof that it bit.
Units:   milliseconds, bytes.
Source:  Toxiproxy's toxics (latency, bandwidth, timeout) as conditions; a rule is aimed at a moment of the protocol.

A rule counts down and then is gone. A condition holds until it is taken away. Both are objects of whoever made them.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from random import Random
from typing import Final

from kio.static.protocol import ResponsePayload

from simulator.proxy.kafka_frames import SeenRequest

SEEN_MAX: Final = 1_000  # requests that a rule keeps; it bites on without keeping more
ALWAYS: Final = 1_000_000_000  # `times` of a rule that bites until it is taken away


class Act(Enum):
    """What a rule does to the request it bites."""

    LOSE_REQUEST = auto()  # the broker never sees it; the connection breaks, or stays silent
    LOSE_ANSWER = auto()  # the broker did it, and the client is not told
    DELAY_REQUEST = auto()
    DELAY_ANSWER = auto()
    REPEAT_REQUEST = auto()  # a second copy arrives right behind the first's answer
    HOLD_REQUEST = auto()  # it arrives when `release` is called, long after the client has given up
    BEGIN_CONDITION = auto()  # `condition` holds from this very request on
    WATCH_ANSWER = auto()  # nothing is done to it; it bites when the broker has answered


BITES_AT_ANSWER: Final = frozenset({Act.LOSE_ANSWER, Act.REPEAT_REQUEST, Act.WATCH_ANSWER})


@dataclass(eq=False, slots=True)
class Condition:
    """How the wire is, in both directions, while it holds; several at once add up."""

    client: str = ""
    latency_ms: float = 0.0  # each way
    jitter_ms: float = 0.0  # more or less than that, at most
    bytes_per_s: float | None = None  # of each connection, each way
    silent: bool = False  # nothing arrives; what was sent does once it is over, as TCP sends again
    rng: Random = field(default_factory=Random)
    frames: int = 0
    bytes: int = 0
    held_ms_max: float = 0.0
    clients: set[str] = field(default_factory=set)

    def concerns(self, client_id: str) -> bool:
        return self.client in client_id

    def latency_s(self) -> float:
        """Of one frame."""
        return max(0.0, self.latency_ms + self.rng.uniform(-self.jitter_ms, self.jitter_ms)) / 1000

    def met(self, client_id: str, size: int) -> None:
        """A frame of this client came while it held."""
        self.frames += 1
        self.bytes += size
        self.clients.add(client_id)


@dataclass(eq=False, slots=True)
class Rule:
    """Bites the next `times` requests called `request` ("" for any) whose client id contains `client`."""

    act: Act
    request: str
    client: str = ""
    times: int = 1
    delay_ms: float = 0
    cut: bool = True  # break the connection after a loss; otherwise it stays open and silent
    condition: Condition | None = None
    decide: Callable[[], bool] = lambda: True  # asked for each request that it could bite
    on_bite: Callable[[SeenRequest], None] = lambda _: None
    bitten: asyncio.Event = field(default_factory=asyncio.Event)
    seen: list[SeenRequest] = field(default_factory=list)
    late_answers: list[ResponsePayload] = field(default_factory=list)

    def bites(self, request: SeenRequest) -> bool:
        fits = self.times > 0 and self.request in ("", request.name) and self.client in request.client_id
        return fits and self.decide()

    def takes(self, request: SeenRequest) -> None:
        self.times -= 1
        if len(self.seen) < SEEN_MAX:
            self.seen.append(request)
        if self.act not in BITES_AT_ANSWER:
            self.bit(request)

    def bit(self, request: SeenRequest) -> None:
        self.bitten.set()
        self.on_bite(request)
