"""Fetch of many partitions, packed and unpacked one partition at a time instead of one number at a time.

In:      what aiokafka's fetcher asks for, and the frame that answers it.
Out:     the same bytes as aiokafka's own Fetch v11; of the answer, the partitions that have something to say.
Errors:  struct.error for a frame that ends too soon, upon which aiokafka closes the connection.
Source:  kafka.apache.org/protocol, Fetch v11. aiokafka 0.14 packs each number with a call of its own and reads each
         from a stream: a turn of the loop over 64 partitions took 0.4 ms for what is mostly nothing. A broker that
         does not serve version 11 is asked as aiokafka would.

A partition without records and without an error is left out of the answer: aiokafka would only note its high watermark,
which nobody here asks for.
"""

import random
import struct
from io import BytesIO
from typing import Any, Final, Self

from aiokafka.consumer import fetcher
from aiokafka.protocol.fetch import FetchRequest, FetchRequest_v11, FetchResponse_v11

_VERSION: Final = FetchRequest_v11.API_VERSION
_HEAD: Final = struct.Struct(">iiiibii")  # replica, wait, least bytes, most bytes, isolation, session, its epoch
_ASKED: Final = struct.Struct(">iiqqi")  # partition, leader epoch, offset, log start, most bytes
_ANSWERED: Final = struct.Struct(">ihqqqiii")  # partition, error, high watermark, stable, log start, aborted, then:
_ABORTED: Final = struct.Struct(">qq")  # producer id, first offset
_RECORDS: Final = struct.Struct(">ii")  # preferred replica, bytes; behind the aborted ones where there are any
_INT: Final = struct.Struct(">i")
_SHORT: Final = struct.Struct(">h")
_CONSUMER = _UNKNOWN = _NO_SESSION = -1


class Fetcher(fetcher.Fetcher):  # type: ignore[misc]  # aiokafka shows no types
    """aiokafka's, which looks at each partition twice a fetch."""

    def _get_actions_per_node(self, assignment: Any) -> Any:
        """As there, where every partition has a position and a leader; otherwise it is asked."""
        led = self._client.cluster._partitions
        fetched, in_flight = self._records, self._in_flight
        asked: dict[int, dict[str, list[tuple[int, int, int]]]] = {}
        backoffs: dict[int, float] = {}  # of the node, the longest
        resumed = []
        for where, state in assignment._tp_state.items():
            topic, partition = where
            try:
                node = led[topic][partition].leader
            except KeyError:
                node = -1
            if node < 0 or state._position is None:
                return super()._get_actions_per_node(assignment)
            if where in fetched:
                backoff = fetched[where].calculate_backoff()
                if backoff:
                    backoffs[node] = max(backoff, backoffs.get(node, 0.0))
            elif node in in_flight:
                continue
            elif state._paused:
                resumed.append(state._resume_fut)
            else:
                one = (partition, state._position, self._max_partition_fetch_bytes)
                asked.setdefault(node, {}).setdefault(topic, []).append(one)
        requests = [(node, self._fetch(topics)) for node, topics in asked.items() if node not in backoffs]
        return requests, {}, min(backoffs.values(), default=self._fetcher_timeout), False, resumed

    def _fetch(self, topics: dict[str, list[tuple[int, int, int]]]) -> "Fetch":
        limits = (self._fetch_max_wait_ms, self._fetch_min_bytes, self._fetch_max_bytes, self._isolation_level)
        for partitions in topics.values():
            random.shuffle(partitions)  # where an answer is full, it should not always be the same that wait
        return Fetch(*limits, list(topics.items()))


class Fetch(FetchRequest):  # type: ignore[misc]  # aiokafka shows no types
    """As FetchRequest, for the version that every Kafka from 2.3 on serves."""

    def prepare(self, versions: dict[int, tuple[int, int]]) -> Any:
        lowest, highest = versions.get(self.API_KEY, (0, 0))
        return _Struct(self) if lowest <= _VERSION <= highest else super().prepare(versions)


class _Struct(FetchRequest_v11):  # type: ignore[misc]  # aiokafka shows no types
    """What AIOKafkaConnection sends, and finds the answer's decoder at."""

    def __init__(self, asked: Fetch) -> None:
        self._asked = asked

    def encode(self) -> bytes:
        asked = self._asked
        head = (_CONSUMER, asked._max_wait_ms, asked._min_bytes, asked._max_bytes, asked._isolation_level)
        pieces = [_HEAD.pack(*head, 0, _NO_SESSION), _INT.pack(len(asked.topics))]
        pack = _ASKED.pack
        for topic, partitions in asked.topics:
            pieces += (_string(topic), _INT.pack(len(partitions)))
            pieces += [pack(one, _UNKNOWN, offset, _UNKNOWN, most) for one, offset, most in partitions]
        pieces += (_INT.pack(0), _string(asked._rack_id))  # nothing is forgotten, as there is no session
        return b"".join(pieces)

    def __repr__(self) -> str:
        return f"Fetch({self._asked.topics})"


class _Answer(FetchResponse_v11):  # type: ignore[misc]  # aiokafka shows no types
    @classmethod
    def decode(cls, data: BytesIO | bytes) -> Self:
        frame, at = (data, 0) if isinstance(data, bytes) else (data.getvalue(), data.tell())
        throttled, error, session, count = struct.unpack_from(">ihii", frame, at)
        at += 14
        topics = []
        for _ in range(count):
            (length,) = _SHORT.unpack_from(frame, at)
            at += 2 + length
            name = frame[at - length : at].decode()
            partitions, at = _partitions(frame, at)
            topics.append((name, partitions))
        return cls(throttle_time_ms=throttled, error_code=error, session_id=session, topics=topics)


_Struct.RESPONSE_TYPE = _Answer


def _partitions(frame: bytes, at: int) -> tuple[list[tuple[Any, ...]], int]:
    """Those with records or an error, each as aiokafka's own decoder gives it; and where the next topic begins."""
    found: list[tuple[Any, ...]] = []
    answered = _ANSWERED.unpack_from
    (count,) = _INT.unpack_from(frame, at)
    at += _INT.size
    for _ in range(count):
        partition, error, high, stable, start, several, preferred, size = answered(frame, at)
        at += _ANSWERED.size
        aborted = None
        if several > 0:
            at -= _RECORDS.size
            aborted = [_ABORTED.unpack_from(frame, at + one * _ABORTED.size) for one in range(several)]
            at += several * _ABORTED.size
            preferred, size = _RECORDS.unpack_from(frame, at)
            at += _RECORDS.size
        if error or size > 0:
            said = frame[at : at + size] if size >= 0 else None
            if said is not None and len(said) < size:
                raise struct.error(f"the records of partition {partition} end too soon")
            found.append((partition, error, high, stable, start, aborted, preferred, said))
        at += max(0, size)
    return found, at


def _string(text: str) -> bytes:
    encoded = text.encode()
    return _SHORT.pack(len(encoded)) + encoded
