"""What each client library does with each outcome of a POST: the tables of its module, played.

A row says how many requests go out when that outcome comes every time; the waits are checked apart.
"""

import pytest

from simulator.seeded import Chance
from simulator.workload.behaviour import Outcome, Persona, Resend
from simulator.workload.personas import BY_NAME
from simulator.workload.personas.library import NO_TIMEOUT_MS
from tests.support.persona_play import (
    CREATED,
    DIED,
    FAILED,
    NO_ANSWER_IN_TIME,
    OUTCOMES,
    TIMED_OUT,
    TOO_MANY,
    clicks_of,
    keys_of,
    play,
)

ANSWERS = (
    "declined",
    "conflict",
    "other request",
    "failed",
    "too many",
    "in flight",
    "unavailable",
    "no answer in time",
)
NO_ANSWER = ("unreachable", "died", "timed out")
ONCE = dict.fromkeys((*ANSWERS, *NO_ANSWER), 1)
REQUESTS = {
    "stripe_python": ONCE
    | dict.fromkeys((*NO_ANSWER, "conflict", "in flight", "failed", "unavailable", "no answer in time"), 3),
    "axios_retry": ONCE | {"unreachable": 4, "died": 4},
    "axios_retry_post": ONCE
    | dict.fromkeys(("unreachable", "died", "failed", "too many", "unavailable", "no answer in time"), 4),
    "tanstack_mutation": ONCE,
    "tanstack_mutation_retry": dict.fromkeys(ONCE, 4),
    "tanstack_query": dict.fromkeys(ONCE, 4),
    "swr_mutation": ONCE,
    "swr": dict.fromkeys(ONCE, 3),
    "apollo_retry_link": dict.fromkeys(ONCE, 5),
    "okhttp": ONCE,
    "okhttp_no_retry": ONCE,
}
TABLE = [
    (name + variant, outcome, requests)
    for name, row in REQUESTS.items()
    for variant in ("", "_new_key")
    if name + variant in BY_NAME
    for outcome, requests in row.items()
]


@pytest.mark.parametrize(("name", "outcome", "requests"), TABLE)
def test_how_often_a_library_asks(name: str, outcome: str, requests: int) -> None:
    """With the same outcome every time it asks as often as its table says, under one key or each time a new one."""
    turns = play(BY_NAME[name], 1, lambda _n, _click: OUTCOMES[outcome])
    assert len(clicks_of(turns)) == requests
    assert len(keys_of(turns)) == (requests if name.endswith("_new_key") else 1)


@pytest.mark.parametrize("name", REQUESTS)
def test_success_is_not_retried(name: str) -> None:
    """After a 2xx nothing is sent again, but by those that mistake a payment for data: on focus, half of the time."""
    sent = {len(clicks_of(play(BY_NAME[name], seed, lambda _n, _click: CREATED))) for seed in range(40)}
    assert sent == ({1, 2} if name in ("tanstack_query", "swr") else {1})


def waits(persona: Persona, seed: int, outcome: Outcome) -> list[float]:
    return [click.delay_ms for click in clicks_of(play(persona, seed, lambda _n, _click: outcome))]


@pytest.mark.parametrize(
    ("name", "outcome", "between_ms"),
    [
        ("stripe_python", DIED, [(500, 500), (500, 1_000)]),
        ("stripe_python", NO_ANSWER_IN_TIME, [(500, 500), (500, 1_000)]),
        ("axios_retry", DIED, [(0, 0), (0, 0), (0, 0)]),
        ("axios_retry_post", FAILED, [(200, 240), (400, 480), (800, 960)]),
        ("axios_retry_post", TOO_MANY, [(1_000, 1_200), (1_000, 1_200), (1_000, 1_200)]),
        ("tanstack_mutation_retry", DIED, [(1_000, 1_000), (2_000, 2_000), (4_000, 4_000)]),
        ("tanstack_query", DIED, [(1_000, 1_000), (2_000, 2_000), (4_000, 4_000)]),
        ("swr", DIED, [(5_000, 10_000), (10_000, 25_000)]),
        ("apollo_retry_link", DIED, [(0, 600), (0, 1_200), (0, 2_400), (0, 4_800)]),
    ],
)
def test_how_long_a_library_waits(name: str, outcome: Outcome, between_ms: list[tuple[int, int]]) -> None:
    """The waits lie where its backoff puts them, and reach towards both ends where it has jitter."""
    seen = [waits(BY_NAME[name], seed, outcome) for seed in range(300)]
    assert {first for first, *_ in seen} == {0.0}
    for retry, (least, most) in enumerate(between_ms, start=1):
        one = [waits[retry] for waits in seen]
        assert least <= min(one) <= least + (most - least) * 0.1
        assert most - (most - least) * 0.1 <= max(one) <= most


def test_swr_waits_in_whole_intervals() -> None:
    """SWR cuts the jittered factor down to a whole number of its interval."""
    assert {waits(BY_NAME["swr"], seed, DIED)[1] for seed in range(300)} == {5_000.0, 10_000.0}


@pytest.mark.parametrize(
    ("name", "timeout_ms"), [("okhttp", 10_000.0), ("axios_retry", NO_TIMEOUT_MS), ("tanstack_mutation", NO_TIMEOUT_MS)]
)
def test_how_long_a_library_listens(name: str, timeout_ms: float) -> None:
    """Its own read time-out, or as long as any answer can take."""
    (click,) = clicks_of(play(BY_NAME[name], 1, lambda _n, _click: TIMED_OUT))
    assert click.patience_ms == timeout_ms


def test_okhttp_sends_the_same_bytes_again_by_itself() -> None:
    """On a pooled connection that died; not with retryOnConnectionFailure(false)."""
    by = {
        name: {click.resend for click in clicks_of(play(BY_NAME[name], 1, lambda _n, _click: DIED))}
        for name in ("okhttp", "okhttp_no_retry")
    }
    assert by == {"okhttp": {Resend.CLIENT}, "okhttp_no_retry": {Resend.NOBODY}}


@pytest.mark.parametrize(
    ("name", "status", "retry_after_ms", "requests"),
    [
        ("okhttp", 503, 0.0, 2),
        ("okhttp", 503, None, 1),
        ("okhttp", 503, 1_000.0, 1),
        ("okhttp", 408, None, 2),
        ("okhttp", 408, 0.0, 2),
        ("okhttp", 408, 1_000.0, 1),
        ("okhttp_no_retry", 503, 0.0, 2),
        ("okhttp_no_retry", 408, None, 1),
    ],
)
def test_okhttp_repeats_what_the_server_asks_for(
    name: str, status: int, retry_after_ms: float | None, requests: int
) -> None:
    """A 503 with Retry-After: 0, and a 408 without a wait, once each; a wait it leaves to the caller."""
    outcome = Outcome("fail" if status == 503 else "ok", status, retry_after_ms)
    assert len(clicks_of(play(BY_NAME[name], 1, lambda _n, _click: outcome))) == requests


def test_axios_retry_waits_as_long_as_it_is_told() -> None:
    """Its default delay is none, or what Retry-After says."""
    axios_retry = BY_NAME["axios_retry"]
    assert axios_retry.wait_ms(Chance("1"), 1, DIED) == 0.0  # type: ignore[attr-defined]
    assert axios_retry.wait_ms(Chance("1"), 1, TOO_MANY) == 1_000.0  # type: ignore[attr-defined]
