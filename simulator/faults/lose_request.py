"""Requests are lost on their way to the gateway: their bytes never arrive.

Copies a network that drops a connection while a request is on it. Most customers notice at once (the
connection is reset), some wait until their patience ends (nothing ever comes back). Nothing was charged; the
customer cannot know.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from simulator.faults.base import Cadence, Fault, Injection, Scene, Share
from simulator.proxy.http import Loss, Lost, Manner


class LoseRequest(Fault):
    fault: Literal["lose_request"] = "lose_request"
    cadence: ClassVar = Cadence(first_s=2.0, every_s=7.0, share=0.10, lasts_s=4.0)
    on_http: ClassVar = True

    share: Annotated[Share, Field(description="Of the requests, while it lasts.")] = 0.06
    silent: Annotated[Share, Field(description="Of the lost ones: nothing comes back at all.")] = 0.2

    async def inject(self, scene: Scene, injection: Injection) -> None:
        def decide() -> Manner | None:
            # The first one that passes is always lost: a fault that was planned should bite.
            if injection.hits and injection.rng.random() >= self.share:
                return None
            return "silence" if injection.rng.random() < self.silent else "reset"

        def lost(one: Lost) -> None:
            injection.hit(gateway=one.gateway, manner=one.manner, bytes=one.bytes_lost)

        loss = Loss("request", decide, lost)
        for proxy in scene.proxies:
            proxy.add(loss)
        try:
            await scene.lasts(injection.lasts_s)
        finally:
            for proxy in scene.proxies:
                proxy.remove(loss)
