"""Connections linger: when one end has gone, the other is told only later.

Copies a middlebox that keeps dead connections. A gateway goes on holding the connections of customers who left, and a
customer of a dead gateway goes on waiting; what is sent on such a connection goes nowhere. No byte that was sent before
the end is lost. When the fault ends, also when it is cancelled, they all close at once.

Source:  Toxiproxy's `slow_close`.
"""

import asyncio
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from simulator.durations import Seconds
from simulator.faults.base import Cadence, Fault, Injection, Scene, Share
from simulator.faults.http_link import Draw, standing_on
from simulator.proxy.toxic import Closing, LetGo, Toxic


class SlowClose(Fault):
    fault: Literal["slow_close"] = "slow_close"
    cadence: ClassVar = Cadence(first_s=2.0, every_s=10.0, share=0.10, lasts_s=6.0)
    on_http: ClassVar = True

    delay: Annotated[Seconds, Field(description="How long a connection lingers.")] = 2.0
    share: Annotated[Share, Field(description="Of the connections that close while it lasts.")] = 1.0

    async def inject(self, scene: Scene, injection: Injection) -> None:
        with standing_on(scene.proxies, _Lingering(self.delay, Draw(injection, self.share))):
            await scene.lasts(injection.lasts_s)


@dataclass(eq=False)
class _Lingering(Toxic):
    delay_s: float
    draw: Draw

    def closes(self, closing: Closing) -> LetGo | None:
        if not self.draw.falls():
            return None
        self.draw.sure = True
        return _Linger(closing, self.delay_s, self.draw.injection).end


class _Linger:
    """One connection that is kept for a while."""

    def __init__(self, closing: Closing, delay_s: float, injection: Injection) -> None:
        self._closing = closing
        self._injection = injection
        self._loop = asyncio.get_running_loop()
        self._since = self._loop.time()
        self._timer: asyncio.TimerHandle | None = self._loop.call_later(delay_s, self.end)

    def end(self) -> None:
        if self._timer is None:
            return
        self._timer.cancel()
        self._timer = None
        lingered_ms = round((self._loop.time() - self._since) * 1_000.0, 1)
        self._injection.hit(gateway=self._closing.gateway, by=self._closing.by, manner="late", lingered_ms=lingered_ms)
        self._closing.finish()
