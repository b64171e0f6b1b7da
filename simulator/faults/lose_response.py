"""Answers are lost on their way back: the payment happened, and the customer does not know.

Copies the loss that makes people retry: the gateway answered, the connection was reset before the answer
arrived. Without deduplication each of these is a second charge as soon as the customer tries again.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from simulator.faults.base import Cadence, Fault, Injection, Scene, Share
from simulator.faults.http_link import Draw, Lost, standing_on
from simulator.proxy.toxic import Passage, Toxic, Treatment


class LoseResponse(Fault):
    fault: Literal["lose_response"] = "lose_response"
    cadence: ClassVar = Cadence(first_s=3.0, every_s=7.0, share=0.15, lasts_s=4.0)
    on_http: ClassVar = True

    share: Annotated[Share, Field(description="Of the answers, while it lasts.")] = 0.08

    async def inject(self, scene: Scene, injection: Injection) -> None:
        with standing_on(scene.proxies, _Losing(Draw(injection, self.share))):
            await scene.lasts(injection.lasts_s)


@dataclass(eq=False)
class _Losing(Toxic):
    draw: Draw

    def begins(self, passage: Passage) -> Treatment | None:
        if passage.direction != "response" or not self.draw.falls():
            return None
        return Lost(passage, self.draw.injection, "reset")
