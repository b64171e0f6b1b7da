"""The idempotent publisher of the gateway: one awaited send per HTTP request, whole batches underneath.

In:      records for a partition.
Out:     Appended(partition, offset).
Units:   milliseconds.
Errors:  NotSent: provably not on the log, and never will be. Indefinite: it may be, now or later.

What is waiting for a partition leaves together as soon as the batch before it is acknowledged; no
lingering. After a failed batch the producer is replaced, since its sequence numbers are void, and nothing
of it is sent again: a send that timed out may still reach the log (research, section 8), and a second copy
would be a second command.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

import structlog

from events.connection import KafkaConnection
from services.kafka.appender import Appender
from services.kafka.batches import BATCH_BYTES_MAX
from services.kafka.cluster import REQUEST_TIMEOUT_MS, Cluster
from services.kafka.errors import Fatal, Indefinite, KafkaFailure, NotSent, Retriable
from services.kafka.port import Headers, Outgoing, TopicPartition
from services.kafka.producer_id import idempotent_appender

WAITING_MAX: Final = 10_000  # sends; beyond that a gateway is overloaded and says so at once
CLOSING_MS: Final = 3_000
_OVERHEAD_BYTES: Final = 256  # more than the framing of one record and its headers' names

log = structlog.get_logger(__name__)


class Appended(NamedTuple):
    partition: int
    offset: int


class _Send(NamedTuple):
    record: Outgoing
    bytes: int
    give_up_at: float
    done: asyncio.Future[Appended]


class Publisher:
    def __init__(
        self,
        connection: KafkaConnection,
        client_id: str,
        delivery_timeout_ms: int,
        *,
        request_timeout_ms: int = REQUEST_TIMEOUT_MS,
        waiting_max: int = WAITING_MAX,
    ) -> None:
        self._cluster = Cluster(connection, client_id, request_timeout_ms)
        self._delivery_timeout_ms = delivery_timeout_ms
        self._waiting_max = waiting_max
        self._waiting: dict[TopicPartition, deque[_Send]] = {}
        self._count = 0
        self._in_flight: set[TopicPartition] = set()
        self._wake = asyncio.Event()
        self._appender: Appender | None = None
        self._deliveries: set[asyncio.Task[None]] = set()
        self._loop_task: asyncio.Task[None] | None = None
        self._closed = False

    async def start(self) -> None:
        """Get a producer id, so that the first request need not wait for one; raises Retriable."""
        self._appender = await self._new_appender(self._delivery_timeout_ms)
        self._loop_task = asyncio.create_task(self._dispatch(), name="publisher")

    async def send(
        self, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Headers = ()
    ) -> Appended:
        """Append one record. A caller that is cancelled takes nothing back: the record may have left."""
        if self._closed:
            raise NotSent("the publisher is closed")
        if self._count >= self._waiting_max:
            raise NotSent(f"{self._count} records are waiting for Kafka already")
        loop = asyncio.get_running_loop()
        one = _Send(
            Outgoing(key, value, headers),
            _size(key, value, headers),
            loop.time() + self._delivery_timeout_ms / 1000,
            loop.create_future(),
        )
        self._waiting.setdefault(TopicPartition(topic, partition), deque()).append(one)
        self._count += 1
        self._wake.set()
        return await one.done  # cancelled with its caller; whoever settles it looks first

    async def close(self) -> None:
        """Refuse what has not left, wait a moment for what has."""
        self._closed = True
        if self._loop_task is not None:
            self._loop_task.cancel()
        for queue in self._waiting.values():
            _fail(queue, NotSent("the publisher was closed"))
        if self._deliveries:
            await asyncio.wait(self._deliveries, timeout=CLOSING_MS / 1000)
            for task in self._deliveries:
                task.cancel()
            await asyncio.gather(*self._deliveries, return_exceptions=True)
        self._cluster.close()

    async def _dispatch(self) -> None:
        """Send what waits for partitions with nothing in flight, those of one moment together."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            ready: dict[TopicPartition, list[_Send]] = {}
            for where, queue in self._waiting.items():
                if queue and where not in self._in_flight:
                    ready[where] = _first_batch(queue)
            if not ready:
                continue
            self._in_flight.update(ready)
            task = asyncio.create_task(self._deliver(ready), name="publisher-delivery")
            self._deliveries.add(task)
            task.add_done_callback(self._deliveries.discard)

    async def _deliver(self, ready: dict[TopicPartition, list[_Send]]) -> None:
        try:
            await self._append(ready)
        except BaseException:
            for sends in ready.values():
                _fail(sends, Indefinite("the publisher stopped before an answer came"))
            raise
        finally:
            for where in list(ready):
                self._settled(where, ready)

    def _settled(self, where: TopicPartition, ready: dict[TopicPartition, list[_Send]]) -> list[_Send]:
        """Take a partition out of its delivery: the next one may leave."""
        sends = ready.pop(where)
        self._in_flight.discard(where)
        self._count -= len(sends)
        self._wake.set()
        return sends

    async def _append(self, ready: dict[TopicPartition, list[_Send]]) -> None:
        loop = asyncio.get_running_loop()
        within_ms = max(0.0, (min(one[0].give_up_at for one in ready.values()) - loop.time()) * 1000)
        try:
            appender = self._appender or await self._new_appender(within_ms)
        except KafkaFailure as error:
            for sends in ready.values():
                _fail(sends, NotSent(f"no producer could be had: {error}", code=error.code))
            return
        self._appender = appender
        records = {where: [one.record for one in sends] for where, sends in ready.items()}

        def told(where: TopicPartition, outcome: int | KafkaFailure) -> None:
            # As soon as it is known: a broker that is away keeps nobody waiting who writes to another.
            sends = self._settled(where, ready)
            if isinstance(outcome, int):
                for index, one in enumerate(sends):
                    if not one.done.done():
                        one.done.set_result(Appended(where.partition, outcome + index))
                return
            if self._appender is appender:
                self._appender = None
            log.warning("records_not_acknowledged", topic=where.topic, partition=where.partition,
                        records=len(sends), reason=str(outcome))  # fmt: skip
            unknown = isinstance(outcome, Indefinite)
            _fail(sends, outcome if unknown else NotSent(str(outcome), code=outcome.code))

        await appender.append_each(records, within_ms, told)

    async def _new_appender(self, within_ms: float) -> Appender:
        return await idempotent_appender(self._cluster, self._delivery_timeout_ms, within_ms)


def _first_batch(queue: deque[_Send]) -> list[_Send]:
    """What fits one record batch, so that one answer tells of all."""
    taken = [queue.popleft()]
    size = taken[0].bytes
    while queue and size + queue[0].bytes < BATCH_BYTES_MAX:
        size += queue[0].bytes
        taken.append(queue.popleft())
    return taken


def _size(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    return len(key or b"") + len(value or b"") + sum(len(one) for _, one in headers) + _OVERHEAD_BYTES


def _fail(sends: Sequence[_Send] | deque[_Send], error: Retriable | Indefinite | Fatal | KafkaFailure) -> None:
    for one in sends:
        if not one.done.done():
            one.done.set_exception(error)
            one.done.exception()  # seen, also where the caller has gone away
