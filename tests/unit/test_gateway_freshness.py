"""A GET waits for the read model, and not for ever."""

import time
from collections.abc import Sequence

import pytest

from services.gateway.answers import Problem
from services.gateway.freshness import Freshness
from services.kafka.errors import Retriable
from services.kafka.port import TopicPartition

CHARGES, KEYS = TopicPartition("t.charges", 3), TopicPartition("t.keys", 3)


class Ends:
    """A log whose high watermarks are told, or that cannot be asked."""

    def __init__(self, ends: dict[TopicPartition, int] | None) -> None:
        self.ends = ends

    async def high_watermarks(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        if self.ends is None:
            raise Retriable("no broker")
        return {partition: self.ends[partition] for partition in partitions}


class Catching:
    """A read model that applies one more record at each question."""

    def __init__(self, start: int | None, step: int = 1) -> None:
        self.at, self.step, self.asked = start, step, 0

    async def positions(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int | None]:
        self.asked += 1
        if self.at is not None:
            self.at += self.step
        return dict.fromkeys(partitions, self.at)


async def test_it_waits_until_every_position_is_there() -> None:
    """The slowest topic decides."""
    model = Catching(7)
    await Freshness(Ends({CHARGES: 10, KEYS: 12}), model.positions).wait([CHARGES, KEYS])
    assert model.at == 12


async def test_an_empty_partition_asks_for_nothing() -> None:
    """A merchant without a record need not be in the read model."""
    model = Catching(None)
    await Freshness(Ends({CHARGES: 0}), model.positions).wait([CHARGES])


@pytest.mark.parametrize("model", [Catching(None), Catching(3, 0)])
async def test_a_read_model_that_stays_behind_is_503(model: Catching) -> None:
    """After the limit, not later."""
    started_at = time.monotonic()
    with pytest.raises(Problem, match="read_model_behind") as caught:
        await Freshness(Ends({CHARGES: 5}), model.positions, wait_max_s=0.1).wait([CHARGES])
    assert caught.value.answer().status == 503
    assert time.monotonic() - started_at < 1


async def test_a_log_that_cannot_be_asked_is_503() -> None:
    """Whether the read model is behind is then not known."""
    with pytest.raises(Problem, match="read_model_behind"):
        await Freshness(Ends(None), Catching(0).positions).wait([CHARGES])
