"""The way between services and Kafka is narrow: each connection gets so many bytes a second and no more.

Copies a link that somebody else fills, a throttled volume. Large batches suffer first, and heartbeats behind them.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from simulator.faults.base import Cadence, Injection, Scene
from simulator.faults.kafka_link import KafkaLinkFault, Whose, client_of, hold
from simulator.proxy.kafka import Condition


class NarrowBrokerLink(KafkaLinkFault):
    fault: Literal["narrow_broker_link"] = "narrow_broker_link"
    cadence: ClassVar = Cadence(first_s=8.0, every_s=16.0, share=0.2, lasts_s=4.0)

    whose: Whose = "any"
    bytes_per_s: Annotated[int, Field(ge=1_000, le=1_000_000_000, description="Of each connection, each way.")] = 50_000

    async def inject(self, scene: Scene, injection: Injection) -> None:
        scene.say(f"{self.bytes_per_s:,} bytes/s to Kafka on each connection for {injection.lasts_s:.1f} s")
        await hold(scene, injection, Condition(client_of(self.whose), bytes_per_s=self.bytes_per_s))
