"""What a Fetch answered for one partition, as records: what was aborted, and every marker, left out.

In:      the bytes of whole record batches (the last one may be cut short), the aborted transactions among them.
Out:     records in log order, and the offset to read from next.
Units:   offsets.
Errors:  Retriable for a batch whose checksum is wrong: it is fetched again.
Source:  KIP-98, "consumer": from a transaction's first offset on, what its producer wrote is aborted, until its marker.

aiokafka's batches are parsed natively, and its native record is a Record already: nothing is copied.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from aiokafka.record.control_record import ABORT_MARKER, ControlRecord
from aiokafka.record.memory_records import MemoryRecords

from services.kafka.codes import Code
from services.kafka.errors import Retriable
from services.kafka.port import Record, TopicPartition

_NOTHING: Final[Sequence[Record]] = ()


class Fetched(NamedTuple):
    records: Sequence[Record]
    read_to: int


class Aborted(NamedTuple):
    first_offset: int
    producer_id: int


def fetched(where: TopicPartition, data: bytes, position: int, aborted: Iterable[Aborted]) -> Fetched:
    """What is readable from `position` on."""
    batches = MemoryRecords(data)
    to_come = sorted(aborted, reverse=True)
    aborting: set[int] = set()
    records: list[Record] = []
    while batches.has_next():
        batch: Any = batches.next_batch()
        if not batch.validate_crc():
            raise Retriable(f"a batch of {where.topic} {where.partition} came damaged", code=int(Code.corrupt_message))
        while to_come and to_come[-1].first_offset <= batch.base_offset:
            aborting.add(to_come.pop().producer_id)
        if batch.is_control_batch:
            if _is_abort(batch):
                aborting.discard(batch.producer_id)
        elif not (batch.is_transactional and batch.producer_id in aborting):
            records += batch if batch.base_offset >= position else [one for one in batch if one.offset >= position]
        # A batch keeps its last offset, though compaction may have taken the record there.
        position = max(position, batch.next_offset)
    return Fetched(records or _NOTHING, position)


def _is_abort(batch: Any) -> bool:
    marker = next(batch, None)
    return marker is not None and bool(ControlRecord.parse(marker.key) == ABORT_MARKER)
