"""Carry out the planned strikes, and write down how each began, bit and ended.

In:      strikes, the scene, where to write the history.
Out:     history lines `fault` with phase begin, hit, end; how often each fault struck and bit.
Units:   seconds; history instants in Unix milliseconds.
Errors:  none: a fault that fails ends, with its reason in its end line, and did not bite.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog
from aiokafka.errors import KafkaError

from simulator.faults.base import Fault, Injection, Scene
from simulator.faults.plan import Strike
from simulator.log_watch import LogWatchError
from simulator.seeded import seeded

STRIKE_S_MAX = 60.0  # over and above the time it is meant to last: a hunt, a take-over, the proof

log = structlog.get_logger(__name__)


class Vandals:
    def __init__(
        self,
        seed: int,
        scene: Scene,
        record: Callable[[dict[str, Any]], None],
    ) -> None:
        self.injected: Counter[str] = Counter()
        self.bitten: Counter[str] = Counter()
        self._seed = seed
        self._scene = scene
        self._record = record
        self._busy: dict[str, asyncio.Lock] = {}

    async def run(self, strikes: Sequence[Strike]) -> None:
        """Returns when every strike has ended; cancelled, everything is mended first.

        Once the customers have gone, only a fault that has not struck at all still does.
        """
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for strike in strikes:
                group.create_task(self._strike(strike, began))

    async def _strike(self, strike: Strike, began: float) -> None:
        fault = strike.fault
        await self._scene.lasts(max(0.0, began + strike.at_s - time.monotonic()))
        # What disturbs nothing waits for nobody.
        async with self._busy.setdefault(fault.disturbs or f"{fault.name} {strike.number}", asyncio.Lock()):
            if not self._scene.quiet.is_set() or not self.injected[fault.name]:
                await self._inject(fault, strike)

    async def _inject(self, fault: Fault, strike: Strike) -> None:
        def record(phase: str, detail: Mapping[str, Any]) -> None:
            if phase == "hit":
                self.bitten[fault.name] += 1
            at = time.time_ns() // 1_000_000
            self._record({"kind": "fault", "fault": fault.name, "phase": phase, "at": at, "detail": dict(detail)})

        rng = seeded(self._seed, "fault", fault.name, strike.number)
        injection = Injection(fault.name, strike.number, rng, strike.lasts_s, record)
        self.injected[fault.name] += 1
        record("begin", {"number": strike.number})
        try:
            async with asyncio.timeout(strike.lasts_s + STRIKE_S_MAX):
                await fault.inject(self._scene, injection)
        except (LogWatchError, KafkaError, OSError, TimeoutError) as error:
            injection.found["reason"] = f"{type(error).__name__}: {error}"
            log.warning("fault_failed", fault=fault.name, number=strike.number, error=injection.found["reason"])
        finally:
            record("end", {"number": strike.number, "hits": injection.hits, **injection.found})
