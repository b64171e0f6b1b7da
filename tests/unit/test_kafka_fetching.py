"""Fetch, written and read by hand: the same as aiokafka's own, for whatever is asked and answered."""

import struct
from io import BytesIO
from typing import Any

import pytest
from aiokafka.protocol.fetch import FetchRequest, FetchResponse_v11
from hypothesis import given
from hypothesis import strategies as st

from services.kafka.fetching import Fetch

SERVED = {1: (4, 17)}
INT32 = st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
NAMES = st.text(min_size=1, max_size=20)
ASKED = st.lists(st.tuples(NAMES, st.lists(st.tuples(INT32, INT64, INT32), max_size=5)), max_size=3)
ABORTED = st.none() | st.lists(st.tuples(INT64, INT64), max_size=3)
ANSWERED = st.tuples(
    INT32, st.integers(-1, 90), INT64, INT64, INT64, ABORTED, INT32, st.none() | st.binary(max_size=40)
)
ANSWERS = st.lists(st.tuples(NAMES, st.lists(ANSWERED, max_size=5)), max_size=3)


def answer_of(frame: bytes) -> Any:
    return Fetch(100, 1, 2, 1, []).prepare(SERVED).RESPONSE_TYPE.decode(BytesIO(frame))


@given(ASKED, st.integers(0, 1))
def test_a_request_is_the_bytes_that_aiokafka_would_send(asked: list[Any], isolation: int) -> None:
    """Version 11, without a session."""
    said = (100, 1, 50 * 2**20, isolation, asked)
    assert Fetch(*said).prepare(SERVED).encode() == FetchRequest(*said).prepare(SERVED).encode()


def test_an_older_kafka_is_asked_as_it_understands() -> None:
    """Version 11 is written only to who serves it."""
    said: tuple[Any, ...] = (100, 1, 50 * 2**20, 1, [("commands", [(0, 7, 1024)])])
    older = {1: (0, 6)}
    assert Fetch(*said).prepare(older).encode() == FetchRequest(*said).prepare(older).encode()


@given(ANSWERS)
def test_an_answer_says_what_aiokafka_reads_of_it(answers: list[Any]) -> None:
    """But for partitions without records and without an error, and none aborted is none, however it is written."""
    frame = FetchResponse_v11(5, 0, 0, answers).encode()
    expected = [
        (topic, [(*one[:5], one[5] or None, *one[6:]) for one in partitions if one[1] or one[7]])
        for topic, partitions in FetchResponse_v11.decode(BytesIO(frame)).topics or []
    ]
    answer = answer_of(frame)
    assert answer.topics == expected
    assert answer.API_VERSION == 11


@given(st.integers(1, 60))
def test_an_answer_that_ends_too_soon_is_no_answer(missing: int) -> None:
    """Whatever is cut off, nobody takes the rest for whole."""
    frame = FetchResponse_v11(0, 0, 0, [("commands", [(3, 0, 9, 9, 0, [(1, 2)], -1, b"x" * 20)])]).encode()
    with pytest.raises(struct.error):
        answer_of(frame[:-missing])
