"""The link is narrow: so many bytes a second go through each connection and direction, and no more.

Copies a mobile connection at the edge of its cell. Nothing is lost: when the fault ends, also when it is cancelled,
what is still on its way arrives at once.

Source:  Toxiproxy's `bandwidth`: a rate for each connection; what is bigger goes in slices of a tenth of a second.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from simulator.faults.base import Cadence, Fault, Injection, Scene, Share
from simulator.faults.http_link import Draw, Of, meets, standing_on
from simulator.proxy.toxic import Passage, Toxic, Treatment

SLICE_S = 0.1


class NarrowLink(Fault):
    fault: Literal["narrow_link"] = "narrow_link"
    cadence: ClassVar = Cadence(first_s=2.0, every_s=10.0, share=0.10, lasts_s=5.0)
    on_http: ClassVar = True

    bytes_per_s: Annotated[int, Field(ge=1, le=1_000_000_000, description="Of each connection, one way.")] = 2_000
    share: Annotated[Share, Field(description="Of the messages, while it lasts.")] = 1.0
    of: Of = "both"

    async def inject(self, scene: Scene, injection: Injection) -> None:
        with standing_on(scene.proxies, _Narrow(self, Draw(injection, self.share))):
            await scene.lasts(injection.lasts_s)


@dataclass(eq=False)
class _Narrow(Toxic):
    fault: NarrowLink
    draw: Draw

    def begins(self, passage: Passage) -> Treatment | None:
        fault, injection = self.fault, self.draw.injection
        if not meets(fault.of, passage.direction) or not self.draw.falls():
            return None
        self.draw.sure = True

        def through(took_s: float, size: int) -> None:
            injection.hit(
                gateway=passage.gateway,
                of=passage.direction,
                manner="late",
                took_ms=round(took_s * 1_000.0, 1),
                bytes=size,
            )

        return _Squeezed(passage, fault.bytes_per_s, through)


class _Squeezed(Treatment):
    """Bytes queue up and leave slice by slice, each after the time that it needs."""

    def __init__(self, passage: Passage, bytes_per_s: int, through: Callable[[float, int], None]) -> None:
        super().__init__(passage)
        self._bytes_per_s = bytes_per_s
        self._slice = max(1, int(bytes_per_s * SLICE_S))
        self._through = through
        self._queue = bytearray()
        self._timer: asyncio.TimerHandle | None = None
        self._since = self._due = 0.0
        self._size = 0  # bytes since then
        self._wide = False  # the fault is over

    def take(self, part: bytes) -> None:
        if self._wide:
            self.passage.forward(part)
            return
        self._queue += part
        self._size += len(part)
        if self._timer is None:
            self._since = self._due = asyncio.get_running_loop().time()
            self.passage.hold()
            self._next()

    def _next(self) -> None:
        """A slice is due when all before it have had their time: a late timer does not make the link narrower."""
        self._due += min(self._slice, len(self._queue)) / self._bytes_per_s
        self._timer = asyncio.get_running_loop().call_at(self._due, self._send)

    def _send(self) -> None:
        self._forward(self._slice)
        if self._queue:
            self._next()

    def let_go(self) -> None:
        self._wide = True
        if self._timer is not None:
            self._timer.cancel()
            self._forward(len(self._queue))

    def _forward(self, size: int) -> None:
        part = bytes(self._queue[:size])
        del self._queue[:size]
        if not self._queue:  # said before the last bytes go: they may end the connection, and this with it
            self._timer = None
            self._through(asyncio.get_running_loop().time() - self._since, self._size)
            self._size = 0
        self.passage.forward(part)
        if self._timer is None:
            self.passage.go_on()
