"""What people and pages do: each kind's own habit, played against outcomes that the test invents."""

import itertools

import pytest

from simulator.workload.behaviour import Click, Outcome, Persona, Resend
from simulator.workload.personas import BY_NAME
from tests.support.persona_play import CREATED, DIED, OTHER_REQUEST, clicks_of, keys_of, play

NOT_CLICKED = Outcome("none")
KEPT_OR_NEW = pytest.mark.parametrize("variant", ["", "_new_key"])
SEEDS = range(60)


def lost_until(persona: Persona, seed: int, answered: int) -> list[tuple[str | None, float]]:
    """Key and delay of every click when the first answer comes to click number `answered`."""
    turns = play(persona, seed, lambda n, _click: CREATED if n >= answered else DIED)
    return [(click.key, click.delay_ms) for click in clicks_of(turns)]


def test_the_button_masher_presses_until_an_answer_shows() -> None:
    """Up to eight presses in one turn, all but the first only as long as nothing has been shown, under one key."""
    for seed in SEEDS:
        (turn,) = play(BY_NAME["button_masher"], seed, lambda n, _click: CREATED if n == 1 else NOT_CLICKED)
        assert [click.if_unanswered for click in turn] == [False, *[True] * 7]
        moments = [click.delay_ms for click in turn]
        gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
        assert all(120.0 <= gap <= 500.0 for gap in gaps)


def test_the_impatient_client_hangs_up_and_asks_at_once() -> None:
    """Two to five short tries without a pause, then patient ones that back off."""
    for seed in SEEDS:
        clicks = clicks_of(play(BY_NAME["impatient"], seed, lambda _n, _click: DIED))
        short = [click for click in clicks if click.patience_ms <= 250.0]
        assert 2 <= len(short) <= 5
        assert clicks[: len(short)] == short
        assert all(click.delay_ms == 0.0 for click in short)
        assert len(clicks) == len(short) + 8


@KEPT_OR_NEW
def test_a_cancelled_request_is_followed_by_a_new_form(variant: str) -> None:
    """The browser hangs up, once or twice, and after the page has loaded the form is sent again."""
    for seed in SEEDS:
        turns = play(BY_NAME["refresher_cancelled" + variant], seed, lambda _n, click: _unless_gone(click))
        clicks = clicks_of(turns)
        gone = [click.vanishes_after_ms is not None for click in clicks]
        assert gone in ([True, False], [True, True, False])
        assert all(300.0 <= click.delay_ms <= 1_500.0 for click in clicks[1:])
        assert len(keys_of(turns)) == (len(clicks) if variant else 1)


@KEPT_OR_NEW
def test_a_page_that_renders_anew_leaves_its_request_running(variant: str) -> None:
    """The second request goes out beside the first, unless the first was shown in time; the first is not cancelled."""
    for seed in SEEDS:
        turns = play(BY_NAME["refresher_rendered" + variant], seed, lambda n, _click: CREATED if n == 2 else DIED)
        (first, again) = clicks_of(turns)
        assert len(turns) == 1
        assert first.vanishes_after_ms is None
        assert again.if_unanswered
        assert (first.key == again.key) == (not variant)
    in_time = play(BY_NAME["refresher_rendered" + variant], 1, lambda n, _click: CREATED if n == 1 else NOT_CLICKED)
    assert len(in_time) == 1


@KEPT_OR_NEW
def test_a_browser_posts_the_form_again_even_after_an_answer(variant: str) -> None:
    """One or two more posts after the first was answered, the same form or, without a key in it, another payment."""
    sent = set()
    for seed in SEEDS:
        turns = play(BY_NAME["refresher_resent" + variant], seed, lambda _n, _click: CREATED)
        sent.add(len(turns))
        assert len(keys_of(turns)) == (len(turns) if variant else 1)
    assert sent == {2, 3}


@pytest.mark.parametrize(("name", "keys"), [("app_killed", 1), ("app_killed_new_key", 2)])
def test_the_app_is_started_again(name: str, keys: int) -> None:
    """It dies under its first request; started again it asks under the saved key, or under one new key to the end."""
    for seed in SEEDS:
        turns = play(BY_NAME[name], seed, lambda _n, _click: DIED)
        first, second, *_ = clicks_of(turns)
        assert first.vanishes_after_ms is not None
        assert second.vanishes_after_ms is None
        assert 500.0 <= second.delay_ms <= 4_000.0
        assert len(keys_of(turns)) == keys


