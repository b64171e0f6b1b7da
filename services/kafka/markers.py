"""The markers of a decided transaction that the coordinator never wrote: looked for, and written.

In:      the scope of a writer: what its transactions may have touched; its transactional id where that is known.
Out:     every record of a decided transaction readable or skipped, as its coordinator decided.
Units:   offsets; milliseconds.
Errors:  Retriable when the cluster does not answer in time; Fatal where we may not write what is missing.
Source:  ADR 12: Kafka 4.3 takes a partition without a leader for a deleted one and skips its marker, so that a
         broker killed within a commit leaves records that nobody may read, for ever.

The result is always the one that the coordinator has logged, never a guess: Kafka's own tool for such
partitions can only abort, which would tear a transaction that was committed elsewhere. A marker of
transaction.version 2 carries a higher epoch than its records, and the broker refuses it wherever a newer
transaction of the same producer has begun, so that writing it late or twice harms nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import structlog
from kio.schema.types import ProducerId, TopicName
from kio.schema.write_txn_markers.v2 import WriteTxnMarkersRequest, WriteTxnMarkersResponse
from kio.schema.write_txn_markers.v2.request import WritableTxnMarker, WritableTxnMarkerTopic
from kio.static.primitive import i8, i16, i32

from services.kafka.cluster import ASKING_MS, Cluster, partition_index
from services.kafka.codes import Code
from services.kafka.errors import Fatal, Retriable
from services.kafka.leaders import ask_leaders, by_topic
from services.kafka.patience import ask_again
from services.kafka.port import Scope, TopicPartition
from services.kafka.transactions import Open, Transaction, described, open_transactions, transactional_ids

_EPOCH_MAX: Final = 32_767  # the end of a producer id: its last marker carries this, the next id starts at 0
_TRANSACTION_VERSION: Final = i8(2)
DECIDED: Final = {"CompleteCommit": True, "CompleteAbort": False}
_UNDER_WAY: Final = {"PrepareCommit", "PrepareAbort", "PrepareEpochFence"}

log = structlog.get_logger(__name__)


async def settled(
    cluster: Cluster, transactional_id: str, scope: Scope, before: int | None = None
) -> Transaction | None:
    """Wait until no end is under way, and write what is missing of the last one; None: never heard of it.

    Only the owner of the id asks, before it begins anything new: what the coordinator decided is forgotten then.
    `before` is the producer id that the owner had, in case the last end has rotated it.
    """

    async def ask() -> Transaction | None:
        found = await described(cluster, transactional_id)
        if found is not None and found.state in _UNDER_WAY:
            raise Retriable(f"the transaction of {transactional_id} is being ended")
        return found

    found = await ask_again(ask, ASKING_MS, f"the end of the transaction of {transactional_id}")
    if found is not None and found.state in DECIDED:
        await _end(cluster, found, await open_transactions(cluster, scope), before)
    return found


async def write_missing_markers(cluster: Cluster, scope: Scope) -> int:
    """For every open transaction in this scope that its coordinator has ended; returns how many were written."""
    opened = await open_transactions(cluster, scope)
    if not opened:
        return 0
    written = 0
    for transactional_id in await transactional_ids(cluster, {one.producer_id for one in opened}):
        found = await described(cluster, transactional_id)
        if found is not None and found.state in DECIDED:
            written += await _end(cluster, found, opened)
    return written


async def _end(cluster: Cluster, decided: Transaction, opened: Iterable[Open], before: int | None = None) -> int:
    """Write the coordinator's decision where it is missing; returns to how many partitions."""
    epochs = {decided.producer_id: decided.epoch}
    if before is not None and before != decided.producer_id and decided.epoch == 0:
        epochs[before] = _EPOCH_MAX
    # Every end moves the epoch by one. What was open longer than that had another end, which is forgotten by now.
    hanging = {one.where: one for one in opened if one.epoch + 1 == epochs.get(one.producer_id)}
    if not hanging:
        return 0
    committed = DECIDED[decided.state]
    said = (
        f"{len(hanging)} partitions lack the marker of a transaction of {decided.transactional_id}"
        f" that Kafka ended as {decided.state}"
    )
    if (await cluster.versions()).get(int(WriteTxnMarkersRequest.__api_key__), (0, 0))[1] < 2:
        raise Fatal(f"{said}, and this Kafka has no safe way to write it; kafka-transactions.sh shows them.")
    try:
        await ask_leaders(
            cluster,
            hanging,
            lambda led: _markers([hanging[where] for where in led], epochs, committed),
            WriteTxnMarkersResponse,
            _written,
            about="the marker",
            # Where a newer transaction has begun, an end was written for this one after all.
            accepted=(Code.none, Code.invalid_producer_epoch),
        )
    except Fatal as error:
        raise Fatal(f"{said}, and it could not be written: {error}.", code=error.code) from error
    log.warning(
        "missing_markers_written",
        transactional_id=decided.transactional_id,
        committed=committed,
        partitions=sorted(f"{where.topic} {where.partition}" for where in hanging),
    )
    return len(hanging)


def _markers(hanging: Iterable[Open], epochs: Mapping[int, int], committed: bool) -> WriteTxnMarkersRequest:
    by_producer: dict[int, list[Open]] = {}
    for one in hanging:
        by_producer.setdefault(one.producer_id, []).append(one)
    return WriteTxnMarkersRequest(
        markers=tuple(
            WritableTxnMarker(
                producer_id=ProducerId(producer_id),
                producer_epoch=i16(epochs[producer_id]),
                transaction_result=committed,
                topics=tuple(
                    WritableTxnMarkerTopic(name=TopicName(name), partition_indexes=tuple(map(partition_index, several)))
                    for name, several in by_topic(one.where for one in some).items()
                ),
                coordinator_epoch=i32(max(0, *(one.coordinator_epoch for one in some))),
                transaction_version=_TRANSACTION_VERSION,
            )
            for producer_id, some in by_producer.items()
        )
    )


def _written(answer: WriteTxnMarkersResponse) -> Iterator[tuple[TopicPartition, Code, None]]:
    for marker in answer.markers:
        for topic in marker.topics:
            for one in topic.partitions:
                yield TopicPartition(str(topic.name), int(one.partition_index)), one.error_code, None
