"""Wait until nothing moves any more, then read everything.

In:      Kafka, how many partitions.
Out:     a Book; how many records were aborted.
Units:   seconds.
Errors:  AssertionError that says which partition stands still, and where.
"""

import asyncio
import time
from collections import defaultdict
from typing import Any

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from tests.support.outside.book import Book, read_book
from tests.support.outside.kafka import Kafka

SETTLED_WITHIN_S = 60.0
READ_WITHIN_S = 60.0


async def wait_settled(kafka: Kafka, partitions: int) -> dict[TopicPartition, int]:
    """The ends, once every command is committed and no transaction is open; the same twice in a row."""
    deadline = time.monotonic() + SETTLED_WITHIN_S
    before: Any = None
    while True:
        try:
            stable, high, group = await asyncio.gather(
                kafka.ends("read_committed", partitions),
                kafka.ends("read_uncommitted", partitions),
                kafka.group_offsets(partitions),
            )
        except (KafkaError, TimeoutError) as error:
            unsettled = [f"Kafka does not answer: {error!r}"]
        else:
            unsettled = [
                f"{where.topic} {where.partition} is stable up to {stable[where]} of {end}"
                for where, end in high.items()
                if stable[where] != end
            ]
            unsettled += [
                f"the group is at {group[number]} of {end} in partition {number}"
                for number in range(partitions)
                if group[number] != (end := high[kafka.where("commands", number)])
            ]
            if not unsettled and (stable, group) == before:
                return stable
            before = (stable, group)
        assert time.monotonic() < deadline, f"not settled within {SETTLED_WITHIN_S:g} s: {unsettled}"
        await asyncio.sleep(0.5)


async def read_all(kafka: Kafka, partitions: int, ends: dict[TopicPartition, int]) -> tuple[Book, int]:
    wanted = {where: (0, end) for where, end in ends.items()}
    committed = await kafka.records("read_committed", wanted, READ_WITHIN_S)
    topics: dict[str, dict[int, list[ConsumerRecord]]] = defaultdict(dict)
    for where, records in committed.items():
        topics[kafka.topic(where)][where.partition] = records
    everything = await kafka.records("read_uncommitted", wanted, READ_WITHIN_S)
    aborted = sum(len(everything[where]) - len(committed[where]) for where in wanted)
    return read_book(partitions, topics), aborted
