"""Requests are lost on their way to the gateway: their bytes never arrive.

Copies a network that drops a connection while a request is on it. Most customers notice at once (the
connection is reset), some wait until their patience ends (nothing ever comes back). Nothing was charged; the
customer cannot know.
"""

from simulator.faults.base import Cadence, Injection, Scene
from simulator.proxy.http import Loss, Lost, Manner

SHARE = 0.06  # of the requests, while it lasts
SILENT_SHARE = 0.2  # of the lost ones: costs the customer the whole patience


class LoseRequest:
    name = "lose_request"
    cadence = Cadence(first_s=2.0, every_s=7.0, share=0.10, lasts_s=4.0)
    disturbs = ""

    async def inject(self, scene: Scene, injection: Injection) -> None:
        def decide() -> Manner | None:
            # The first one that passes is always lost: a fault that was planned should bite.
            if injection.hits and injection.rng.random() >= SHARE:
                return None
            return "silence" if injection.rng.random() < SILENT_SHARE else "reset"

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
