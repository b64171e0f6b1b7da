"""The link is slow: what is sent arrives later, each message by its own delay.

Copies a customer far away or on a crowded line. Nothing is lost: when the fault ends, also when it is cancelled, what
is still on its way arrives at once. Customers who have less patience than the link has latency ask again.

Source:  Toxiproxy's `latency`: latency ± jitter, in one direction or in both.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from simulator.durations import Seconds
from simulator.faults.base import Cadence, Fault, Injection, Scene, Share
from simulator.faults.http_link import Draw, Of, meets, standing_on
from simulator.proxy.toxic import Passage, Toxic, Treatment


class SlowLink(Fault):
    fault: Literal["slow_link"] = "slow_link"
    cadence: ClassVar = Cadence(first_s=2.0, every_s=10.0, share=0.10, lasts_s=5.0)
    on_http: ClassVar = True

    latency: Annotated[Seconds, Field(description="How much later a message arrives, one way.")] = 0.2
    jitter: Annotated[Seconds, Field(description="More or less than that, evenly; never before it was sent.")] = 0.05
    share: Annotated[Share, Field(description="Of the messages, while it lasts.")] = 1.0
    of: Of = "both"

    async def inject(self, scene: Scene, injection: Injection) -> None:
        with standing_on(scene.proxies, _Slow(self, Draw(injection, self.share))):
            await scene.lasts(injection.lasts_s)


@dataclass(eq=False)
class _Slow(Toxic):
    fault: SlowLink
    draw: Draw

    def begins(self, passage: Passage) -> Treatment | None:
        fault, injection = self.fault, self.draw.injection
        if not meets(fault.of, passage.direction) or not self.draw.falls():
            return None
        self.draw.sure = True
        delay_s = max(0.0, fault.latency + injection.rng.uniform(-fault.jitter, fault.jitter))

        def late(by_s: float, size: int) -> None:
            injection.hit(
                gateway=passage.gateway,
                of=passage.direction,
                manner="late",
                delay_ms=round(by_s * 1_000.0, 1),
                bytes=size,
            )

        return _Delayed(passage, delay_s, late)


class _Delayed(Treatment):
    """The first bytes wait, and those that come meanwhile wait behind them."""

    def __init__(self, passage: Passage, delay_s: float, late: Callable[[float, int], None]) -> None:
        super().__init__(passage)
        self._delay_s = delay_s
        self._late = late
        self._held: list[bytes] | None = []  # None: nothing is held any more
        self._timer: asyncio.TimerHandle | None = None
        self._since = 0.0

    def take(self, part: bytes) -> None:
        if self._held is None:
            self.passage.forward(part)
            return
        self._held.append(part)
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._since = loop.time()
            self.passage.hold()
            self._timer = loop.call_later(self._delay_s, self.let_go)

    def let_go(self) -> None:
        held, self._held = self._held, None
        if self._timer is None or not held:
            return
        self._timer.cancel()
        for part in held:
            self.passage.forward(part)
        self._late(asyncio.get_running_loop().time() - self._since, sum(map(len, held)))
        self.passage.go_on()
