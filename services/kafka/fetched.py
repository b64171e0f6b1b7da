"""What a Fetch answered for one partition, as records: what was aborted, and every marker, left out.

In:      the bytes of whole record batches (the last one may be cut short), the aborted transactions among them.
Out:     records in log order, and the offset to read from next.
Units:   offsets.
Errors:  Retriable for a batch whose checksum is wrong: it is fetched again.
Source:  KIP-98, "consumer": from a transaction's first offset on, what its producer wrote is aborted, until its marker.

The native part reads whatever is usual, and no object is made of a record before somebody looks at it. Where it is not
there, or a batch is compressed, damaged or older, aiokafka takes all of them apart.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from aiokafka.record.control_record import ABORT_MARKER, ControlRecord
from aiokafka.record.memory_records import MemoryRecords

from services.kafka.codes import Code
from services.kafka.errors import Retriable
from services.kafka.port import Record, TopicPartition
from services.native import native

_NOTHING: Final[Sequence[Record]] = ()


class Fetched(NamedTuple):
    records: Sequence[Record]
    read_to: int


class Aborted(NamedTuple):
    first_offset: int
    producer_id: int


def fetched(where: TopicPartition, data: bytes, position: int, aborted: Sequence[Aborted]) -> Fetched:
    """What is readable from `position` on."""
    usual = native.fetched(data, position, aborted) if native is not None else None
    return in_python(where, data, position, aborted) if usual is None else Fetched(*usual)


def timestamp_max(records: Sequence[Record]) -> int:
    """Of all of them; there must be one."""
    if native is not None and isinstance(records, native.Records):
        highest: int = records.timestamp_max
        return highest
    return max(record.timestamp for record in records)


def in_python(where: TopicPartition, data: bytes, position: int, aborted: Sequence[Aborted]) -> Fetched:
    """The same, whatever the batches are."""
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
