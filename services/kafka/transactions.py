"""Questions about transactions: what a coordinator says of one, and which are open on a partition.

In:      a transactional id; a scope.
Out:     Transaction as its coordinator has it; Open as the leaders of the partitions have it.
Errors:  Retriable when the cluster does not answer in time; Fatal for a refusal to tell.
Source:  KIP-664. A transaction that is open on a partition and ended for its coordinator lacks a marker.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from kio.schema.describe_producers.v0 import DescribeProducersRequest, DescribeProducersResponse
from kio.schema.describe_producers.v0.request import TopicRequest
from kio.schema.describe_transactions.v0 import DescribeTransactionsRequest
from kio.schema.describe_transactions.v0 import DescribeTransactionsResponse as TheirResponse
from kio.schema.describe_transactions.v0.response import TransactionState as TheirState
from kio.schema.list_transactions.v1 import ListTransactionsRequest, ListTransactionsResponse
from kio.schema.types import ProducerId, TopicName, TransactionalId
from kio.static.primitive import i64

from services.kafka.cluster import ASKING_MS, Cluster, CoordinatorOf, Lane, partition_index
from services.kafka.codes import Code, Request, failure
from services.kafka.errors import Indefinite, Retriable
from services.kafka.leaders import ask_leaders, by_topic
from services.kafka.patience import ask_again
from services.kafka.port import Scope, TopicPartition

OFFSETS_TOPIC: Final = "__consumer_offsets"  # a transaction's offsets want a marker too


class Transaction(NamedTuple):
    """What a coordinator says of a transactional id's newest transaction."""

    transactional_id: str
    state: str
    producer_id: int
    epoch: int  # once it is ended that of its markers, one above that of its records


class Open(NamedTuple):
    """A transaction that a partition has not seen the end of."""

    where: TopicPartition
    producer_id: int
    epoch: int
    coordinator_epoch: int


# kio takes the start of a transaction for a date, and refuses the -1 of one that has not begun.
@dataclass(frozen=True, slots=True, kw_only=True)
class _State(TheirState):
    transaction_start_time: i64 = field(metadata={"kafka_type": "int64"})  # type: ignore[assignment]


@dataclass(frozen=True, slots=True, kw_only=True)
class _DescribeTransactionsResponse(TheirResponse):
    transaction_states: tuple[_State, ...]


async def described(cluster: Cluster, transactional_id: str) -> Transaction | None:
    request = DescribeTransactionsRequest(transactional_ids=(TransactionalId(transactional_id),))

    async def ask() -> Transaction | None:
        answer = await cluster.call_coordinator(
            CoordinatorOf.TRANSACTION, transactional_id, request, _DescribeTransactionsResponse
        )
        (state,) = answer.transaction_states
        if state.error_code == Code.transactional_id_not_found:
            return None
        if state.error_code != Code.none:
            cluster.forget_coordinator(CoordinatorOf.TRANSACTION, transactional_id)
            raise failure(state.error_code, Request.OTHER, f"the transaction of {transactional_id}")
        return Transaction(transactional_id, state.transaction_state, int(state.producer_id), int(state.producer_epoch))

    return await ask_again(ask, ASKING_MS, f"the transaction of {transactional_id}")


async def transactional_ids(cluster: Cluster, producer_ids: Collection[int]) -> list[str]:
    """Whose these producer ids are, as far as a coordinator remembers; each broker coordinates some."""
    request = ListTransactionsRequest(producer_id_filters=tuple(ProducerId(one) for one in sorted(producer_ids)))
    found: list[str] = []
    for node in await cluster.nodes():
        try:
            answer = await cluster.call(node, Lane.QUESTIONS, request, ListTransactionsResponse)
        except (Retriable, Indefinite):
            continue  # one that is down coordinates nothing
        if answer.error_code == Code.none:
            found += [str(one.transactional_id) for one in answer.transaction_states]
    return found


async def _partitions(cluster: Cluster, scope: Scope) -> set[TopicPartition]:
    async def ask() -> set[TopicPartition]:
        described = await cluster.describe({*scope.topics, OFFSETS_TOPIC})
        offsets = described.pop(OFFSETS_TOPIC)
        for topic in described.values():
            if topic.error_code != Code.none:
                raise failure(topic.error_code, Request.OTHER, f"topic {topic.name}")
        found = {
            TopicPartition(name, int(one.partition_index))
            for name, topic in described.items()
            for one in topic.partitions
        }
        if offsets.partitions:  # before the first group there are none
            found.add(TopicPartition(OFFSETS_TOPIC, coordinating_partition(scope.group, len(offsets.partitions))))
        return found

    return await ask_again(ask, ASKING_MS, "the partitions of the topics")


def coordinating_partition(name: str, partitions: int) -> int:
    """Which of an internal topic's partitions has a group or a transactional id: by Java's String.hashCode.

    Its absolute value, that is; Kafka's partitioner of records clears the sign bit instead.
    """
    units = name.encode("utf-16-be")
    hashed = 0
    for at in range(0, len(units), 2):
        hashed = (31 * hashed + int.from_bytes(units[at : at + 2], "big")) & 0xFFFFFFFF
    signed = hashed - (1 << 32) if hashed >= 1 << 31 else hashed
    return (0 if signed == -(1 << 31) else abs(signed)) % partitions


async def open_transactions(cluster: Cluster, scope: Scope) -> list[Open]:
    """What is open on every partition of the scope."""

    def question(led: Sequence[TopicPartition]) -> DescribeProducersRequest:
        return DescribeProducersRequest(
            topics=tuple(
                TopicRequest(name=TopicName(name), partition_indexes=tuple(map(partition_index, several)))
                for name, several in by_topic(led).items()
            )
        )

    partitions = await _partitions(cluster, scope)
    answers = await ask_leaders(
        cluster,
        partitions,
        question,
        DescribeProducersResponse,
        _producers,
        about="the producers",
        accepted=(Code.none, Code.topic_authorization_failed),  # who may not look sees nothing
    )
    return [one for several in answers.values() for one in several]


def _producers(answer: DescribeProducersResponse) -> Iterator[tuple[TopicPartition, Code, list[Open]]]:
    for topic in answer.topics:
        for one in topic.partitions:
            where = TopicPartition(str(topic.name), int(one.partition_index))
            yield (
                where,
                one.error_code,
                [
                    Open(where, int(each.producer_id), int(each.producer_epoch), int(each.coordinator_epoch))
                    for each in one.active_producers
                    if int(each.current_txn_start_offset) >= 0
                ],
            )
