"""Requests are lost on their way to the gateway: their bytes never arrive.

Copies a network that drops a connection while a request is on it. Most customers notice at once (the
connection is reset), some wait until their patience ends (nothing ever comes back). Nothing was charged; the
customer cannot know.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from simulator.faults.base import Cadence, Fault, Injection, Scene, Share
from simulator.faults.http_link import Draw, Lost, standing_on
from simulator.proxy.toxic import Passage, Toxic, Treatment


class LoseRequest(Fault):
    fault: Literal["lose_request"] = "lose_request"
    cadence: ClassVar = Cadence(first_s=2.0, every_s=7.0, share=0.10, lasts_s=4.0)
    on_http: ClassVar = True

    share: Annotated[Share, Field(description="Of the requests, while it lasts.")] = 0.06
    silent: Annotated[Share, Field(description="Of the lost ones: nothing comes back at all.")] = 0.2

    async def inject(self, scene: Scene, injection: Injection) -> None:
        with standing_on(scene.proxies, _Losing(self, Draw(injection, self.share))):
            await scene.lasts(injection.lasts_s)


@dataclass(eq=False)
class _Losing(Toxic):
    fault: LoseRequest
    draw: Draw

    def begins(self, passage: Passage) -> Treatment | None:
        if passage.direction != "request" or not self.draw.falls():
            return None
        injection = self.draw.injection
        silent = injection.rng.random() < self.fault.silent
        return Lost(passage, injection, "silence" if silent else "reset")