@KEPT_OR_NEW
def test_the_offline_queue_is_sent_much_later(variant: str) -> None:
    """Half had sent the request before; the queue goes out 3 to 9 s later, from one tab or from two."""
    sent_before, tabs = set(), set()
    for seed in SEEDS:
        turns = play(BY_NAME["offline_resumer" + variant], seed, lambda _n, click: _unless_gone(click))
        sent_before.add(len(turns) - 1)
        tabs.add(len(turns[-1]))
        assert all(3_000.0 <= click.delay_ms <= 9_100.0 for click in turns[-1])
        assert len(keys_of(turns)) == (len(clicks_of(turns)) if variant else 1)
    assert (sent_before, tabs) == ({0, 1}, {1, 2})


def test_the_network_switcher_asks_at_once_on_the_new_network() -> None:
    """The first connection, sometimes the second too, dies within 60 ms; the next request follows within 400 ms."""
    lost = set()
    for seed in SEEDS:
        clicks = clicks_of(play(BY_NAME["network_switcher"], seed, lambda _n, click: _unless_gone(click)))
        lost.add(len(clicks) - 1)
        assert all(1.0 <= (click.vanishes_after_ms or 0.0) <= 60.0 for click in clicks[:-1])
        assert all(50.0 <= click.delay_ms <= 400.0 for click in clicks[1:])
    assert lost == {1, 2}


@pytest.mark.parametrize(("name", "keys"), [("changed_amount", 1), ("changed_amount_new_key", 2)])
def test_a_changed_amount_is_asked_for_to_the_end(name: str, keys: int) -> None:
    """The first request has the first amount; all later ones the same larger one, under the same or one new key."""
    for seed in SEEDS:
        turns = play(BY_NAME[name], seed, lambda _n, _click: DIED)
        first, *later = clicks_of(turns)
        assert first.add_amount == 0
        (added,) = {click.add_amount for click in later}
        assert 50 <= added <= 500
        assert len(keys_of(turns)) == keys


def test_a_refused_change_ends_the_visit() -> None:
    """422 under the same key says that the first request arrived: the customer has paid that."""
    turns = play(BY_NAME["changed_amount"], 1, lambda n, _click: OTHER_REQUEST if n == 2 else DIED)
    assert len(turns) == 2


@pytest.mark.parametrize(
    ("name", "by"), [("silent_resend_browser", Resend.CLIENT), ("silent_resend_proxy", Resend.PROXY)]
)
def test_silent_resends_are_not_the_pages_doing(name: str, by: Resend) -> None:
    """The page asks under one key as the careful one does; what carries its requests may send each twice."""
    assert {click.resend for click in clicks_of(play(BY_NAME[name], 1, lambda _n, _click: DIED))} == {by}
    assert len(lost_until(BY_NAME[name], 1, answered=3)) == 3


def test_a_key_per_click_needs_no_fault() -> None:
    """Two or three clicks side by side, each under its own key, and all of them are answered."""
    for seed in SEEDS:
        (turn,) = play(BY_NAME["key_per_click"], seed, lambda _n, _click: CREATED)
        assert len({click.key for click in turn}) == len(turn) >= 2


def test_a_key_per_retry_needs_a_lost_answer() -> None:
    """One request and one key while all goes well; a new key for each retry otherwise."""
    assert len(lost_until(BY_NAME["key_per_retry"], 1, answered=1)) == 1
    assert len({key for key, _ in lost_until(BY_NAME["key_per_retry"], 1, answered=4)}) == 4


def _unless_gone(click: Click) -> Outcome:
    return CREATED if click.vanishes_after_ms is None else DIED


@pytest.mark.parametrize("name", ["no_key", "no_key_disabled_button", "no_key_backoff"])
def test_without_a_key_every_request_is_another_payment(name: str) -> None:
    """None of them says that its retries belong together; an answer ends each, and so does a refusal."""
    for seed in SEEDS:
        turns = play(BY_NAME[name], seed, lambda n, _click: CREATED if n >= 4 else DIED)
        assert keys_of(turns) == {None}
        assert len(turns[0]) == 1 or name == "no_key"
        assert len(clicks_of(turns)) in (4, 5)
        refused = play(BY_NAME[name], seed, lambda _n, _click: Outcome("ok", 400))
        assert len(refused) == 1
