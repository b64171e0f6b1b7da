"""Personas, played against a network that the test invents."""

from collections.abc import Callable
from random import Random

import pytest

from simulator.workload.behaviour import Click, Outcome, Persona, Turn, backoff_ms, new_key
from simulator.workload.personas import PERSONAS
from simulator.workload.personas.careful import Careful
from simulator.workload.personas.double_clicker import DoubleClicker
from simulator.workload.personas.lost_connection import LostConnection

CREATED, BROKEN, IN_FLIGHT = Outcome("ok", 201), Outcome("ok", 500), Outcome("ok", 409, come_back=True)
UNKNOWN, REFUSED = Outcome("info", 504), Outcome("fail", 503)

Network = Callable[[int, Click], Outcome]


def visit(persona: Persona, seed: int, network: Network) -> list[Turn]:
    """All turns of one visit; `network` answers the n-th click (from 1)."""
    script = persona.visit(Random(seed))
    turns: list[Turn] = []
    clicks = 0
    try:
        turn = next(script)
        while True:
            turns.append(turn)
            outcomes = []
            for click in turn:
                clicks += 1
                outcomes.append(network(clicks, click))
            turn = script.send(tuple(outcomes))
    except StopIteration:
        return turns


def keys(turns: list[Turn]) -> set[str]:
    return {click.key for turn in turns for click in turn}


@pytest.mark.parametrize("persona", PERSONAS, ids=lambda persona: persona.name)
@pytest.mark.parametrize("outcome", [UNKNOWN, REFUSED, BROKEN, IN_FLIGHT])
def test_every_persona_keeps_its_key_and_gives_up_in_the_end(persona: Persona, outcome: Outcome) -> None:
    """When no answer settles anything a customer tries a bounded number of times, always under one key."""
    for seed in range(20):
        turns = visit(persona, seed, lambda _n, _click: outcome)
        assert len(keys(turns)) == 1
        assert len(turns) == 8


@pytest.mark.parametrize("persona", PERSONAS, ids=lambda persona: persona.name)
@pytest.mark.parametrize("status", [201, 402, 404, 409, 422])
def test_an_answer_ends_the_visit(persona: Persona, status: int) -> None:
    """An answer that decides, good or bad, is not asked for again."""
    assert len(visit(persona, 1, lambda _n, _click: Outcome("ok", status))) == 1


@pytest.mark.parametrize("persona", PERSONAS, ids=lambda persona: persona.name)
def test_the_same_seed_behaves_the_same(persona: Persona) -> None:
    """A persona's choices all come from the generator it is given."""
    assert visit(persona, 5, lambda _n, _click: UNKNOWN) == visit(persona, 5, lambda _n, _click: UNKNOWN)


def test_the_careful_customer_waits_longer_each_time() -> None:
    """The careful customer backs off, and stops at the first answer."""
    turns = visit(Careful(), 3, lambda n, _click: CREATED if n == 4 else UNKNOWN)
    waits = [turn[0].delay_ms for turn in turns]
    assert len(turns) == 4
    assert waits[0] == 0.0
    assert 125.0 <= waits[1] <= 250.0 <= waits[2] <= 500.0 <= waits[3] <= 1_000.0


def test_the_double_clicker_clicks_before_the_answer() -> None:
    """Two or three clicks go out side by side within 600 ms, under one key."""
    first_turns = [visit(DoubleClicker(), seed, lambda _n, _click: CREATED)[0] for seed in range(40)]
    assert {2, 3} == {len(turn) for turn in first_turns}
    for turn in first_turns:
        assert len({click.key for click in turn}) == 1
        assert 0.0 == turn[0].delay_ms < turn[1].delay_ms <= turn[-1].delay_ms <= 600.0


def test_the_double_clicker_is_content_with_one_answer() -> None:
    """One answer among the clicks is enough."""
    assert len(visit(DoubleClicker(), 1, lambda n, _click: CREATED if n == 2 else UNKNOWN)) == 1


def test_the_lost_connection_comes_back_and_stays() -> None:
    """The first attempt, sometimes the second, loses the connection; later ones wait for the answer."""
    lost = set()
    for seed in range(40):
        clicks = [turn[0] for turn in visit(LostConnection(), seed, lambda _n, _click: UNKNOWN)]
        vanishing = [click.vanishes_after_ms is not None for click in clicks]
        lost.add(sum(vanishing))
        assert vanishing == sorted(vanishing, reverse=True)
    assert {1, 2} == lost


def test_keys_are_uuids_from_the_seed() -> None:
    """A key is a version 4 UUID, and the same seed mints the same."""
    assert new_key(Random(1)) == new_key(Random(1)) != new_key(Random(2))
    assert new_key(Random(1))[14] == "4"


def test_backoff_doubles_up_to_its_cap() -> None:
    """However often it is tried, the wait stays below the cap and above half of it."""
    assert all(1_000.0 <= backoff_ms(Random(n), attempt=9) <= 2_000.0 for n in range(50))
