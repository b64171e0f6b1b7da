"""Produce, by hand: a batch for each of many partitions, at the cost of some bytes each.

In:      transactional id, time-out, batches by partition.
Out:     the body of a Produce v12 request, as kio would write it; of its answer what became of each batch.
Units:   milliseconds.
Source:  kafka.apache.org/protocol, Produce v12; services.kafka.question.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar, Final, NamedTuple

from kio.schema.produce.v12 import ProduceRequest, ProduceResponse

from services.kafka.codes import Code
from services.kafka.port import TopicPartition
from services.kafka.question import NO_TAGS, NULL, ByHand, Piece, by_kio, compact, read_compact, read_varint, varint

_HEAD: Final = struct.Struct(">hi")  # acks, time-out
_ACKS_ALL: Final = -1
_INDEX: Final = struct.Struct(">i")
_RESULT: Final = struct.Struct(">ihqqq")  # index, error, base offset, when it was appended, where the log starts
_NO_MORE: Final = b"\1\0\0"  # no record has an error, no message, no tags
_END: Final = struct.Struct(">iB")  # throttled for so long, tags


class Result(NamedTuple):
    """What became of one partition's batch."""

    where: TopicPartition
    error_code: Code
    base_offset: int


class Produce(ByHand[list[Result]]):
    __slots__ = ("_batches", "_timeout_ms", "_transactional_id")

    kio: ClassVar = ProduceRequest

    def __init__(self, transactional_id: str | None, timeout_ms: int, batches: Mapping[TopicPartition, Piece]) -> None:
        self._transactional_id = transactional_id
        self._timeout_ms = timeout_ms
        self._batches = batches

    def pieces(self) -> Iterable[Piece]:
        by_topic: dict[str, list[tuple[int, Piece]]] = {}
        for (topic, partition), batch in self._batches.items():
            by_topic.setdefault(topic, []).append((partition, batch))
        named = self._transactional_id
        yield NULL if named is None else compact(named)
        yield _HEAD.pack(_ACKS_ALL, self._timeout_ms) + varint(len(by_topic) + 1)
        for topic, several in by_topic.items():
            before = compact(topic) + varint(len(several) + 1)
            for partition, batch in several:
                yield before + _INDEX.pack(partition) + varint(len(batch) + 1)
                yield batch
                before = NO_TAGS
            yield NO_TAGS + NO_TAGS  # of the last partition, of the topic
        yield NO_TAGS

    def read(self, frame: bytes, at: int) -> list[Result]:
        results = _usual(frame, at)
        return list(_any(by_kio(ProduceResponse, frame, at))) if results is None else results


def _usual(frame: bytes, at: int) -> list[Result] | None:
    results: list[Result] = []
    topics, at = read_varint(frame, at)
    for _ in range(topics - 1):
        topic, at = read_compact(frame, at)
        partitions, at = read_varint(frame, at)
        for _ in range(partitions - 1):
            index, error, base_offset, _, _ = _RESULT.unpack_from(frame, at)
            at += _RESULT.size + len(_NO_MORE)
            if frame[at - len(_NO_MORE) : at] != _NO_MORE:
                return None
            results.append(Result(TopicPartition(topic, index), Code(error), base_offset))
        at += 1
        if frame[at - 1] != 0:
            return None
    _, tags = _END.unpack_from(frame, at)
    return None if tags else results


def _any(answer: ProduceResponse) -> Iterator[Result]:
    for topic in answer.responses:
        for one in topic.partition_responses:
            yield Result(TopicPartition(str(topic.name), int(one.index)), one.error_code, int(one.base_offset))
