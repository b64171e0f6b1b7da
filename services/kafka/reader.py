"""A reader of assigned partitions from given positions: aiokafka's consumer, no group, no reset policy.

In:      positions by partition.
Out:     whole batches as fetched; positions past markers, aborted and compacted records.
Units:   milliseconds.
Errors:  OffsetOutOfRange, Retriable, Fatal.

aiokafka's `assign` forgets the positions of partitions that stay, and its reset policies would then skip or
read again in silence. So every `assign` is followed by a `seek` of each partition without an await between,
and the policy is `none`.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka import errors as aiokafka_errors
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.structs import TopicPartition as AiokafkaPartition

from events.connection import KafkaConnection
from services.kafka.errors import Fatal, OffsetOutOfRange, Retriable
from services.kafka.fetching import Fetcher
from services.kafka.port import Record, TopicPartition
from services.kafka.security import bootstrap, security

# A new fetch waits behind an idle one: this is what a resumed or newly assigned partition may have to wait.
FETCH_WAIT_MS: Final = 100
_LOOK_MS: Final = 25  # aiokafka waits on where only a marker came; a restore that ends in one should not
PARTITION_BYTES: Final = 1024 * 1024
REQUEST_TIMEOUT_MS: Final = 5_000
_REFUSED: Final = (
    aiokafka_errors.TopicAuthorizationFailedError,
    aiokafka_errors.UnsupportedCodecError,
    aiokafka_errors.RecordTooLargeError,
)


class _Fetched(OrderedDict[Any, Any]):
    """What aiokafka has fetched and nobody has read. It would copy each record into an object of its own, with its
    topic and its partition, in a microsecond; but its native record is a Record already."""

    def __setitem__(self, where: Any, fetched: Any) -> None:
        if isinstance(fetched, FetchResult):
            fetched._partition_records._consumer_record = _as_it_is
        super().__setitem__(where, fetched)


def _as_it_is(_: Any, record: Record) -> Record:
    return record


class KafkaReader:
    def __init__(
        self,
        connection: KafkaConnection,
        client_id: str,
        *,
        committed: bool,
        partition_bytes: int = PARTITION_BYTES,
    ) -> None:
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap(connection),
            client_id=client_id,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed" if committed else "read_uncommitted",
            fetch_max_wait_ms=FETCH_WAIT_MS,
            max_partition_fetch_bytes=partition_bytes,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            retry_backoff_ms=50,
            **security(connection),
        )

    async def start(self) -> None:
        try:
            await self._consumer.start()
        except aiokafka_errors.KafkaError as error:
            await self._consumer.stop()
            raise Retriable(f"cannot connect to Kafka at {self._consumer._client.hosts}: {error}") from error
        self._consumer._fetcher.__class__ = Fetcher
        self._consumer._fetcher._records = _Fetched()
        self.assign({})  # without an assignment aiokafka's fetch waits for ever

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        partitions = [_theirs(one) for one in positions]
        self._consumer.assign(partitions)
        for one, offset in positions.items():
            self._consumer.seek(_theirs(one), offset)

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        self._consumer.pause(*map(_theirs, partitions))

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        self._consumer.resume(*map(_theirs, partitions))

    async def fetch(self, max_wait_ms: int) -> Mapping[TopicPartition, Sequence[Record]]:
        """Also returns, with nothing, as soon as a position has moved past markers or aborted records alone."""
        before = self._positions()
        left_ms = max_wait_ms
        while True:
            fetched = await self._fetch(min(left_ms, _LOOK_MS))
            left_ms -= _LOOK_MS
            if fetched or left_ms <= 0 or self._positions() != before:
                return fetched

    def _positions(self) -> list[int | None]:
        states = self._consumer._subscription.subscription.assignment._tp_state.values()
        return [state._position for state in states]

    async def _fetch(self, max_wait_ms: int) -> Mapping[TopicPartition, Sequence[Record]]:
        try:
            fetched: dict[Any, list[Record]] = await self._consumer.getmany(timeout_ms=max_wait_ms)
        except aiokafka_errors.OffsetOutOfRangeError as error:
            raise OffsetOutOfRange(f"the position is not on the log: {error.args[0]}", code=1) from error
        except _REFUSED as error:
            raise Fatal(f"the log cannot be read: {error!r}", code=_number(error)) from error
        except aiokafka_errors.KafkaError as error:
            raise Retriable(f"the log cannot be read now: {error!r}", code=_number(error)) from error
        # aiokafka's TopicPartition and ours are equal as tuples and hash alike, but ours is what callers
        # name.
        return {TopicPartition(*where): records for where, records in fetched.items()}

    def position(self, partition: TopicPartition) -> int:
        # aiokafka's own `position` awaits, and answers the same field.
        position: int = self._consumer._subscription._assigned_state(_theirs(partition)).position
        return position

    async def close(self) -> None:
        await self._consumer.stop()


def _theirs(partition: TopicPartition) -> Any:
    return AiokafkaPartition(partition.topic, partition.partition)


def _number(error: aiokafka_errors.KafkaError) -> int | None:
    number = getattr(error, "errno", None)
    return number if isinstance(number, int) and number > 0 else None
