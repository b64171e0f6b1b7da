"""The log on a real Kafka: what `services.kafka.port.Log` asks for.

In:      a KafkaConnection and the client id that brokers and proxies will see.
Out:     readers, writers, memberships, answers about offsets.
Units:   milliseconds.
Errors:  those of services.kafka.errors.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from events.connection import KafkaConnection
from services.kafka import markers, offsets
from services.kafka.admin import ensure_topics, require_transactions
from services.kafka.cluster import REQUEST_TIMEOUT_MS, Cluster
from services.kafka.codes import Code, Request, failure
from services.kafka.membership import KafkaMembership
from services.kafka.patience import ask_again
from services.kafka.plain_writer import PlainWriter
from services.kafka.port import Scope, TopicPartition, Writer
from services.kafka.reader import KafkaReader
from services.kafka.writer import TransactionalWriter

PATIENCE_MS: Final = 60_000  # a service may be started before its broker
_QUESTION_MS: Final = 15_000

MakesWriters = Callable[[Cluster, str, int, Scope], Writer]


class KafkaLog:
    """Make one by `connect`. Readers, writers and memberships have their own connections: close them too."""

    def __init__(self, cluster: Cluster, connection: KafkaConnection, client_id: str, request_timeout_ms: int) -> None:
        self.cluster = cluster
        self._connection = connection
        self._client_id = client_id
        self._request_timeout_ms = request_timeout_ms
        self.writers: MakesWriters = TransactionalWriter

    @classmethod
    async def connect(
        cls,
        connection: KafkaConnection,
        *,
        client_id: str,
        patience_ms: int = PATIENCE_MS,
        request_timeout_ms: int = REQUEST_TIMEOUT_MS,
    ) -> "KafkaLog":
        """Wait for a broker, patience_ms at most; raises Fatal in one sentence when none answers."""
        cluster = Cluster(connection, client_id, request_timeout_ms)
        await cluster.reach(patience_ms)
        return cls(cluster, connection, client_id, request_timeout_ms)

    async def ensure_topics(self, namespace: str, partitions: int) -> None:
        """Create missing topics; raises Fatal, one sentence, where one has other settings or partitions."""
        await ensure_topics(self.cluster, namespace, partitions)

    async def reader(self, *, committed: bool = True, small: bool = False) -> KafkaReader:
        return KafkaReader(self._another("reader"), committed=committed, small=small)

    async def writer(self, transactional_id: str, transaction_timeout_ms: int, scope: Scope) -> Writer:
        await require_transactions(self.cluster)
        return self.writers(self._another("writer"), transactional_id, transaction_timeout_ms, scope)

    async def plain_writer(self) -> PlainWriter:
        made = PlainWriter(self._another("writer"))
        await made.start()
        return made

    async def membership(self, group: str, topic: str, session_timeout_ms: int) -> KafkaMembership:
        client_id = f"{self._client_id}-member"
        return KafkaMembership(self._another("group"), client_id, group, topic, session_timeout_ms)

    async def stable_offsets(self, group: str, topic: str, partitions: Sequence[int]) -> dict[int, int | None]:
        return await offsets.stable_offsets(self.cluster, group, topic, partitions)

    async def tell_offsets(self, group: str, positions: Mapping[TopicPartition, int]) -> None:
        await offsets.tell_offsets(self.cluster, group, positions)

    async def write_missing_markers(self, scope: Scope) -> int:
        return await markers.write_missing_markers(self.cluster, scope)

    async def log_starts(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return await offsets.log_starts(self.cluster, partitions)

    async def high_watermarks(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return await offsets.high_watermarks(self.cluster, partitions)

    async def topic_ids(self, topics: Sequence[str]) -> dict[str, str]:
        async def ask() -> dict[str, str]:
            described = await self.cluster.describe(topics)
            for topic in described.values():
                if topic.error_code != Code.none:
                    raise failure(topic.error_code, Request.OTHER, f"topic {topic.name}")
            return {name: str(topic.topic_id) for name, topic in described.items()}

        return await ask_again(ask, _QUESTION_MS, "the topics")

    async def close(self) -> None:
        self.cluster.close()

    def _another(self, purpose: str) -> Cluster:
        return Cluster(self._connection, f"{self._client_id}-{purpose}", self._request_timeout_ms)
