"""old-transaction-protocol: transactions are made with aiokafka's own producer (TxnOffsetCommit v0, EndTxn v0).

Mistake: to take the client's transactions as they are. All of them have one producer epoch, and an EndTxn whose answer
         was lost is sent again without telling anybody; nothing tells the first copy from one of today, so when it
         arrives late it ends the next transaction (KIP-890 is about this).
Shows:   when an EndTxn is held up in the network and arrives while the next transaction is open, half appended, whose
         other half then does not come.
Anomaly: torn_transaction. The half that was there is committed: a key record without its charge and its answer. The
         position was in that half, so that the command is passed over: lost_charge.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition as Theirs

from services.kafka.batches import BATCH_BYTES_MAX
from services.kafka.cluster import REQUEST_TIMEOUT_MS, Cluster
from services.kafka.errors import Indefinite
from services.kafka.port import Assignment, Outgoing, Scope, TopicPartition
from services.kafka.security import bootstrap, security
from services.processor.parts import Parts

CLOSING_S: Final = 3.0  # aiokafka's `stop` does not return while a broker is away


class OldWriter:
    def __init__(self, cluster: Cluster, transactional_id: str, transaction_timeout_ms: int, scope: Scope) -> None:
        self._cluster = cluster
        self._arguments: dict[str, Any] = {
            "bootstrap_servers": bootstrap(cluster.connection),
            "client_id": cluster.client_id,
            "transactional_id": transactional_id,
            "transaction_timeout_ms": transaction_timeout_ms,
            "request_timeout_ms": REQUEST_TIMEOUT_MS,
            "max_batch_size": BATCH_BYTES_MAX,
            **security(cluster.connection),
        }
        self._producer: AIOKafkaProducer | None = None
        self._open = False

    async def start(self) -> None:
        await self._let_go()
        with _troubles():
            self._producer = AIOKafkaProducer(**self._arguments)
            await self._producer.start()

    async def recover(self) -> None:
        """All that can be done: the identity is taken anew, from whoever has it."""
        await self.start()

    async def produce(self, records: Mapping[TopicPartition, Sequence[Outgoing]]) -> dict[TopicPartition, int]:
        with _troubles():
            if not self._open:
                await self._living.begin_transaction()
                self._open = True
            return {where: await self._append(where, some) for where, some in records.items() if some}

    async def send_offsets(self, group: str, topic: str, offsets: Mapping[int, int], member: Assignment) -> None:
        with _troubles():
            theirs = {Theirs(topic, partition): offset for partition, offset in offsets.items()}
            await self._living.send_offsets_to_transaction(theirs, group)

    async def commit(self) -> None:
        with _troubles():
            await self._living.commit_transaction()
            self._open = False

    async def abort(self) -> None:
        if self._open:
            await self.start()

    async def idle(self) -> None:
        """Nothing is known of the last end."""

    async def close(self) -> None:
        await self._let_go()
        self._cluster.close()

    @property
    def _living(self) -> AIOKafkaProducer:
        assert self._producer is not None, "start first"
        return self._producer

    async def _append(self, where: TopicPartition, records: Sequence[Outgoing]) -> int:
        offsets: list[int] = []
        rest = list(records)
        while rest:
            batch, count = self._living.create_batch(), 0
            for one in rest:
                if batch.append(key=one.key, value=one.value, timestamp=None, headers=list(one.headers)) is None:
                    break
                count += 1
            sent = await self._living.send_batch(batch, where.topic, partition=where.partition)
            offsets.append((await sent).offset)
            rest = rest[count:]
        return offsets[0]

    async def _let_go(self) -> None:
        producer, self._producer, self._open = self._producer, None, False
        if producer is not None:
            with suppress(KafkaError, TimeoutError, AssertionError):
                await asyncio.wait_for(producer.stop(), CLOSING_S)


@contextmanager
def _troubles() -> Iterator[None]:
    """aiokafka says of hardly any error what became of the transaction."""
    try:
        yield
    except (KafkaError, AssertionError, OSError) as error:
        raise Indefinite(f"aiokafka's producer failed: {error!r}") from error


def switch_on(parts: Parts) -> Parts:
    return parts.written_by(OldWriter)
