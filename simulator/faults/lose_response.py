"""Answers are lost on their way back: the payment happened, and the customer does not know.

Copies the loss that makes people retry: the gateway answered, the connection was reset before the answer
arrived. Without deduplication each of these is a second charge as soon as the customer tries again.
"""

from simulator.faults.base import Cadence, Injection, Scene
from simulator.proxy.http import Loss, Lost, Manner

SHARE = 0.08  # of the answers, while it lasts


class LoseResponse:
    name = "lose_response"
    cadence = Cadence(first_s=3.0, every_s=7.0, share=0.15, lasts_s=4.0)
    disturbs = ""

    async def inject(self, scene: Scene, injection: Injection) -> None:
        def decide() -> Manner | None:
            # The first one that passes is always lost: a fault that was planned should bite.
            return "reset" if not injection.hits or injection.rng.random() < SHARE else None

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
