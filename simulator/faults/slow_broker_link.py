"""The way between services and Kafka is slow: everything takes longer, each time a little different.

Copies a broker in another zone, an overloaded switch. Nothing is lost; a transaction is at least three round trips.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from simulator.durations import Seconds
from simulator.faults.base import Cadence, Injection, Scene
from simulator.faults.kafka_link import KafkaLinkFault, Whose, client_of, hold
from simulator.proxy.kafka import Condition


class SlowBrokerLink(KafkaLinkFault):
    fault: Literal["slow_broker_link"] = "slow_broker_link"
    cadence: ClassVar = Cadence(first_s=2.0, every_s=14.0, share=0.1, lasts_s=4.0)

    whose: Whose = "any"
    latency: Annotated[Seconds, Field(ge=0.0, le=10.0, description="Of every request and every answer.")] = 0.02
    jitter: Annotated[Seconds, Field(ge=0.0, le=10.0, description="More or less than that, at most.")] = 0.01

    async def inject(self, scene: Scene, injection: Injection) -> None:
        scene.say(f"the way to Kafka takes {self.latency * 1000:.0f} ms longer for {injection.lasts_s:.1f} s")
        slow = Condition(
            client_of(self.whose),
            latency_ms=self.latency * 1000,
            jitter_ms=self.jitter * 1000,
            rng=injection.rng,
        )
        await hold(scene, injection, slow)
