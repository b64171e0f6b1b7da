"""What ends a transaction, by hand: TxnOffsetCommit and EndTxn.

In:      the producer, the group's offsets and who read them; commit or abort.
Out:     the bodies of TxnOffsetCommit v5 and EndTxn v5, as kio would write them; what their answers say.
Units:   offsets.
Source:  kafka.apache.org/protocol, TxnOffsetCommit v5, EndTxn v5; services.kafka.question.
"""

import struct
from collections.abc import Iterable, Mapping
from typing import ClassVar, Final, NamedTuple

from kio.schema.end_txn.v5 import EndTxnRequest, EndTxnResponse
from kio.schema.txn_offset_commit.v5 import TxnOffsetCommitRequest, TxnOffsetCommitResponse

from services.kafka.codes import Code
from services.kafka.port import Assignment
from services.kafka.question import NO_TAGS, NULL, ByHand, Piece, by_kio, compact, read_varint, varint

_PRODUCER: Final = struct.Struct(">qh")  # id, epoch
_GENERATION: Final = struct.Struct(">i")
_OFFSET: Final = struct.Struct(">iqi2s")  # partition, offset, epoch of its leader, metadata and tags
_UNKNOWN_EPOCH: Final = -1
_NO_METADATA: Final = b"\1\0"
_THROTTLED: Final = 4  # bytes that say for how long we were
_CODE: Final = struct.Struct(">ihB")  # partition, error, tags
_COMMITTED: Final = struct.Struct(">?B")  # whether it is, tags
_ENDED: Final = struct.Struct(">ihqhB")  # throttled for so long, error, producer id, epoch, tags


class Producer(NamedTuple):
    transactional_id: str
    producer_id: int
    epoch: int

    def packed(self) -> bytes:
        return _PRODUCER.pack(self.producer_id, self.epoch)


class CommitOffsets(ByHand[set[Code]]):
    """Its answer is the error codes that occur, `none` among them."""

    __slots__ = ("_group", "_member", "_offsets", "_producer", "_topic")

    kio: ClassVar = TxnOffsetCommitRequest

    def __init__(
        self, producer: Producer, group: str, topic: str, offsets: Mapping[int, int], member: Assignment
    ) -> None:
        self._producer = producer
        self._group = group
        self._topic = topic
        self._offsets = offsets
        self._member = member

    def pieces(self) -> Iterable[Piece]:
        yield compact(self._producer.transactional_id) + compact(self._group) + self._producer.packed()
        yield _GENERATION.pack(self._member.generation) + compact(self._member.member_id) + NULL  # no instance id
        yield varint(2) + compact(self._topic) + varint(len(self._offsets) + 1)
        for partition, offset in self._offsets.items():
            yield _OFFSET.pack(partition, offset, _UNKNOWN_EPOCH, _NO_METADATA)
        yield NO_TAGS + NO_TAGS  # of the topic, of all

    def read(self, frame: bytes, at: int) -> set[Code]:
        codes = _usual_codes(frame, at + _THROTTLED)
        if codes is None:
            answer: TxnOffsetCommitResponse = by_kio(TxnOffsetCommitResponse, frame, at)
            return {one.error_code for topic in answer.topics for one in topic.partitions}
        return set(map(Code, codes))


def _usual_codes(frame: bytes, at: int) -> set[int] | None:
    codes: set[int] = set()
    topics, at = read_varint(frame, at)
    for _ in range(topics - 1):
        length, at = read_varint(frame, at)
        partitions, at = read_varint(frame, at + length - 1)
        for _ in range(partitions - 1):
            _, error, tags = _CODE.unpack_from(frame, at)
            if tags:
                return None
            codes.add(error)
            at += _CODE.size
        if frame[at] != 0:
            return None
        at += 1
    return None if frame[at] != 0 else codes


class Ended(NamedTuple):
    error_code: Code
    producer_id: int
    epoch: int


class End(ByHand[Ended]):
    __slots__ = ("_committed", "_producer")

    kio: ClassVar = EndTxnRequest

    def __init__(self, producer: Producer, *, committed: bool) -> None:
        self._producer = producer
        self._committed = committed

    def pieces(self) -> Iterable[Piece]:
        yield compact(self._producer.transactional_id) + self._producer.packed() + _COMMITTED.pack(self._committed, 0)

    def read(self, frame: bytes, at: int) -> Ended:
        _, error, producer_id, epoch, tags = _ENDED.unpack_from(frame, at)
        if not tags:
            return Ended(Code(error), producer_id, epoch)
        answer: EndTxnResponse = by_kio(EndTxnResponse, frame, at)
        return Ended(answer.error_code, int(answer.producer_id), int(answer.producer_epoch))
