"""Produce, written by hand: the same bytes as kio's."""

from datetime import timedelta
from io import BytesIO
from typing import cast

from hypothesis import given
from hypothesis import strategies as st
from kio.schema.produce.v12 import ProduceRequest
from kio.schema.produce.v12.request import PartitionProduceData, TopicProduceData
from kio.schema.types import TopicName, TransactionalId
from kio.serial import entity_writer
from kio.static.primitive import Records, i16, i32, i32Timedelta

from services.kafka.port import TopicPartition
from services.kafka.producing import Produce

NAMES = st.text("abc-.é", min_size=1, max_size=200)
SPOTS = st.builds(TopicPartition, NAMES, st.integers(0, 2**31 - 1))
BATCHES = st.dictionaries(SPOTS, st.binary(min_size=1, max_size=300) | st.integers(1, 40_000).map(bytes), max_size=12)


def by_kio(named: str | None, timeout_ms: int, batches: dict[TopicPartition, bytes]) -> bytes:
    by_topic: dict[str, list[PartitionProduceData]] = {}
    for where, batch in batches.items():
        said = PartitionProduceData(index=i32(where.partition), records=cast(Records, batch))
        by_topic.setdefault(where.topic, []).append(said)
    request = ProduceRequest(
        transactional_id=None if named is None else TransactionalId(named),
        acks=i16(-1),
        timeout=i32Timedelta.parse(timedelta(milliseconds=timeout_ms)),
        topic_data=tuple(
            TopicProduceData(name=TopicName(topic), partition_data=tuple(several))
            for topic, several in by_topic.items()
        ),
    )
    written = BytesIO()
    entity_writer(ProduceRequest)(written, request)
    return written.getvalue()


@given(st.none() | NAMES, st.integers(0, 2**31 - 1), BATCHES)
def test_it_is_the_bytes_that_kio_would_write(
    named: str | None, timeout_ms: int, batches: dict[TopicPartition, bytes]
) -> None:
    """Whatever the names, the lengths and the number of topics and partitions."""
    assert b"".join(Produce(named, timeout_ms, batches).pieces()) == by_kio(named, timeout_ms, batches)
