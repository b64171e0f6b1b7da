"""The end of a topic as it grows: every partition from the high watermark on, committed records only.

In:      a log and a topic.
Out:     whole batches by partition.
Units:   milliseconds.
Errors:  as the reader's; a position that the log no longer has is passed over to the log's start.

A gateway follows the replies with it: no group, no committed offset, nothing to recover.
"""

from collections.abc import Mapping, Sequence

import structlog

from services.kafka.errors import OffsetOutOfRange
from services.kafka.kafka_log import KafkaLog
from services.kafka.port import Record, TopicPartition
from services.kafka.reader import KafkaReader

log = structlog.get_logger(__name__)


class Tail:
    def __init__(self, kafka: KafkaLog, reader: KafkaReader, partitions: Sequence[TopicPartition]) -> None:
        self._kafka = kafka
        self._reader = reader
        self._partitions = partitions

    @classmethod
    async def start(cls, kafka: KafkaLog, topic: str, partitions: int, *, committed: bool = True) -> "Tail":
        """Returns once its positions are resolved: what is appended from now on will be read."""
        wanted = [TopicPartition(topic, number) for number in range(partitions)]
        reader = await kafka.reader(committed=committed)
        reader.assign(await kafka.high_watermarks(wanted))
        return cls(kafka, reader, wanted)

    async def fetch(self, max_wait_ms: int) -> Mapping[TopicPartition, Sequence[Record]]:
        try:
            return await self._reader.fetch(max_wait_ms)
        except OffsetOutOfRange as error:
            # Retention, or another log under the same name: whoever waited for what is gone gets no answer.
            starts = await self._kafka.log_starts(self._partitions)
            ends = await self._kafka.high_watermarks(self._partitions)
            positions = {one: self._reader.position(one) for one in self._partitions}
            kept = {
                one: positions[one] if starts[one] <= positions[one] <= ends[one] else starts[one]
                for one in self._partitions
            }
            log.warning("tail_moved", reason=str(error))
            self._reader.assign(kept)
            return {}

    async def close(self) -> None:
        await self._reader.close()
