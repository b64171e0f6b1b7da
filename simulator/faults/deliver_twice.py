"""Requests are delivered twice: the same bytes reach the gateway a second time, on a connection of their own.

Copies a balancer that sends again what it believes lost, or a proxy that retries. The customer asked once and hears one
answer; the second one goes nowhere. Without deduplication each of these is a second charge, and no customer did it.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from simulator.faults.base import Cadence, Fault, Injection, Scene, Share
from simulator.faults.copies import Copies
from simulator.faults.http_link import Draw, standing_on
from simulator.proxy.copies import RecordedRequest, Recording
from simulator.proxy.toxic import Passage, Toxic, Treatment


class DeliverTwice(Fault):
    fault: Literal["deliver_twice"] = "deliver_twice"
    cadence: ClassVar = Cadence(first_s=2.0, every_s=7.0, share=0.10, lasts_s=4.0)
    on_http: ClassVar = True

    share: Annotated[Share, Field(description="Of the requests, while it lasts.")] = 0.05

    async def inject(self, scene: Scene, injection: Injection) -> None:
        async with Copies(scene, injection) as copies:
            with standing_on(scene.proxies, _Doubling(Draw(injection, self.share), copies)):
                await scene.lasts(injection.lasts_s)


@dataclass(eq=False)
class _Doubling(Toxic):
    draw: Draw
    copies: Copies

    def begins(self, passage: Passage) -> Treatment | None:
        if passage.direction != "request" or not self.draw.falls():
            return None
        return Recording(passage, self._whole)

    def _whole(self, request: RecordedRequest) -> None:
        if request.method == "POST":  # anything else charges nobody
            self.draw.sure = True
            self.copies.send(request)
