"""Candidates for expiry: oldest first, and only for so long at once that the commands behind them do not wait."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import orjson
import pytest

from events.guarantees import Guarantee
from services.kafka.port import Headers, Record, TopicPartition
from services.processor.expiry import EXPIRED_MOST, EXPIRY_MS, PIECE, Expiry
from services.processor.surroundings import RealSurroundings, Surroundings
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


class Clocked(RealSurroundings):
    """Time passes when somebody says so."""

    now = 100.0

    def elapsed_ms(self) -> float:
        return self.now


async def looked(records: Mapping[int, Sequence[Record]], surroundings: Surroundings | None = None) -> Expiry:
    expiry = Expiry(Given(records), TERMS, surroundings or Clocked())
    expiry.assign({0: 0, 1: 0})
    await expiry.look()
    return expiry


def taken(expiry: Expiry, clock: int, commands: int = 0, partition: int = 0) -> list[Record]:
    return [one for piece in expiry.pieces(partition, clock, commands) for one in piece]


def sizes(expiry: Expiry, clocked: Clocked, piece_ms: float, partition: int = 0, commands: int = 0) -> list[int]:
    """How large the pieces are of a transaction in which each takes so long to settle."""
    found = []
    for piece in expiry.pieces(partition, 10, commands):
        clocked.now += piece_ms
        found.append(len(piece))
    return found


async def test_only_what_is_due_is_taken_in_order() -> None:
    """A record that is not due yet stops the search, and the cursor stays at it."""
    expiry = await looked({0: [record(3, 10), record(4, 20), record(5, 30)]})
    assert [one.offset for one in taken(expiry, 20)] == [3, 4]
    assert expiry.cursor(0) == 5
    assert taken(expiry, 29) == []


@pytest.mark.parametrize("more", [{"later": 1}, {"later": "x"}])
async def test_a_record_of_another_form_is_read_as_json(more: dict[str, object]) -> None:
    """Where the instant is not the last member it is found all the same."""
    expiry = await looked({0: [record(0, 10, **more), Read(1, b"k", b'{"expires_at": 11 }')]})
    assert len(taken(expiry, 9)) == 0
    assert len(taken(expiry, 11)) == 2


MANY = [record(offset, 10) for offset in range(2 * EXPIRED_MOST)]


async def test_a_transaction_has_so_much_time_for_them() -> None:
    """Pieces are handed out until the time is used up; where each takes longer than all of it, one."""
    clocked = Clocked()
    expiry = await looked({0: MANY}, clocked)
    assert sizes(expiry, clocked, EXPIRY_MS / 2) == [PIECE, PIECE]
    assert sizes(expiry, clocked, EXPIRY_MS / 3 + 0.1) == [PIECE, PIECE, PIECE]
    assert sizes(expiry, clocked, 10 * EXPIRY_MS) == [PIECE]


async def test_partitions_share_the_time() -> None:
    """Pieces are smaller and the time is shorter for each of several, from the first transaction on."""
    clocked = Clocked()
    expiry = await looked({0: MANY, 1: MANY}, clocked)
    for partition in (0, 1):
        assert sizes(expiry, clocked, EXPIRY_MS / 4, partition) == [PIECE // 2, PIECE // 2]


async def test_reading_is_of_the_same_time() -> None:
    """After a fetch that took long only one piece is left."""
    clocked = Clocked()

    class Slow(Given):
        async def fetch(self, max_wait_ms: int) -> Mapping[TopicPartition, Sequence[Record]]:
            clocked.now += EXPIRY_MS
            return await super().fetch(max_wait_ms)

    expiry = Expiry(Slow({0: MANY}), TERMS, clocked)
    expiry.assign({0: 0})
    await expiry.look()
    assert sizes(expiry, clocked, 0.1) == [PIECE]


async def test_keys_go_as_fast_as_they_came() -> None:
    """However slow it is: as many as the partition has commands, up to a bound."""
    clocked = Clocked()
    expiry = await looked({0: MANY}, clocked)
    assert sum(sizes(expiry, clocked, EXPIRY_MS, commands=300)) == 300
    assert sum(sizes(expiry, clocked, EXPIRY_MS, commands=5)) == PIECE
    assert sum(sizes(expiry, clocked, EXPIRY_MS, commands=10 * EXPIRED_MOST)) == EXPIRED_MOST


async def test_a_clock_that_stands_still_bounds_nothing() -> None:
    """Then their number does."""
    expiry = await looked({0: MANY})
    assert len(taken(expiry, 10)) == EXPIRED_MOST
    assert expiry.cursor(0) == EXPIRED_MOST
