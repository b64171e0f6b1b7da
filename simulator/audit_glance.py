"""Reads one partition's five topics beside each other, once, and acquits whatever is plainly right.

In:      a Log, the outline of the evidence, a partition.
Out:     an `Acquittal`, and in the outline what is known of the partition as a whole; None where it would save nothing.
Units:   records; what is in memory is bounded as `simulator.audit.acquittal` says, and by one fetch of each topic.
Errors:  LogReadError.
Source:  a processor appends what commands cause in the order of the commands, so that the topics can be read in step.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import Any, Final, Protocol

import orjson

from simulator.audit import routing
from simulator.audit.acquittal import Acquittal
from simulator.audit.collecting import outline
from simulator.audit.evidence import Evidence
from simulator.audit.log import CHARGES, COMMANDS, KEYS, OUTPUTS, REPLIES, Batch, Entry, Fate

IN_STEP: Final = (KEYS, CHARGES, REPLIES)


class Batches(Protocol):
    """What is asked of a LogReader."""

    def batches(self, topic: str, partition: int) -> AsyncGenerator[list[Batch]]: ...


async def glance(
    log: Batches, evidence: Evidence, partition: int, tell: Callable[[str, int], None]
) -> Acquittal | None:
    """`tell` hears of every topic how many records more were read."""
    async with AsyncExitStack() as opened:
        sources = {
            topic: await opened.enter_async_context(aclosing(log.batches(topic, partition)))
            for topic in (COMMANDS, *OUTPUTS)
        }
        first: list[Batch] = await anext(sources[KEYS], [])
        ttl_ms = _window(first) or evidence.key_ttl_ms
        reading = _Reading(evidence, Acquittal(partition, evidence.extent.partitions, ttl_ms), partition, tell)
        reading.take(KEYS, first)
        if not await _read(reading, sources):
            return None
    outline(evidence)
    reading.acquittal.finish(evidence.reached(partition))
    return reading.acquittal if evidence.key_ttl_ms == ttl_ms else None


async def _read(reading: "_Reading", sources: dict[str, AsyncGenerator[list[Batch]]]) -> bool:
    """Whether it was worth going on to the end."""
    acquittal = reading.acquittal
    async for batches in sources[COMMANDS]:
        reading.take(COMMANDS, batches)
        for topic in IN_STEP:
            while acquittal.wants(topic):
                more = await anext(sources[topic], None)
                if more is None:
                    break
                reading.take(topic, more)
        if acquittal.is_hopeless:
            return False
    for topic in OUTPUTS:
        async for batches in sources[topic]:
            reading.take(topic, batches)
            if acquittal.is_hopeless:
                return False
    return True


class _Reading:
    """What every batch means for the partition as a whole, and where it goes."""

    def __init__(
        self, evidence: Evidence, acquittal: Acquittal, partition: int, tell: Callable[[str, int], None]
    ) -> None:
        self.acquittal = acquittal
        self._evidence, self._partition, self._tell = evidence, partition, tell
        self._evidence.history_complete[partition] = True

    def take(self, topic: str, batches: Sequence[Batch]) -> None:
        for batch in batches:
            if topic == COMMANDS:
                self._commands(batch)
            else:
                self._outputs(topic, batch)
        self._tell(topic, sum(len(batch.offsets) for batch in batches))

    def _commands(self, batch: Batch) -> None:
        if batch.fate is Fate.COMMITTED:
            evidence, partition = self._evidence, self._partition
            evidence.last_command[partition] = batch.offsets[-1]
            evidence.clocks[partition] = max(evidence.clocks.get(partition, 0), *batch.timestamps)
        self.acquittal.commands(batch)

    def _outputs(self, topic: str, batch: Batch) -> None:
        if batch.fate is Fate.COMMITTED:
            newest = self._evidence.last_output.get(self._partition, 0)
            self._evidence.last_output[self._partition] = max(newest, *batch.timestamps)
            if topic == KEYS and routing.POSITION in batch.keys:
                batch = self._without_positions(batch)
        self.acquittal.outputs(topic, batch)

    def _without_positions(self, batch: Batch) -> Batch:
        """One that cannot be read stays: it is suspect."""
        read = []
        for at, key in enumerate(batch.keys):
            if key == routing.POSITION and (position := routing.position_of(batch.entry(at))) is not None:
                self._evidence.positions[self._partition] = position
                read.append(at)
        for at in reversed(read):
            batch = batch.without(at)
        return batch


def _window(batches: Sequence[Batch]) -> int | None:
    """How long keys are remembered, as the first record of `keys` that tells says."""
    for batch in batches:
        for entry in batch.entries():
            window_ms = _told_by(entry)
            if window_ms is not None:
                return window_ms
    return None


def _told_by(entry: Entry) -> int | None:
    try:
        value: dict[str, Any] = orjson.loads(entry.value or b"")
        if entry.key == routing.POSITION:
            return int(value["window_ms"])
        return int(value["expires_at"]) - int(value["completed_at"])
    except (ValueError, KeyError, TypeError):
        return None
