"""Fetch in a session, by hand: what has moved is asked for, and what has come is answered.

In:      what a FetchSession has to say; bounds.
Out:     the body of a Fetch v12 request, as kio would write it; of its answer what each partition has.
Units:   offsets, bytes, milliseconds.
Source:  kafka.apache.org/protocol, Fetch v12; services.kafka.question.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar, Final, NamedTuple

from kio.schema.fetch.v12.request import FetchRequest
from kio.schema.fetch.v12.response import FetchResponse

from services.kafka.codes import Code
from services.kafka.fetch_session import RequestData
from services.kafka.fetched import Aborted
from services.kafka.leaders import by_topic
from services.kafka.port import TopicPartition
from services.kafka.question import NO_TAGS, ByHand, Piece, by_kio, compact, read_compact, read_varint, varint

_HEAD: Final = struct.Struct(">iiiibii")  # replica, longest wait, fewest and most bytes, isolation, session, its epoch
_CONSUMER: Final = -1
_BYTES_LEAST: Final = 1
_PARTITION: Final = struct.Struct(">iiqiqiB")  # index, leader's epoch, offset, last epoch, log start, most bytes, tags
_UNKNOWN: Final = -1
_INDEX: Final = struct.Struct(">i")
_NO_RACK: Final = b"\1"
_ANSWER: Final = struct.Struct(">ihi")  # throttled for so long, error, session
_RESULT: Final = struct.Struct(">ihqqq")  # index, error, high watermark, last stable offset, where the log starts
_ABORTED: Final = struct.Struct(">qqB")  # producer id, first offset, tags
_REPLICA: Final = 4  # bytes that say which one to prefer


class Bounds(NamedTuple):
    """Of every Fetch of one reader."""

    wait_ms: int
    answer_bytes: int
    partition_bytes: int
    committed: bool


class Part(NamedTuple):
    """What one partition has."""

    where: TopicPartition
    error_code: Code
    aborted: Sequence[Aborted]
    records: bytes | None


class Answer(NamedTuple):
    error_code: Code
    session_id: int
    parts: Sequence[Part]


class Fetch(ByHand[Answer]):
    __slots__ = ("_bounds", "_data")

    kio: ClassVar = FetchRequest

    def __init__(self, data: RequestData, bounds: Bounds) -> None:
        self._data = data
        self._bounds = bounds

    def pieces(self) -> Iterable[Piece]:
        (session_id, epoch, positions, forgotten), bounds = self._data, self._bounds
        yield _HEAD.pack(
            _CONSUMER,
            bounds.wait_ms,
            _BYTES_LEAST,
            bounds.answer_bytes,
            int(bounds.committed),
            session_id,
            epoch,
        )
        topics = by_topic(positions)
        yield varint(len(topics) + 1)
        for topic, several in topics.items():
            yield compact(topic) + varint(len(several) + 1)
            for one in several:
                yield _PARTITION.pack(
                    one.partition, _UNKNOWN, positions[one], _UNKNOWN, _UNKNOWN, bounds.partition_bytes, 0
                )
            yield NO_TAGS
        topics = by_topic(forgotten)
        yield varint(len(topics) + 1)
        for topic, several in topics.items():
            yield compact(topic) + varint(len(several) + 1)
            yield from (_INDEX.pack(one.partition) for one in several)
            yield NO_TAGS
        yield _NO_RACK + NO_TAGS

    def read(self, frame: bytes, at: int) -> Answer:
        _, error, session_id = _ANSWER.unpack_from(frame, at)
        parts = _usual(frame, at + _ANSWER.size)
        if parts is not None:
            return Answer(Code(error), session_id, parts)
        answer: FetchResponse = by_kio(FetchResponse, frame, at)
        return Answer(answer.error_code, int(answer.session_id), list(_any(answer)))


def _usual(frame: bytes, at: int) -> list[Part] | None:
    parts: list[Part] = []
    topics, at = read_varint(frame, at)
    for _ in range(topics - 1):
        topic, at = read_compact(frame, at)
        partitions, at = read_varint(frame, at)
        for _ in range(partitions - 1):
            index, error, _, _, _ = _RESULT.unpack_from(frame, at)
            several, at = read_varint(frame, at + _RESULT.size)
            aborted: list[Aborted] = []
            for _ in range(several - 1):
                producer_id, first_offset, tags = _ABORTED.unpack_from(frame, at)
                if tags:
                    return None
                aborted.append(Aborted(first_offset, producer_id))
                at += _ABORTED.size
            length, at = read_varint(frame, at + _REPLICA)
            ends_at = at + max(0, length - 1)
            if frame[ends_at] != 0:
                return None
            records = frame[at:ends_at] if length else None
            parts.append(Part(TopicPartition(topic, index), Code(error), aborted, records))
            at = ends_at + 1
        if frame[at] != 0:
            return None
        at += 1
    return None if frame[at] != 0 else parts


def _any(answer: FetchResponse) -> Iterator[Part]:
    for topic in answer.responses:
        for one in topic.partitions:
            where = TopicPartition(str(topic.topic), int(one.partition_index))
            several = one.aborted_transactions or ()
            aborted = [Aborted(int(each.first_offset), int(each.producer_id)) for each in several]
            yield Part(where, one.error_code, aborted, one.records)
