"""What holds for every kind of customer, and the three of the default mix; the others are in `personas`."""

import pytest

from simulator.seeded import Chance
from simulator.workload.behaviour import Expects, Outcome, Persona, backoff_ms, new_key
from simulator.workload.personas import BY_NAME, PERSONAS
from simulator.workload.personas.careful import Careful
from simulator.workload.personas.double_clicker import DoubleClicker
from simulator.workload.personas.lost_connection import LostConnection
from tests.support.persona_play import CREATED, DIED, OUTCOMES, HonestSystem, keys_of, play

DEFAULT_MIX = (Careful(), DoubleClicker(), LostConnection())
EVERY = pytest.mark.parametrize("persona", PERSONAS, ids=lambda persona: persona.name)


def test_the_default_mix_is_three_kinds_and_comes_first() -> None:
    """Whoever asks for nothing else meets the same customers as ever: order and weights are part of a seed."""
    assert {persona.name: persona.weight for persona in PERSONAS if persona.weight} == {
        "careful": 60,
        "double_clicker": 20,
        "lost_connection": 20,
    }
    assert [persona.name for persona in PERSONAS[:3]] == ["careful", "double_clicker", "lost_connection"]
    assert len(BY_NAME) == len(PERSONAS)


@EVERY
def test_every_persona_says_what_it_is_in_a_line(persona: Persona) -> None:
    """Its help is one short line, and says so where the kind is a client's bug."""
    assert persona.help
    assert len(persona.help) <= 100
    assert "\n" not in persona.help
    assert persona.is_bug == ("a bug" in persona.help)
    assert not (persona.is_bug and persona.weight)


@EVERY
@pytest.mark.parametrize("outcome", OUTCOMES.values(), ids=OUTCOMES)
def test_every_persona_gives_up_in_the_end(persona: Persona, outcome: Outcome) -> None:
    """Whatever it is told, always, it goes home after a bounded number of requests."""
    for seed in range(20):
        turns = play(persona, seed, lambda _n, _click: outcome)
        assert 1 <= len(turns) <= 14
        assert all(1 <= len(turn) <= 8 for turn in turns)


@EVERY
def test_the_same_seed_behaves_the_same(persona: Persona) -> None:
    """A persona's choices all come from the generator it is given."""
    assert play(persona, 5, lambda _n, _click: DIED) == play(persona, 5, lambda _n, _click: DIED)


@EVERY
def test_who_can_be_overcharged_by_a_system_that_honours_every_key(persona: Persona) -> None:
    """Only the kinds that are a client's bug are ever charged twice, and each of them is."""
    charges = []
    for seed in range(200):
        system = HonestSystem(Chance(f"{seed}"))
        turns = play(persona, seed, system)
        charges.append(len(system.charged))
        assert persona.is_bug or len(keys_of(turns)) == 1
    assert (max(charges) > 1) == persona.is_bug, charges


@pytest.mark.parametrize(
    "persona", [p for p in PERSONAS if p.expects is Expects.CHARGED_ONCE], ids=lambda persona: persona.name
)
def test_who_asks_until_an_answer_comes(persona: Persona) -> None:
    """Eight lost answers in a row are not enough to send such a customer home, and its last words are patient."""
    for seed in range(20):
        turns = play(persona, seed, lambda _n, _click: DIED)
        assert sum(map(len, turns)) >= 8
        assert turns[-1][-1].patience_ms >= 4_000.0


@pytest.mark.parametrize("persona", DEFAULT_MIX, ids=lambda persona: persona.name)
@pytest.mark.parametrize("outcome", ["no answer in time", "unavailable", "failed", "in flight"])
def test_the_default_mix_keeps_its_key_for_eight_turns(persona: Persona, outcome: str) -> None:
    """When no answer settles anything these customers try eight times, always under one key."""
    for seed in range(20):
        turns = play(persona, seed, lambda _n, _click: OUTCOMES[outcome])
        assert len(keys_of(turns)) == 1
        assert len(turns) == 8


@pytest.mark.parametrize("persona", DEFAULT_MIX, ids=lambda persona: persona.name)
@pytest.mark.parametrize("outcome", ["created", "declined", "conflict", "other request"])
def test_an_answer_ends_the_visit_of_the_default_mix(persona: Persona, outcome: str) -> None:
    """An answer that decides, good or bad, is not asked for again."""
    assert len(play(persona, 1, lambda _n, _click: OUTCOMES[outcome])) == 1


def test_the_careful_customer_waits_longer_each_time() -> None:
    """The careful customer backs off, and stops at the first answer."""
    turns = play(Careful(), 3, lambda n, _click: CREATED if n == 4 else DIED)
    waits = [turn[0].delay_ms for turn in turns]
    assert len(turns) == 4
    assert waits[0] == 0.0
    assert 125.0 <= waits[1] <= 250.0 <= waits[2] <= 500.0 <= waits[3] <= 1_000.0


def test_the_double_clicker_clicks_before_the_answer() -> None:
    """Two or three clicks go out side by side within 600 ms, under one key."""
    first_turns = [play(DoubleClicker(), seed, lambda _n, _click: CREATED)[0] for seed in range(40)]
    assert {2, 3} == {len(turn) for turn in first_turns}
    for turn in first_turns:
        assert len({click.key for click in turn}) == 1
        assert 0.0 == turn[0].delay_ms < turn[1].delay_ms <= turn[-1].delay_ms <= 600.0


def test_the_double_clicker_is_content_with_one_answer() -> None:
    """One answer among the clicks is enough."""
    assert len(play(DoubleClicker(), 1, lambda n, _click: CREATED if n == 2 else DIED)) == 1


def test_the_lost_connection_comes_back_and_stays() -> None:
    """The first attempt, sometimes the second, loses the connection; later ones wait for the answer."""
    lost = set()
    for seed in range(40):
        clicks = [turn[0] for turn in play(LostConnection(), seed, lambda _n, _click: DIED)]
        vanishing = [click.vanishes_after_ms is not None for click in clicks]
        lost.add(sum(vanishing))
        assert vanishing == sorted(vanishing, reverse=True)
    assert {1, 2} == lost


def test_keys_are_uuids_from_the_seed() -> None:
    """A key is a version 4 UUID, and the same seed mints the same."""
    assert new_key(Chance("1")) == new_key(Chance("1")) != new_key(Chance("2"))
    assert new_key(Chance("1"))[14] == "4"


def test_backoff_doubles_up_to_its_cap() -> None:
    """However often it is tried, the wait stays below the cap and above half of it."""
    assert all(1_000.0 <= backoff_ms(Chance(f"{n}"), attempt=9) <= 2_000.0 for n in range(50))
