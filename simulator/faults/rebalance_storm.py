"""The processors' group is rebalanced again and again: a stranger joins, takes its share of the partitions, leaves.

Copies a deployment that flaps, an autoscaler that cannot decide. Every rebalance takes partitions from one processor
and gives them to another, or back. It bit each time the stranger was given something.
"""

import asyncio
import time
from typing import Annotated, ClassVar, Literal

from aiokafka import AIOKafkaConsumer
from pydantic import Field

from simulator.faults.base import Cadence, Fault, Injection, Scene
from simulator.log_hands import stranger

JOINED_S = 15.0
LOOK_EVERY_S = 0.05


class RebalanceStorm(Fault):
    fault: Literal["rebalance_storm"] = "rebalance_storm"
    cadence: ClassVar = Cadence(first_s=5.0, every_s=15.0, share=0.3)
    disturbs: ClassVar = "processor"

    times: Annotated[int, Field(ge=1, le=100, description="How often the stranger joins.")] = 3

    async def inject(self, scene: Scene, injection: Injection) -> None:
        scene.say(f"a stranger joins the processors' group {self.times} times")
        for _ in range(self.times):
            async with stranger(scene.log) as member:
                began = time.monotonic()
                share = await self._share(member)
                if share:
                    injection.hit(partitions=share, joined_after_s=round(time.monotonic() - began, 2))

    async def _share(self, member: AIOKafkaConsumer) -> list[int]:
        """The partitions that the stranger was given."""
        began = time.monotonic()
        while time.monotonic() - began < JOINED_S:
            if share := sorted(spot.partition for spot in member.assignment()):
                return share
            await asyncio.sleep(LOOK_EVERY_S)
        return []
