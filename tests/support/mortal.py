"""A log and a store whose process may be told to die at a step: it then ends at once, without aborting anything.

In:      the real ones, and a `Death`: the step at which it comes, or a `Gate` that only holds the process up there.
Out:     the same, in which every step is reached before or after what it is named for.
Errors:  Died, which no code of a service catches.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from services.kafka.port import Assignment, Outgoing, Scope, TopicPartition, Writer
from services.processor.store.memory import MemoryStore
from services.processor.store.port import Change


class Died(BaseException):
    """The process was killed at this step."""


class Death:
    """Kills at the first time a step is reached, and counts what was reached."""

    def __init__(self, step: str | None = None) -> None:
        self.step = step
        self.happened = asyncio.Event()

    async def reach(self, step: str) -> None:
        self.check(step)

    def check(self, step: str) -> None:
        if step == self.step:
            self.step = None
            self.happened.set()
            raise Died(step)


class Gate(Death):
    """Kills nobody: holds the writer up at a step, once; unlike under SIGSTOP, the membership lives on."""

    def __init__(self, step: str) -> None:
        super().__init__(step)
        self.opened = asyncio.Event()

    async def reach(self, step: str) -> None:
        if step == self.step:
            self.step = None
            self.happened.set()
            await self.opened.wait()


class _MortalWriter:
    """A writer whose process may die before or after each of its requests."""

    def __init__(self, writer: Writer, death: Death) -> None:
        self._writer = writer
        self._death = death

    async def start(self) -> None:
        await self._writer.start()

    async def recover(self) -> None:
        await self._writer.recover()

    async def produce(self, records: Mapping[TopicPartition, Sequence[Outgoing]]) -> dict[TopicPartition, int]:
        await self._death.reach("before produce")
        made = await self._writer.produce(records)
        await self._death.reach("after produce")
        return made

    async def send_offsets(self, group: str, topic: str, offsets: Mapping[int, int], member: Assignment) -> None:
        await self._writer.send_offsets(group, topic, offsets, member)
        await self._death.reach("after offsets")

    async def commit(self) -> None:
        await self._writer.commit()
        await self._death.reach("after commit")

    async def abort(self) -> None:
        await self._writer.abort()

    async def idle(self) -> None:
        await self._writer.idle()

    async def close(self) -> None:
        await self._writer.close()


class MortalLog:
    """A log of one process; everything but writers is passed through."""

    def __init__(self, kafka: Any, death: Death) -> None:
        self._kafka = kafka
        self._death = death

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kafka, name)

    async def writer(self, transactional_id: str, transaction_timeout_ms: int, scope: Scope) -> Writer:
        return _MortalWriter(await self._kafka.writer(transactional_id, transaction_timeout_ms, scope), self._death)

    async def plain_writer(self) -> Writer:
        return _MortalWriter(await self._kafka.plain_writer(), self._death)


class MortalStore(MemoryStore):
    def __init__(self, death: Death) -> None:
        super().__init__()
        self.death = death

    def apply(self, changes: Mapping[int, Change]) -> None:
        if any(change.writes for change in changes.values()):
            self.death.check("before apply")
        super().apply(changes)
