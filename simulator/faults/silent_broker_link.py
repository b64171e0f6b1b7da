"""Nothing arrives between services and Kafka: connections stay open, packets vanish, and are sent again by TCP.

Copies a firewall that forgot its connections, a route that leads nowhere for a while. What was sent meanwhile arrives
when it is over, perhaps long after its sender has given up: late requests, in the middle of what came after them.
"""

from typing import ClassVar, Literal

from simulator.faults.base import Cadence, Injection, Scene
from simulator.faults.kafka_link import KafkaLinkFault, Whose, client_of, hold
from simulator.proxy.kafka import Condition


class SilentBrokerLink(KafkaLinkFault):
    fault: Literal["silent_broker_link"] = "silent_broker_link"
    cadence: ClassVar = Cadence(first_s=7.0, every_s=18.0, share=0.3, lasts_s=2.0)
    disturbs: ClassVar = "processor"  # who else is struck meanwhile could not be told from who only waits

    whose: Whose = "any"

    async def inject(self, scene: Scene, injection: Injection) -> None:
        scene.say(f"nothing arrives at Kafka for {injection.lasts_s:.1f} s")
        await hold(scene, injection, Condition(client_of(self.whose), silent=True))
