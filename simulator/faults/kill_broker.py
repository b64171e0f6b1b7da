"""The broker is killed: SIGKILL, and started again on its ports and its log.

Copies a machine that dies. Whatever was acknowledged is on the log (the page cache outlives a process); every
transaction that was open is decided by its coordinator when it is back.
"""

import asyncio
import time
from typing import ClassVar, Literal

from aiokafka.errors import KafkaError

from simulator.faults.base import Cadence, Fault, Injection, Scene
from simulator.faults.processes import BACK_S, kill
from simulator.log_watch import LogWatchError


class KillBroker(Fault):
    fault: Literal["kill_broker"] = "kill_broker"
    cadence: ClassVar = Cadence(first_s=7.0, every_s=20.0, share=0.4)
    disturbs: ClassVar = "processor"  # who else is struck meanwhile could not be told from who only waits

    async def inject(self, scene: Scene, injection: Injection) -> None:
        await kill(scene, injection, "broker")
        if injection.hits:
            await _group_is_back(scene, injection)


async def _group_is_back(scene: Scene, injection: Injection) -> None:
    """Until the processors' group has members again: the broker serves, and they have found it."""
    began = time.monotonic()
    while time.monotonic() - began < BACK_S:
        try:
            if await scene.log.owners():
                injection.found["group_back_after_s"] = round(time.monotonic() - began, 2)
                return
        except (KafkaError, LogWatchError, OSError):
            pass
        await asyncio.sleep(0.2)
