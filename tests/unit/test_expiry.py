"""Candidates for expiry: oldest first, and only so many at once that the commands behind them do not wait."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import orjson
import pytest

from events.guarantees import Guarantee
from services.kafka.port import Headers, Record, TopicPartition
from services.processor.expiry import EXPIRED_AT_ONCE, Expiry
from services.processor.surroundings import RealSurroundings
from services.processor.terms import Terms

TERMS = Terms("t", 2, 1_000, Guarantee.EXACTLY_ONCE)


class Read(NamedTuple):
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int = 0
    headers: Headers = ()


class Given:
    """A reader that has these records, all in one fetch."""

    def __init__(self, records: Mapping[int, Sequence[Record]]) -> None:
        self._records = {TopicPartition("t.keys", one): some for one, some in records.items()}
        self._positions: dict[TopicPartition, int] = {}

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        self._positions = dict(positions)

    def pause(self, partitions: Sequence[TopicPartition]) -> None: ...

    def resume(self, partitions: Sequence[TopicPartition]) -> None: ...

    async def fetch(self, max_wait_ms: int) -> Mapping[TopicPartition, Sequence[Record]]:
        fetched, self._records = self._records, {}
        self._positions |= {where: some[-1].offset + 1 for where, some in fetched.items()}
        return fetched

    def position(self, partition: TopicPartition) -> int:
        return self._positions[partition]

    async def close(self) -> None: ...


def record(offset: int, expires_at: int, **more: object) -> Read:
    value = {"body": '{",\\"expires_at\\":1}', "completed_at": 0, "expires_at": expires_at} | more
    return Read(offset, b"k%d" % offset, orjson.dumps(value))


async def looked(records: Mapping[int, Sequence[Record]]) -> Expiry:
    expiry = Expiry(Given(records), TERMS, RealSurroundings())
    expiry.assign({0: 0, 1: 0})
    await expiry.look()
    await expiry.look()
    return expiry


async def test_only_what_is_due_is_taken_in_order() -> None:
    """A record that is not due yet stops the search, and the cursor stays at it."""
    expiry = await looked({0: [record(3, 10), record(4, 20), record(5, 30)]})
    assert [one.offset for one in expiry.take(0, 20, 1_000)] == [3, 4]
    assert expiry.cursor(0) == 5
    assert expiry.take(0, 29, 1_000) == []


@pytest.mark.parametrize("more", [{"later": 1}, {"later": "x"}])
async def test_a_record_of_another_form_is_read_as_json(more: dict[str, object]) -> None:
    """Where the instant is not the last member it is found all the same."""
    expiry = await looked({0: [record(0, 10, **more), Read(1, b"k", b'{"expires_at": 11 }')]})
    assert len(expiry.take(0, 9, 1_000)) == 0
    assert len(expiry.take(0, 11, 1_000)) == 2


async def test_partitions_share_what_a_transaction_may_expire() -> None:
    """However many are due: an equal share each, all of it for one alone, and more only beside as many commands."""
    many = [record(offset, 10) for offset in range(3 * EXPIRED_AT_ONCE)]
    expiry = await looked({0: many, 1: many})
    assert len(expiry.take(0, 10, 1_000)) == len(expiry.take(1, 10, 1_000)) == EXPIRED_AT_ONCE // 2
    assert len(expiry.take(0, 10, 1_000, commands=EXPIRED_AT_ONCE)) == EXPIRED_AT_ONCE
    assert len(expiry.take(0, 10, 5, commands=EXPIRED_AT_ONCE)) == 5
    alone = await looked({0: many})
    assert len(alone.take(0, 10, 1_000)) == EXPIRED_AT_ONCE
