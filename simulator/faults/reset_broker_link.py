"""Every connection between services and Kafka breaks at once, several times.

Copies a load balancer or a firewall that is restarted. Each request on its way is in doubt, and everybody comes again.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from simulator.durations import Seconds
from simulator.faults.base import Cadence, Injection, Scene
from simulator.faults.kafka_link import KafkaLinkFault, Whose, client_of, kafka_of


class ResetBrokerLink(KafkaLinkFault):
    fault: Literal["reset_broker_link"] = "reset_broker_link"
    cadence: ClassVar = Cadence(first_s=5.0, every_s=11.0, share=0.25)

    whose: Whose = "any"
    times: Annotated[int, Field(ge=1, le=1_000, description="How often.")] = 2
    pause: Annotated[Seconds, Field(description="Between two of them.")] = 0.5

    async def inject(self, scene: Scene, injection: Injection) -> None:
        for number in range(self.times):
            if number:
                await scene.lasts(self.pause)
            broken = kafka_of(scene).reset(client_of(self.whose))
            if broken:
                scene.say(f"reset {len(broken)} connections to Kafka")
                injection.hit(connections=len(broken), clients=len(set(broken)))
