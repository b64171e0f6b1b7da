"""Old copies of requests arrive again, long after their answers.

Copies a network that kept a packet for a while. With `delay` longer than the life of the keys (`key_ttl`) the copy
comes when its key has been forgotten: by the contract it is a new request then, and charges again whatever the
guarantee. The customer meant it once, so the auditor must know of it: each copy is a hit that says which request it
was, when it had passed, when it came again and what it was answered.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from simulator.durations import Seconds, write_seconds
from simulator.faults.base import Cadence, Fault, Injection, Scene, Share
from simulator.faults.copies import Copies
from simulator.faults.http_link import Draw, standing_on
from simulator.proxy.copies import RecordedRequest, Recording
from simulator.proxy.toxic import Passage, Toxic, Treatment

ANSWERED_S = 5.0  # a copy whose request is not answered by then waits no longer
# A strike may last 60 s longer than planned: these two together leave time for the answer to the copy.
DELAY_S_MAX = 45.0


class DeliverLate(Fault):
    fault: Literal["deliver_late"] = "deliver_late"
    cadence: ClassVar = Cadence(first_s=2.0, every_s=9.0, share=0.10, lasts_s=4.0)
    on_http: ClassVar = True

    delay: Annotated[Seconds, Field(description="From the answer to the copy's arrival; 45s at most.")] = 3.0
    share: Annotated[Share, Field(description="Of the requests, while it lasts.")] = 0.05
    most: Annotated[int, Field(ge=1, le=10_000, description="Copies that are kept at the same time.")] = 500

    @field_validator("delay")
    @classmethod
    def _is_kept_so_long(cls, delay_s: float) -> float:
        if delay_s > DELAY_S_MAX:
            raise ValueError(f"a copy is kept for {write_seconds(DELAY_S_MAX)} at most")
        return delay_s

    async def inject(self, scene: Scene, injection: Injection) -> None:
        async with Copies(scene, injection) as copies:
            keeping = _Keeping(self, Draw(injection, self.share), copies)
            with standing_on(scene.proxies, keeping):
                await scene.lasts(injection.lasts_s)
                keeping.full = True
                await keeping.all_answered()


@dataclass(eq=False)
class _Keeping(Toxic):
    fault: DeliverLate
    draw: Draw
    copies: Copies
    full: bool = False  # no more are kept
    unanswered: dict[int, asyncio.Event] = field(default_factory=dict)  # by exchange

    def begins(self, passage: Passage) -> Treatment | None:
        if passage.direction == "response":
            answered = self.unanswered.pop(passage.exchange, None)
            if answered is not None:
                answered.set()
            return None
        if self.full or len(self.copies) >= self.fault.most or not self.draw.falls():
            return None
        return Recording(passage, lambda request: self._whole(passage.exchange, request))

    def _whole(self, exchange: int, request: RecordedRequest) -> None:
        if request.method == "POST":  # anything else charges nobody
            self.draw.sure = True
            answered = self.unanswered[exchange] = asyncio.Event()
            self.copies.send(request, lambda: self._due(exchange, answered))

    async def _due(self, exchange: int, answered: asyncio.Event) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(answered.wait(), ANSWERED_S)
        self.unanswered.pop(exchange, None)
        await asyncio.sleep(self.fault.delay)

    async def all_answered(self) -> None:
        """Each of those that were kept, or its time to be answered is over."""
        while self.unanswered:
            with suppress(TimeoutError):
                await asyncio.wait_for(next(iter(self.unanswered.values())).wait(), ANSWERED_S)
