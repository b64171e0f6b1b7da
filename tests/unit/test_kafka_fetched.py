"""What a Fetch answered, read natively and by aiokafka's parser: the same records, whatever batches come."""

import gzip
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
from aiokafka.record.util import calc_crc32c
from hypothesis import given, settings
from hypothesis import strategies as st

from services.kafka.errors import Retriable
from services.kafka.fetched import Aborted, Fetched, fetched, in_python, timestamp_max
from services.kafka.port import TopicPartition
from services.native import native
from services.processor.domain.stored import of_events, of_records

WHERE = TopicPartition("topic", 3)
GZIP, LOG_APPEND_TIME, TRANSACTIONAL, CONTROL = 1, 8, 16, 32
ABORT, COMMIT = b"\0\0\0\0", b"\0\0\0\1"
HEAD_BYTES = 61

Headers = Sequence[tuple[bytes, bytes | None]]


class One(NamedTuple):
    offset_delta: int
    timestamp_delta: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


def varint(number: int) -> bytes:
    rest = (number << 1) ^ (number >> 63)
    written = bytearray()
    while rest >= 0x80:
        written.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*written, rest])


def nullable(part: bytes | None) -> bytes:
    return varint(-1) if part is None else varint(len(part)) + part


def record(one: One) -> bytes:
    headers = b"".join(nullable(name) + nullable(value) for name, value in one.headers)
    body = b"\0" + varint(one.timestamp_delta) + varint(one.offset_delta) + nullable(one.key) + nullable(one.value)
    body += varint(len(one.headers)) + headers
    return varint(len(body)) + body


def signed(body: bytes, base_offset: int) -> bytes:
    """A batch from its attributes on, with what stands before them."""
    head = struct.pack(">qiibI", base_offset, len(body) + 9, 0, 2, calc_crc32c(body))
    return head + body


def batch(base_offset: int, records: Sequence[One], attributes: int = 0, producer_id: int = 7, gap: int = 0) -> bytes:
    """`gap`: offsets at its end that compaction has emptied."""
    last = max((one.offset_delta for one in records), default=0) + gap
    head = struct.pack(">hiqqqhii", attributes, last, 1_000, 9_000, producer_id, 0, 0, len(records))
    body = b"".join(map(record, records))
    return signed(head + (gzip.compress(body) if attributes & GZIP else body), base_offset)


def read(found: Fetched) -> tuple[list[tuple[Any, ...]], int]:
    records = [(one.offset, one.timestamp, one.key, one.value, list(one.headers)) for one in found.records]
    return records, found.read_to


def outcome(reading: Any, *arguments: Any) -> Any:
    try:
        return read(reading(WHERE, *arguments))
    except Exception as error:  # whatever aiokafka raises
        return type(error)


BYTES = st.one_of(st.none(), st.binary(max_size=200))
NAMES = st.text(max_size=5).map(str.encode)
DELTAS = st.one_of(st.integers(-5, 5), st.integers(-(2**40), 2**40))
HEADERS = st.lists(st.tuples(NAMES, BYTES), max_size=3)


@st.composite
def logs(draw: st.DrawFn, codecs: Sequence[int] = (0, 0, 0, GZIP)) -> tuple[bytes, list[Aborted]]:
    written, offset, aborted = b"", draw(st.integers(0, 3)), []
    for _ in range(draw(st.integers(0, 5))):
        producer_id = draw(st.integers(1, 2))
        if draw(st.booleans()) and draw(st.booleans()):
            marker = One(0, 0, draw(st.sampled_from([ABORT, COMMIT])), b"\0\0\0\0\0\0")
            made = batch(offset, [marker], CONTROL | TRANSACTIONAL, producer_id)
            last = 0
        else:
            deltas = sorted(draw(st.sets(st.integers(0, 300), max_size=6)))
            records = [One(at, draw(DELTAS), draw(BYTES), draw(BYTES), draw(HEADERS)) for at in deltas]
            attributes = draw(st.sampled_from(codecs)) | draw(st.sampled_from([0, TRANSACTIONAL]))
            attributes |= draw(st.sampled_from([0, 0, LOG_APPEND_TIME]))
            gap = draw(st.integers(0, 2))
            made = batch(offset, records, attributes, producer_id, gap)
            last = max(deltas, default=0) + gap
            if draw(st.booleans()):
                aborted.append(Aborted(draw(st.integers(0, offset)), producer_id))
        written += made
        offset += last + 1
    return written, aborted


@given(log=logs(), position=st.integers(0, 500), cut=st.one_of(st.just(0), st.integers(0, 200)))
@settings(max_examples=300, deadline=None)
def test_whatever_a_fetch_answers(log: tuple[bytes, list[Aborted]], position: int, cut: int) -> None:
    """Several batches, some compressed, some aborted, markers, gaps, both kinds of timestamps, the last cut short."""
    data, aborted = log
    data = data[: len(data) - cut]
    assert read(fetched(WHERE, data, position, aborted)) == read(in_python(WHERE, data, position, aborted))


