"""stuck: a partition whose commands nobody executes any more, while the log goes on.

Is:      a partition with a command that has waited longer than STUCK_MS at the processor's position, while commands
         went on being appended to the log (to any partition) or the customers went on, and in which nothing was
         decided in all that time.
Is not:  a command in flight; a backlog that is being worked off; a log on which nobody asks for anything any more
         (its processors may have been stopped on purpose: the verdict is unknown); the time of a fault, and what
         came before it.
Money:   what the waiting creations would have moved.
"""

from collections.abc import Iterator
from typing import Final

from simulator.audit.evidence import Evidence
from simulator.audit.finding import Finding

NAME = "stuck"

# The clocks of processors and brokers may differ by a minute (CONTRACT), and a stack needs 15 s to be itself again.
STUCK_MS: Final = 75_000


def find(evidence: Evidence) -> Iterator[Finding]:
    now = evidence.latest
    for partition in range(evidence.extent.partitions):
        reached = evidence.reached(partition)
        waiting = evidence.waiting.get(partition)
        if waiting is None:
            continue
        first = waiting.first
        decided = evidence.last_output.get(partition, 0)
        waited_ms = now - max(first.timestamp, decided, _last_trouble(evidence, now))
        if waited_ms <= STUCK_MS:
            continue
        summary = (
            f"{waiting.count} commands wait from offset {reached} on; nothing was decided for the last "
            f"{waited_ms // 1000} s of the log."
        )
        yield Finding(f"partition {partition}", summary, (first,), None, waiting.money)


def _last_trouble(evidence: Evidence, now: int) -> int:
    """When the last fault ended; one that never did goes on until now."""
    outages = evidence.clients.outages if evidence.clients else ()
    return max((now if end is None else end for _, end in outages), default=0)
