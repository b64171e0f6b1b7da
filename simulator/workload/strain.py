"""Whether the load generator itself was too slow: then the figures are about it, and not about the system.

In:      a monitor beside the load, in the same event loop; how late customers began.
Out:     loop lag, the process's own CPU, and the reasons in plain words.
Units:   milliseconds; CPU as a share of one core, as one event loop can use no more.
Errors:  none.
Source:  wrk2 and Gatling both leave it to their users to watch the injector; lag is how much later than asked a
         timer fires (Node's monitorEventLoopDelay).
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from hdrh.histogram import HdrHistogram

from simulator.workload.latencies import Latencies, figures_ms

TICK_S: Final = 0.02
CPU_WINDOW_S: Final = 1.0
LAG_P99_MS_MAX: Final = 50.0  # beyond this, one answer in a hundred waits for our own loop rather than for the system
LATENESS_P99_MS_MAX: Final = 50.0
CPU_SHARE_MAX: Final = 0.9  # above it, a queue builds up inside the process whatever the system does
BUSY_WINDOWS_MAX: Final = 0.1  # of all seconds: a short burst is no bottleneck

LAG: Final = "lag"


@dataclass
class Strain:
    """`watch` runs beside the load until it is cancelled."""

    lag: Latencies = field(default_factory=Latencies)
    cpu_shares: list[float] = field(default_factory=list)  # one for each second

    async def watch(self) -> None:
        began = window = time.monotonic()
        cpu = time.process_time()
        try:
            while True:
                asked = time.monotonic() + TICK_S
                await asyncio.sleep(TICK_S)
                now = time.monotonic()
                self.lag.record(now - began, LAG, max(0.0, now - asked))
                if now - window >= CPU_WINDOW_S:
                    used = time.process_time()
                    self.cpu_shares.append((used - cpu) / (now - window))
                    window, cpu = now, used
        finally:
            self.lag.finish()

    @property
    def lag_ms(self) -> dict[str, float]:
        return figures_ms(self.lag.totals.get(LAG))

    @property
    def busy(self) -> float:
        """The share of seconds in which a core was all but used up."""
        return sum(share > CPU_SHARE_MAX for share in self.cpu_shares) / max(1, len(self.cpu_shares))

    def reasons(self, lateness: HdrHistogram | None) -> list[str]:
        """Why the generator, and not the system, may be what the figures show; empty when it kept up."""
        said = []
        late_ms, lag_ms = figures_ms(lateness).get("p99", 0.0), self.lag_ms.get("p99", 0.0)
        if late_ms > LATENESS_P99_MS_MAX:
            said.append(f"one customer in a hundred began {late_ms:.0f} ms or more after the planned instant")
        if lag_ms > LAG_P99_MS_MAX:
            said.append(f"the event loop was {lag_ms:.0f} ms behind one time in a hundred")
        if self.busy > BUSY_WINDOWS_MAX:
            said.append(f"the load process used a whole core in {self.busy:.0%} of all seconds")
        return said

    def to_json(self) -> dict[str, Any]:
        return {"lag": self.lag.to_json(), "cpu_shares": [round(share, 3) for share in self.cpu_shares]}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Self:
        return cls(Latencies.from_json(told["lag"]), list(told["cpu_shares"]))

    def add(self, other: Self) -> None:
        """Another load process: lags together, and of both the busier in each second."""
        self.lag.add(other.lag)
        longer, shorter = sorted((self.cpu_shares, other.cpu_shares), key=len, reverse=True)
        padded = [*shorter, *([0.0] * (len(longer) - len(shorter)))]
        self.cpu_shares = [max(pair) for pair in zip(longer, padded, strict=True)]
