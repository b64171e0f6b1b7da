"""How long the embedded broker takes to serve: `python -m simulator.broker.measure [ROUNDS]`.

Out:     a table: median, lowest and highest seconds of each kind of start, on this machine, now.
Units:   seconds from the call to the first metadata answer that names a broker.
Source:  docs/measurements.md has the figures this gave, and where.
"""

import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from simulator.broker.embedded import EmbeddedBroker
from simulator.broker.java import JvmProfile

WITHOUT_ARCHIVE = ("-XX:SharedArchiveFile=/nonexistent",)  # the last of two wins; a missing one is passed over


KINDS: tuple[tuple[str, JvmProfile, tuple[str, ...]], ...] = (
    ("quick", "quick", ()),
    ("quick, without the archive", "quick", WITHOUT_ARCHIVE),
    ("throughput", "throughput", ()),
)


def measure(rounds: int) -> dict[str, list[float]]:
    """Seconds of every start, by kind."""
    taken: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        for name, profile, flags in KINDS:
            _round(name, profile, flags, taken)
    return taken


def _round(name: str, profile: JvmProfile, flags: tuple[str, ...], taken: dict[str, list[float]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        broker = EmbeddedBroker(Path(folder), profile=profile, jvm_flags=flags)
        taken[f"{name}: first start"].append(_seconds(broker.start))
        broker.kill()
        taken[f"{name}: start after SIGKILL"].append(_seconds(broker.restart))
        taken[f"{name}: clean stop"].append(_seconds(broker.stop))
        taken[f"{name}: start after a clean stop"].append(_seconds(broker.start))
        broker.kill()
        broker.close()


def _seconds(step: Callable[[], None]) -> float:
    started = time.monotonic()
    step()
    return time.monotonic() - started


if __name__ == "__main__":
    for kind, seconds in measure(int(sys.argv[1]) if len(sys.argv) > 1 else 5).items():
        median, low, high = statistics.median(seconds), min(seconds), max(seconds)
        sys.stdout.write(f"| {kind} | {median:.2f} | {low:.2f} to {high:.2f} |\n")