@given(log=logs(codecs=(0,)))
@settings(max_examples=50, deadline=None)
def test_what_is_usual_is_read_natively(log: tuple[bytes, list[Aborted]]) -> None:
    """Otherwise all of this would be true, and slow."""
    data, aborted = log
    assert native is not None
    assert native.fetched(data, 0, aborted) is not None


@given(log=logs(codecs=(0,)), at=st.integers(0, 2_000), byte=st.integers(0, 255))
@settings(max_examples=400, deadline=None)
def test_what_nobody_would_write(log: tuple[bytes, list[Aborted]], at: int, byte: int) -> None:
    """A sound checksum over anything at all: the same records, or the same error."""
    data, aborted = log
    length = struct.unpack_from(">i", data, 8)[0] + 12 if data else 0
    first, rest = bytearray(data[:length]), data[length:]
    if len(first) <= HEAD_BYTES:
        return
    first[HEAD_BYTES + at % (len(first) - HEAD_BYTES)] = byte
    data = signed(bytes(first[21:]), struct.unpack_from(">q", first)[0]) + rest
    assert outcome(fetched, data, 0, aborted) == outcome(in_python, data, 0, aborted)


@pytest.mark.parametrize("reading", [fetched, in_python])
def test_a_damaged_batch_is_fetched_again(reading: Any) -> None:
    """A byte that the checksum does not allow for is an error that passes, not a record."""
    data = bytearray(batch(5, [One(0, 0, b"k", b"value")]))
    data[-3] ^= 1
    with pytest.raises(Retriable, match="a batch of topic 3 came damaged"):
        reading(WHERE, bytes(data), 0, ())


@pytest.mark.parametrize("reading", [fetched, in_python])
def test_aborted_records_are_left_out(reading: Any) -> None:
    """From its first offset on up to its marker, and only what its producer wrote within a transaction."""
    data = b"".join(
        (
            batch(0, [One(0, 0, b"k", b"before")], TRANSACTIONAL, 1),
            batch(1, [One(0, 0, b"k", b"aborted")], TRANSACTIONAL, 1),
            batch(2, [One(0, 0, b"k", b"another's")], TRANSACTIONAL, 2),
            batch(3, [One(0, 0, ABORT, b"")], TRANSACTIONAL | CONTROL, 1),
            batch(4, [One(0, 0, b"k", b"after")], TRANSACTIONAL, 1),
        )
    )
    records, read_to = reading(WHERE, data, 0, [Aborted(1, 1)])
    assert [one.value for one in records] == [b"before", b"another's", b"after"]
    assert read_to == 5


def test_a_part_is_a_sequence_of_its_own() -> None:
    """Any slice of what was fetched has the records that a list would have."""
    data = batch(10, [One(at, at, b"%d" % at, None, [(b"h", None)]) for at in range(9)])
    all_of_them = fetched(WHERE, data, 0, ()).records
    plain = list(all_of_them)
    for part in (slice(0, 4), slice(4, None), slice(None, None, -2), slice(7, 3), slice(-3, 100)):
        some = all_of_them[part]
        assert [one.offset for one in some] == [one.offset for one in plain[part]]
        assert len(some) == len(plain[part])
    assert all_of_them[-1].headers == (("h", None),)
    assert all_of_them[2:][0].key == b"2"
    with pytest.raises(IndexError):
        all_of_them[9]


def test_the_newest_timestamp() -> None:
    """The same of records as fetched and of a list of them."""
    records = fetched(WHERE, batch(0, [One(0, 5, None, None), One(1, 70, None, None), One(2, 3, None, None)]), 0, ())[0]
    assert timestamp_max(records) == timestamp_max(list(records)) == 1_070


@given(records=st.lists(st.tuples(st.one_of(st.none(), st.sampled_from([b"", b"a", b"b"])), BYTES), max_size=8))
@settings(deadline=None)
def test_key_records_are_restored_alike(records: list[tuple[bytes | None, bytes | None]]) -> None:
    """As fetched or as a list: the same writes, in the same order."""
    data = batch(0, [One(at, 0, key, value) for at, (key, value) in enumerate(records)])
    as_fetched = fetched(WHERE, data, 0, ()).records
    assert list(of_records(as_fetched).items()) == list(of_records(list(as_fetched)).items())


def test_events_are_restored_alike() -> None:
    """As fetched or as a list: the same writes."""
    first = (
        b'{"event_id":"evt_1","type":"charge.authorized","charge_id":"ch_1","merchant_id":"m","amount":1,'
        b'"currency":"eur","sequence":1,"occurred_at":5,"command_id":"c","idempotency_key":"k","data":{}}'
    )
    later = first.replace(b'"sequence":1', b'"sequence":2')
    data = batch(0, [One(0, 0, b"ch_1", first), One(1, 0, b"ch_1", later), One(2, 0, None, first)])
    as_fetched = fetched(WHERE, data, 0, ()).records
    for once in (True, False):
        assert of_events(as_fetched, once=once) == of_events(list(as_fetched), once=once) != {}
