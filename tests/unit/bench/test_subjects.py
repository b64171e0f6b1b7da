"""Who can be measured, and how they say that they are ready."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from events.guarantees import Guarantee
from simulator.bench.plans import TRIAL, given
from simulator.bench.probe import Order, Stretch
from simulator.bench.subjects import Ours, Peer, Place, chosen, is_ours, ours
from simulator.failure import UsageFailure

PLACE = Place("127.0.0.1:9092", "bench", 4, Path("/somewhere"))


def test_ours_stands_on_every_rung_of_the_ladder() -> None:
    """The strongest guarantee first."""
    names = [subject.name for subject in ours()]
    assert names[0] == "payonce-exactly-once"
    assert set(names) == {f"payonce-{guarantee}" for guarantee in Guarantee}
    assert all(map(is_ours, names))


def test_ours_is_configured_by_its_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was set for this process does not reach it."""
    monkeypatch.setenv("PAYONCE_BREAK", "no-fingerprint")
    environment = Ours(Guarantee.DEDUPLICATED).environment(PLACE)
    assert environment["PAYONCE_GUARANTEE"] == "deduplicated"
    assert "PAYONCE_BREAK" not in environment


def test_ours_is_ready_when_its_log_says_so() -> None:
    """Lines that only mention the word are not it."""
    subject = Ours(Guarantee.EXACTLY_ONCE)
    assert subject.is_ready(b'{"event":"ready","role":"processor"}')
    assert not subject.is_ready(b'{"event":"not yet","why":"ready"}')
    assert not subject.is_ready(b'half a line: "ready"')


def test_a_peer_is_started_by_its_package_and_ready_by_a_word() -> None:
    """On a line of its own."""

    def command(peer: object, *, bootstrap: str, namespace: str, partitions: int, state_dir: Path) -> list[str]:
        return [str(peer), bootstrap, namespace, str(partitions), str(state_dir)]

    peer = Peer(SimpleNamespace(name="a-peer"), command)
    assert peer.argv(PLACE)[1:] == ["127.0.0.1:9092", "bench", "4", "/somewhere"]
    assert peer.is_ready(b"ready\n")
    assert not peer.is_ready(b"almost ready\n")


def test_globs_choose_and_names_that_nobody_has_are_refused() -> None:
    """In the order of the list, whatever the order of the globs."""
    picked = chosen(ours(), ["payonce-at-*", "payonce-exactly-once"])
    assert [subject.name for subject in picked] == [
        "payonce-exactly-once",
        "payonce-at-least-once",
        "payonce-at-most-once",
    ]
    with pytest.raises(UsageFailure, match="nobody is called 'somebody'"):
        chosen(ours(), ["somebody"])


def test_who_is_slow_is_given_what_it_does_in_a_minute() -> None:
    """Never more than was asked for, never less than its trial."""
    assert given(300_000, 20_000.0) == 300_000
    assert given(300_000, 1_000.0) == 60_000
    assert given(300_000, 10.0) == TRIAL


def test_an_order_reaches_the_probe_as_it_was_meant() -> None:
    """As one line of JSON."""
    order = Order("127.0.0.1:9092", "bench", 4, 1_000, 1, (Stretch(50.0, 1.0, 2.0), Stretch(500.0, 1.0, 2.0)))
    assert "\n" not in order.to_json()
    assert Order.from_json(order.to_json()) == order
