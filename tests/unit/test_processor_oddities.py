"""What seldom happens to a processor, on the log in memory: wrong clocks, poison, logs that do not fit."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from events.topics import topic_name
from services.kafka.codes import Code, failure
from services.kafka.port import TopicPartition
from services.processor import batch, poison
from services.processor.backlog import Backlog
from services.processor.domain import settling
from services.processor.holding import AHEAD_MS_MAX
from services.processor.store.memory import MemoryStore
from services.processor.store.port import Change, Reach
from services.processor.takeover import Refused
from tests.support.commands import command
from tests.support.processor_worlds import MemoryWorld
from tests.support.wait import wait_until


@pytest.fixture
async def world(namespace: str) -> AsyncIterator[MemoryWorld]:
    made = MemoryWorld(namespace, 1)
    yield made
    await made.close()


class _Behind:
    """Surroundings whose clock is behind that of the broker."""

    def __init__(self, real: Any, behind_ms: int) -> None:
        self._real = real
        self.behind_ms = behind_ms

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def now_ms(self) -> int:
        now: int = self._real.now_ms()
        return now - self.behind_ms


async def test_a_clock_far_ahead_stops_the_partition(world: MemoryWorld) -> None:
    """Timestamps beyond belief execute nothing until a clock is put right; then nothing is missing."""
    behind = _Behind(world.surroundings, AHEAD_MS_MAX + 60_000)
    world.surroundings = behind
    processor = await world.processor()
    await processor.ready()
    await world.append(command("shop", "k1"))
    await wait_until(
        lambda: processor.observer.states == {0: "stopped"},
        timeout_s=10,
        message=lambda: f"{processor.observer.states}",
    )
    assert await world.charges() == []
    behind.behind_ms = 0
    await world.replies(1)
    assert processor.observer.states == {0: "running"}
    await processor.stop()
    assert len(await world.charges()) == 1


def _poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug in pure code: it cannot stand the key `poison`."""

    def settle(rules: Any, standing: Any, incoming: Sequence[Any], found: Mapping[bytes, bytes | None]) -> Any:
        if any(getattr(one.command, "idempotency_key", None) == "poison" for one in incoming):
            raise ZeroDivisionError
        return settling.settle(rules, standing, incoming, found)

    monkeypatch.setattr(batch, "settle_read", _fails)
    monkeypatch.setattr(poison, "settle", settle)


def _fails(*_: Any) -> Any:
    raise RuntimeError("the native part has a bug")


