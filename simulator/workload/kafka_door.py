"""A way to the processors without a gateway: commands in whole batches, replies read committed.

In:      letters (a record and whatever the sender wants back with it); a KafkaConnection, a namespace.
Out:     to the receiver: `delivered` replies by command id, `lost` letters whose fate nobody knows.
Units:   seconds of the monotonic clock.
Errors:  Failure, one sentence, when the log cannot be reached at the start; later whatever happens to a letter is
         told to the receiver.
Source:  CONTRACT, "The log". Each partition has one batch on its way; what comes meanwhile is the next one, so that
         batches grow with the rate and nothing lingers. After a failed batch its producer is replaced, as its
         sequence numbers are void; nothing is sent twice, since a second copy would be a second command.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from events.connection import KafkaConnection
from events.topics import topic_name
from simulator.failure import Failure
from simulator.log_watch import client_options

BATCH_BYTES_MAX: Final = 512 * 1024  # half of what the topic takes
FETCH_BYTES_MAX: Final = 4 * 1024 * 1024
REPLIES_AT_ONCE: Final = 500  # then the loop sees to arrivals again
REQUEST_TIMEOUT_MS: Final = 10_000
START_TIMEOUT_S: Final = 15.0
PAUSE_S: Final = 0.2  # before a log that refused is asked again

Headers = list[tuple[str, bytes]]


@dataclass(eq=False, slots=True)
class Letter:
    """One command on its way. `sent_at` is None until it is handed to the producer; `recalled` ones never are."""

    command_id: bytes
    key: bytes
    value: bytes
    sent_at: float | None = None
    recalled: bool = False


class Receiver(Protocol):
    def delivered(self, replies: Sequence[ConsumerRecord]) -> None:
        """Committed records of `replies`; other people's among them."""

    def lost(self, letters: Sequence[Letter], reason: str) -> None:
        """They may be on the log or not."""


class KafkaDoor:
    """`async with KafkaDoor(connection, namespace, partitions, name) as door: door.open(receiver)`"""

    def __init__(self, connection: KafkaConnection, namespace: str, partitions: int, name: str) -> None:
        self.partitions = partitions
        self.headers: Headers = [("reply_to", name.encode())]
        self._options = client_options(connection) | {"client_id": name}
        self._where = connection.bootstrap
        self._commands = topic_name(namespace, "commands")
        self._replies = [TopicPartition(topic_name(namespace, "replies"), number) for number in range(partitions)]
        self._queues: list[deque[Letter]] = [deque() for _ in range(partitions)]
        self._wake = [asyncio.Event() for _ in range(partitions)]
        self._producer: AIOKafkaProducer | None = None
        self._replacing = asyncio.Lock()
        self._consumer = AIOKafkaConsumer(
            isolation_level="read_committed",
            auto_offset_reset="latest",
            fetch_max_wait_ms=100,
            max_partition_fetch_bytes=FETCH_BYTES_MAX,
            fetch_max_bytes=FETCH_BYTES_MAX,
            **self._options,
        )
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await self._consumer.start()
                self._consumer.assign(self._replies)
                await self._consumer.seek_to_end(*self._replies)
                self._producer = await self._new_producer()
        except (KafkaError, OSError, TimeoutError) as error:
            await self.__aexit__()
            raise Failure(f"The log at {self._where} cannot be written to: {error}.") from None
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with suppress(KafkaError, OSError, TimeoutError):
            async with asyncio.timeout(START_TIMEOUT_S):
                await self._consumer.stop()
                if self._producer is not None:
                    await self._producer.stop()

    def open(self, receiver: Receiver) -> None:
        """From now on letters leave and replies come."""
        senders = [self._send(partition, receiver) for partition in range(self.partitions)]
        self._tasks = [asyncio.create_task(work) for work in (*senders, self._read(receiver))]

    @property
    def failed(self) -> BaseException | None:
        """Why one of our own loops ended, which none of them ever should."""
        ended = [task for task in self._tasks if task.done() and not task.cancelled()]
        return next((task.exception() for task in ended), None)

    def send(self, partition: int, letter: Letter) -> None:
        self._queues[partition].append(letter)
        self._wake[partition].set()

    async def _new_producer(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            enable_idempotence=True,
            acks="all",
            max_batch_size=BATCH_BYTES_MAX,
            max_request_size=2 * BATCH_BYTES_MAX,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            **self._options,
        )
        await producer.start()
        return producer

    async def _send(self, partition: int, receiver: Receiver) -> None:
        queue, wake = self._queues[partition], self._wake[partition]
        while True:
            await wake.wait()
            wake.clear()
            while queue:
                producer = self._producer
                if producer is None:
                    await self._replace(None)
                    continue
                batch, letters = self._batch(producer, queue)
                if not letters:
                    continue
                try:
                    appended = await producer.send_batch(batch, self._commands, partition=partition)
                    await appended
                except (KafkaError, OSError) as error:
                    receiver.lost(letters, f"the append ended with {type(error).__name__}")
                    await self._replace(producer)

    def _batch(self, producer: AIOKafkaProducer, queue: deque[Letter]) -> tuple[Any, list[Letter]]:
        """What waits, as far as one batch takes it; the letter that does not fit stays."""
        batch = producer.create_batch()
        append, headers = batch.append, self.headers
        letters: list[Letter] = []
        now = time.monotonic()
        while queue:
            letter = queue[0]
            if not letter.recalled:
                if append(timestamp=None, key=letter.key, value=letter.value, headers=headers) is None:
                    break
                letter.sent_at = now
                letters.append(letter)
            queue.popleft()
        return batch, letters

    async def _replace(self, failed: AIOKafkaProducer | None) -> None:
        """Another producer, once, whoever of the senders comes first; meanwhile nothing leaves."""
        async with self._replacing:
            if self._producer is not failed:
                return
            self._producer = None
            if failed is not None:
                with suppress(KafkaError, OSError, TimeoutError):
                    async with asyncio.timeout(PAUSE_S):
                        await failed.stop()
            try:
                async with asyncio.timeout(START_TIMEOUT_S):
                    self._producer = await self._new_producer()
            except (KafkaError, OSError, TimeoutError):
                await asyncio.sleep(PAUSE_S)

    async def _read(self, receiver: Receiver) -> None:
        while True:
            try:
                batches = await self._consumer.getmany(timeout_ms=200, max_records=REPLIES_AT_ONCE)
            except (KafkaError, OSError):
                await asyncio.sleep(PAUSE_S)
                continue
            for replies in batches.values():
                receiver.delivered(replies)
            await asyncio.sleep(0)  # a backlog of replies must not keep arrivals waiting
