"""Produce, written as bytes: a batch for each of many partitions, at the cost of some bytes each.

In:      transactional id, time-out, batches by partition.
Out:     the body of a Produce v12 request, as kio would write it.
Units:   milliseconds.
Source:  kafka.apache.org/protocol, Produce v12. kio checks and writes each number with a call of its own, which for
         64 partitions of three topics takes longer than to make their batches.
"""

import struct
from collections.abc import Iterable, Mapping
from typing import ClassVar, Final

from kio.schema.produce.v12 import ProduceRequest
from kio.static.primitive import i16

from services.kafka.port import TopicPartition

Piece = bytes | bytearray

_HEAD: Final = struct.Struct(">hi")  # acks, time-out
_ACKS_ALL: Final = -1
_INDEX: Final = struct.Struct(">i")
_NO_TAGS: Final = b"\0"
_NULL: Final = b"\0"


class Produce:
    """A kio request by its class variables, that writes itself."""

    __slots__ = ("_batches", "_timeout_ms", "_transactional_id")

    __type__: ClassVar = ProduceRequest.__type__
    __version__: ClassVar[i16] = ProduceRequest.__version__
    __flexible__: ClassVar[bool] = ProduceRequest.__flexible__
    __api_key__: ClassVar[i16] = ProduceRequest.__api_key__
    __header_schema__: ClassVar = ProduceRequest.__header_schema__

    def __init__(self, transactional_id: str | None, timeout_ms: int, batches: Mapping[TopicPartition, Piece]) -> None:
        self._transactional_id = transactional_id
        self._timeout_ms = timeout_ms
        self._batches = batches

    def pieces(self) -> Iterable[Piece]:
        """The body in order; each batch is a piece of its own."""
        by_topic: dict[str, list[tuple[int, Piece]]] = {}
        for (topic, partition), batch in self._batches.items():
            by_topic.setdefault(topic, []).append((partition, batch))
        named = self._transactional_id
        yield _NULL if named is None else _compact(named)
        yield _HEAD.pack(_ACKS_ALL, self._timeout_ms) + _varint(len(by_topic) + 1)
        for topic, several in by_topic.items():
            before = _compact(topic) + _varint(len(several) + 1)
            for partition, batch in several:
                yield before + _INDEX.pack(partition) + _varint(len(batch) + 1)
                yield batch
                before = _NO_TAGS
            yield _NO_TAGS + _NO_TAGS  # of the last partition, of the topic
        yield _NO_TAGS

    def __repr__(self) -> str:
        return "ProduceRequest"


def _compact(text: str) -> bytes:
    encoded = text.encode()
    return _varint(len(encoded) + 1) + encoded


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)
