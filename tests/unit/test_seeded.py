"""Chance that is cheap to begin is as repeatable, and as even, as the other."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.seeded import Chance
from simulator.workload.behaviour import new_key
from simulator.workload.command_ids import CommandIds

names = st.text(max_size=40)


@given(names)
def test_a_name_gives_the_same_choices(name: str) -> None:
    """Twice the same name, twice the same story, beyond the first digest; another name, another one."""
    one, same, other = Chance(name), Chance(name), Chance(name + "x")
    told = [one.random() for _ in range(20)]
    assert told == [same.random() for _ in range(20)]
    assert told != [other.random() for _ in range(20)]
    assert len(set(told)) == 20


@given(names, st.integers(-5, 5), st.integers(0, 5))
def test_choices_stay_in_their_bounds(name: str, least: int, more: int) -> None:
    """Each kind of choice, at its ends too."""
    chance = Chance(name)
    for _ in range(20):
        assert 0.0 <= chance.random() < 1.0
        assert least <= chance.randint(least, least + more) <= least + more
        assert least <= chance.uniform(least, least + more) <= least + more
        assert chance.choice("abc") in "abc"
        assert 0 <= chance.bits(128) < 2**128


def test_choices_are_even() -> None:
    """One draw each of 20,000 names, as a plan has them: mean, ends and every choice as often as the others."""
    drawn = [Chance(f"7/purchase/{number}").random() for number in range(20_000)]
    assert sum(drawn) / len(drawn) == pytest.approx(0.5, abs=0.01)
    assert min(drawn) < 0.001
    assert max(drawn) > 0.999
    chosen = [Chance(f"7/customer/{number}").randint(1, 4) for number in range(20_000)]
    assert all(chosen.count(one) == pytest.approx(5_000, rel=0.06) for one in (1, 2, 3, 4))


@given(names)
def test_keys_are_what_browsers_mint(name: str) -> None:
    """A version 4 UUID of RFC 9562 in its canonical text."""
    key = new_key(Chance(name))
    assert str(uuid.UUID(key)) == key
    assert (uuid.UUID(key).version, uuid.UUID(key).variant) == (4, uuid.RFC_4122)


@given(st.integers(0, 2**48 - 1))
def test_command_ids_carry_their_instant(now_ms: int) -> None:
    """Version 7 of RFC 9562 in its canonical text, the instant in front; no two alike."""
    ids = CommandIds()
    minted = [ids.mint(now_ms) for _ in range(10)] + [ids.mint(now_ms ^ 1)]
    assert len(set(minted)) == 11
    for text in minted[:10]:
        assert str(uuid.UUID(text)) == text
        assert (uuid.UUID(text).version, uuid.UUID(text).variant) == (7, uuid.RFC_4122)
        assert uuid.UUID(text).int >> 80 == now_ms