@pytest.mark.parametrize("step", ["read", "settle_read"])
async def test_a_bug_of_the_native_part_loses_nothing(
    world: MemoryWorld, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """What fails natively is settled in Python, one record at a time, and nobody hears of it."""
    monkeypatch.setattr(batch, step, _fails)
    await world.append(command("shop", "k1"), command("shop", "k1"), command("shop", "k2"))
    processor = await world.processor()
    await processor.ready()
    replies = await world.replies(3)
    await processor.stop()
    assert [(one["status"], one["replayed"]) for one in replies] == [(201, False), (201, True), (201, False)]
    assert await world.read("dead-letters") == []


async def test_poison_is_dead_lettered(world: MemoryWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record on which pure code fails is dead-lettered and answered 500; those beside it are executed as ever."""
    _poisoned(monkeypatch)
    bad = command("shop", "poison")
    await world.append(command("shop", "k1"), bad, command("shop", "k1"), command("shop", "k2"))
    processor = await world.processor()
    await processor.ready()
    replies = await world.replies(4)
    await processor.stop()
    assert [one["status"] for one in replies] == [201, 500, 201, 201]
    assert [one["replayed"] for one in replies] == [False, False, True, False]
    (dead,) = await world.read("dead-letters")
    assert dead.record.value == bad.value
    assert dict(dead.record.headers)["reason"] == b"internal_error"
    assert "shop/poison" not in await world.keys()
    assert (await world.positions())[0]["position"] == 4


async def test_what_cannot_even_be_decoded_is_dead_lettered(
    world: MemoryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record on which decoding itself fails keeps its bytes, moves the position and answers nobody."""

    def decode(rules: Any, records: Sequence[Any]) -> Any:
        if any(b"poison" in record.value for record in records):
            raise RecursionError
        return settling.decode(rules, records)

    monkeypatch.setattr(batch, "read", _fails)
    monkeypatch.setattr(poison, "decode", decode)
    await world.append(command("shop", "k1"), command("shop", "poison"))
    processor = await world.processor()
    await processor.ready()
    await wait_until(
        lambda: processor.observer.text().count(b'payonce_processor_position{partition="0"} 2.0'),
        timeout_s=10,
        message="the position does not move",
    )
    await processor.stop()
    assert len(await world.replies(1)) == 1
    assert len(await world.read("dead-letters")) == 1


async def test_a_rebalance_that_comes_between_loses_nothing(
    world: MemoryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Offsets refused for their generation: the work is done again, on partitions that need not be taken over again."""
    refused = 0
    check = world.broker._check_member

    def refuses_twice(group: str, member: Any, request: Any) -> None:
        nonlocal refused
        if refused < 2:
            refused += 1
            raise failure(Code.illegal_generation, request, group)
        check(group, member, request)

    monkeypatch.setattr(world.broker, "_check_member", refuses_twice)
    with capture_logs() as logged:
        processor = await world.processor()
        await processor.ready()
        await world.append(command("shop", "k1"), command("shop", "k1"), command("shop", "k2"))
        replies = await world.replies(3)
        await world.append(command("shop", "k2"))
        replies = await world.replies(4)
        await processor.stop()
    assert refused == 2
    assert [one["replayed"] for one in replies] == [False, True, False, True]
    assert len(await world.charges()) == 2
    assert (await world.positions())[0]["position"] == 4
    assert [one["event"] for one in logged].count("partitions_taken_over") == 1


async def test_a_position_below_the_log_is_refused(world: MemoryWorld) -> None:
    """Commands that were deleted before they were executed are missed in one sentence."""
    await world.append(command("shop", "k1"), command("shop", "k2"))
    world.broker.delete_before(TopicPartition(topic_name(world.namespace, "commands"), 0), 1)
    error = await (await world.processor()).ended()
    assert isinstance(error, Refused)
    assert str(error).endswith("begins at offset 1, and commands from 0 on are still to be read.")


async def test_a_position_beyond_the_log_is_refused(world: MemoryWorld) -> None:
    """Another `commands` under the same name is not the log that the position is about."""
    await world.append(command("shop", "k1"))
    first = await world.processor()
    await first.ready()
    await world.replies(1)
    await first.stop()
    world.broker.create_topic(topic_name(world.namespace, "commands"), 1)
    error = await (await world.processor()).ended()
    assert isinstance(error, Refused)
    assert "ends at offset 0, before position 1" in str(error)


async def test_a_store_ahead_of_the_log_is_wiped(world: MemoryWorld) -> None:
    """A store that knows more than the log has is a copy of something else, and is made anew."""
    await world.append(command("shop", "k1"))
    store = MemoryStore()
    store.apply({0: Change({b"kshop/k1": b"not from this log"}, Reach(99, 0, 0))})
    processor = await world.processor(store=store)
    await processor.ready()
    (reply,) = await world.replies(1)
    await processor.stop()
    assert (reply["status"], reply["replayed"]) == (201, False)


async def test_a_store_is_flushed_though_nothing_comes(world: MemoryWorld) -> None:
    """What a quiet partition knows does not stay in memory for long, where a kill would take it."""
    flushed: list[Reach] = []

    class Watched(MemoryStore):
        def flush(self, *, wait: bool = True) -> None:
            flushed.append(self.reach(0))

    await world.append(command("shop", "k1"))
    processor = await world.processor(store=Watched())
    await processor.ready()
    await world.replies(1)
    await wait_until(lambda: any(one.charges for one in flushed), timeout_s=10, message="the store was not flushed")
    await processor.stop()


async def test_a_membership_of_no_partitions_is_ready(world: MemoryWorld) -> None:
    """More processors than partitions: the one too many is ready, and idle."""
    first, second = await world.processor("p1"), await world.processor("p2")
    await first.ready()
    await second.ready()
    await wait_until(
        lambda: sorted(len(one.observer.states) for one in (first, second)) == [0, 1],
        timeout_s=10,
        message="the partition is not shared out",
    )
    await first.stop()
    await second.stop()


async def test_an_uncertain_end_is_told_by_the_log(world: MemoryWorld) -> None:
    """Whether EndTxn or only its answer was lost, the command is executed once and the worker goes on."""
    processor = await world.processor()
    await processor.ready()
    for number, answer_only in enumerate((True, False)):
        world.faults.lose_next_end(answer_only=answer_only)
        await world.append(command("shop", f"k{number}"))
        await world.replies(number + 1)
    await processor.stop()
    assert len(await world.charges()) == 2
    assert len(await world.replies(2)) == 2


class _At:
    def __init__(self, position: int) -> None:
        self._position = position

    def position(self, where: TopicPartition) -> int:
        return self._position


def test_a_backlog_is_handed_out_in_portions() -> None:
    """Large fetches become portions in log order, each with the offset to go on from, past markers at the end."""

    class _Record:
        def __init__(self, offset: int) -> None:
            self.offset = offset

    where = TopicPartition("commands", 0)
    backlog = Backlog(most=4)
    backlog.put({where: [_Record(offset) for offset in range(10, 20)]}, _At(25))  # type: ignore[arg-type, dict-item]
    portions = []
    while backlog:
        portions.append(backlog.take()[where])
    assert [[one.offset for one in portion.records] for portion in portions] == [
        [10, 11, 12, 13],
        [14, 15, 16, 17],
        [18, 19],
    ]
    assert [portion.read_to for portion in portions] == [14, 18, 25]
