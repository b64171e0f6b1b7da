"""Answers are lost on their way back: the payment happened, and the customer does not know.

Copies the loss that makes people retry: the gateway answered, the connection was reset before the answer
arrived. Without deduplication each of these is a second charge as soon as the customer tries again.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from simulator.faults.base import Cadence, Fault, Injection, Scene, Share
from simulator.proxy.http import Loss, Lost, Manner


class LoseResponse(Fault):
    fault: Literal["lose_response"] = "lose_response"
    cadence: ClassVar = Cadence(first_s=3.0, every_s=7.0, share=0.15, lasts_s=4.0)
    on_http: ClassVar = True

    share: Annotated[Share, Field(description="Of the answers, while it lasts.")] = 0.08

    async def inject(self, scene: Scene, injection: Injection) -> None:
        def decide() -> Manner | None:
            # The first one that passes is always lost: a fault that was planned should bite.
            return "reset" if not injection.hits or injection.rng.random() < self.share else None

        def lost(one: Lost) -> None:
            injection.hit(gateway=one.gateway, manner=one.manner, bytes=one.bytes_lost)

        loss = Loss("response", decide, lost)
        for proxy in scene.proxies:
            proxy.add(loss)
        try:
            await scene.lasts(injection.lasts_s)
        finally:
            for proxy in scene.proxies:
                proxy.remove(loss)
