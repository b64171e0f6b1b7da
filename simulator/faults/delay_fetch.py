"""Answers to Fetch are late: commands, replies or events are there, and are read only later.

Copies a consumer behind a slow link, and the lag that comes of it; what is written meanwhile is not slowed down.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from simulator.durations import Seconds
from simulator.faults.base import Cadence, Injection, Scene
from simulator.faults.kafka_link import KafkaLinkFault, Whose, client_of, kafka_of
from simulator.proxy.kafka import ALWAYS, Act, Rule, SeenRequest


class DelayFetch(KafkaLinkFault):
    fault: Literal["delay_fetch"] = "delay_fetch"
    cadence: ClassVar = Cadence(first_s=4.0, every_s=13.0, share=0.2, lasts_s=4.0)

    whose: Whose = "processor"
    delay: Annotated[Seconds, Field(gt=0.0, le=60.0, description="Of every answer.")] = 0.3

    async def inject(self, scene: Scene, injection: Injection) -> None:
        kafka = kafka_of(scene)
        delayed: dict[str, int] = {}

        def count(request: SeenRequest) -> None:
            delayed[request.client_id] = delayed.get(request.client_id, 0) + 1

        rule = Rule(
            Act.DELAY_ANSWER, "Fetch", client_of(self.whose), times=ALWAYS, delay_ms=self.delay * 1000, on_bite=count
        )
        kafka.add(rule)
        try:
            await scene.lasts(injection.lasts_s)
        finally:
            kafka.remove(rule)
            if delayed:
                injection.hit(answers=sum(delayed.values()), clients=len(delayed), delay_ms=self.delay * 1000)
