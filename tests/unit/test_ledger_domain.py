"""Postings: balanced whatever the event, and the balances are their fold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.charge_events.base import AUTHORIZATIONS, CAPTURES, CUSTOMER_HOLDS, CUSTOMER_PAYMENTS, REFUNDS
from services.ledger.broken import EVERY
from services.ledger.domain import (
    Balance,
    Posting,
    UnknownEvent,
    effect,
    is_balanced,
    postings,
)
from services.ledger.main import BROKEN
from services.ledger.projector import Options
from services.named_bugs import switched_on

AMOUNTS = st.integers(min_value=1, max_value=999_999_999_999)
TYPES = st.sampled_from(
    [
        "charge.authorized",
        "charge.captured",
        "charge.voided",
        "charge.succeeded",
        "charge.refunded",
        "charge.declined",
    ]
)
EVENTS = st.lists(st.tuples(TYPES, AMOUNTS, AMOUNTS))


@given(TYPES, AMOUNTS, AMOUNTS)
def test_every_entry_is_balanced(kind: str, amount: int, authorized: int) -> None:
    """The postings of any event add up to zero."""
    assert is_balanced(postings(kind, amount, authorized))


@given(EVENTS)
def test_balances_are_the_fold_of_the_postings(events: list[tuple[str, int, int]]) -> None:
    """Folding event by event gives what all postings together give, and net is captured less refunded."""
    folded, lines = Balance(), []
    for event in events:
        folded = folded.plus(effect(postings(*event)))
        lines.extend(postings(*event))
    assert folded == effect(lines)
    assert folded.net == folded.captured - folded.refunded
    assert effect(lines) == Balance(
        authorized=sum(
            {"charge.authorized": a, "charge.captured": -h, "charge.voided": -a}.get(t, 0) for t, a, h in events
        ),
        captured=sum(a for t, a, _ in events if t in ("charge.captured", "charge.succeeded")),
        refunded=sum(a for t, a, _ in events if t == "charge.refunded"),
        net=folded.net,
    )


@given(EVENTS)
def test_holds_and_authorizations_mirror_each_other(events: list[tuple[str, int, int]]) -> None:
    """What customers promised is what may still be captured; payments are captures less refunds."""
    sums = dict.fromkeys((CUSTOMER_HOLDS, AUTHORIZATIONS, CUSTOMER_PAYMENTS, CAPTURES, REFUNDS), 0)
    for event in events:
        for account, amount in postings(*event):
            sums[account] += amount
    assert sums[CUSTOMER_HOLDS] == -sums[AUTHORIZATIONS]
    assert sums[CUSTOMER_PAYMENTS] == -sums[CAPTURES] - sums[REFUNDS]


def test_a_partial_capture_releases_the_rest() -> None:
    """Capturing 300 of a hold of 500 leaves nothing held."""
    held = effect(postings("charge.authorized", 500, 500))
    assert held == Balance(authorized=500)
    assert held.plus(effect(postings("charge.captured", 300, 500))) == Balance(captured=300, net=300)


def test_a_decline_moves_nothing() -> None:
    """A declined charge has an entry without postings."""
    assert postings("charge.declined", 500, 500) == ()


def test_an_unknown_event_is_refused() -> None:
    """A type without a rule is an error, never an empty entry."""
    with pytest.raises(UnknownEvent):
        postings("charge.unheard_of", 1, 1)


def test_without_a_bug_nothing_is_touched() -> None:
    """Without a bug the same postings are written and counted."""
    lines = (Posting(CUSTOMER_PAYMENTS, 5), Posting(CAPTURES, -5))
    options = switched_on(BROKEN, ["no-fingerprint"], Options("payments", 1))
    assert all(options.book(lines) == (lines, lines) for _ in range(EVERY * 2))


@pytest.mark.parametrize(("name", "written", "counted"), [("skip-posting", 2, 1), ("unbalanced-entry", 1, 2)])
def test_a_switched_on_bug_hits_the_first_entry_and_then_now_and_then(name: str, written: int, counted: int) -> None:
    """`skip-posting` forgets an effect, `unbalanced-entry` a posting; both spare most entries."""
    lines = (Posting(CUSTOMER_PAYMENTS, 5), Posting(CAPTURES, -5))
    book = switched_on(BROKEN, [name], Options("payments", 1)).book
    assert book(()) == ((), ())
    sizes = [tuple(map(len, book(lines))) for _ in range(EVERY + 1)]
    assert sizes == [(written, counted), *[(2, 2)] * (EVERY - 1), (written, counted)]
