"""Requests begin in the order of arrival, no more of them in a turn than leave it short."""

import asyncio
from functools import partial

import pytest

from services.gateway.turns import A_TURN, Turns


async def test_who_comes_alone_begins_at_once() -> None:
    """Nobody waits for a turn that has room."""
    turns, begun = Turns(), list[int]()
    for number in range(A_TURN):
        turns.begin(partial(begun.append, number))
    assert len(begun) == A_TURN
    assert len(turns) == 0


@pytest.mark.parametrize("many", [A_TURN + 1, 5 * A_TURN, 5 * A_TURN + 7])
async def test_a_crowd_begins_in_turns_and_in_order(many: int) -> None:
    """So many in each, and all of them in the end."""
    turns, begun = Turns(), list[int]()
    for number in range(many):
        turns.begin(partial(begun.append, number))
    assert len(turns) == many - A_TURN
    for turn in range(1, many // A_TURN + 2):
        assert len(begun) == min(many, turn * A_TURN)
        await asyncio.sleep(0)
    assert begun == list(range(many))


async def test_who_comes_later_does_not_overtake() -> None:
    """There is room in the next turn, and those who wait have it first."""
    turns, begun = Turns(), list[str]()
    for _ in range(A_TURN + 1):
        turns.begin(partial(begun.append, "first"))
    asyncio.get_running_loop().call_soon(turns.begin, partial(begun.append, "second"))
    await asyncio.sleep(0)
    assert begun == ["first"] * (A_TURN + 1) + ["second"]
