"""Records to record batches: whole batches through a native builder, aiokafka's or our own, split by bytes.

In:      the records of one partition, in order; producer id, epoch, the partition's next sequence number.
Out:     batches, each at most BATCH_BYTES_MAX long unless one record alone is longer.
Units:   bytes; timestamps in Unix milliseconds.

A batch is what max.message.bytes bounds, and Produce carries one batch per partition.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from aiokafka.record.default_records import DefaultRecordBatchBuilder

from services.kafka.packed import Packed
from services.kafka.port import Outgoing

BATCH_BYTES_MAX: Final = 1_000_000  # below the topics' max.message.bytes of 1 MiB, header included
SEQUENCES: Final = 2**31  # Kafka's sequence numbers wrap to 0

_MAGIC, _PLAIN, _GZIP = 2, 0, 1


class Batch(NamedTuple):
    data: bytearray
    first: int  # index of its first record among those given
    records: int
    sequence: int


def batches(
    records: Sequence[Outgoing],
    *,
    producer_id: int,
    epoch: int,
    sequence: int,
    transactional: bool,
    timestamp_ms: int,
) -> Iterator[Batch]:
    """Cut the records into batches, each filled before the next begins."""
    first = 0
    while first < len(records):
        base_sequence = (sequence + first) % SEQUENCES
        if isinstance(records, Packed):
            data, count = records.batch(
                first, BATCH_BYTES_MAX, producer_id, epoch, base_sequence, transactional, timestamp_ms
            )
            if count > 1 or len(data) <= BATCH_BYTES_MAX:
                yield Batch(data, first, count, base_sequence)
                first += count
                continue
        builder = _builder(_PLAIN, transactional, producer_id, epoch, base_sequence)
        count = _fill(builder, records, first, timestamp_ms)
        if count == 1 and builder.size() > BATCH_BYTES_MAX:
            # Only a record that came compressed can be this long, so it leaves compressed.
            builder = _builder(_GZIP, transactional, producer_id, epoch, base_sequence)
            _fill(builder, records[first : first + 1], 0, timestamp_ms)
        yield Batch(builder.build(), first, count, base_sequence)
        first += count


def _builder(compression: int, transactional: bool, producer_id: int, epoch: int, sequence: int) -> Any:
    return DefaultRecordBatchBuilder(
        _MAGIC, compression, int(transactional), producer_id, epoch, sequence, BATCH_BYTES_MAX
    )


def _fill(builder: Any, records: Sequence[Outgoing], first: int, timestamp_ms: int) -> int:
    """Append until the batch is full; a batch takes its first record whatever its length."""
    append = builder.append
    offset = 0
    for index in range(first, len(records)):
        key, value, headers = records[index]
        if append(offset, timestamp_ms, key, value, list(headers)) is None:  # it takes nothing but a list
            return offset
        offset += 1
    return offset
