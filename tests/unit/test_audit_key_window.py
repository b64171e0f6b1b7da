"""How long keys must live, by the retries that were seen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.audit.key_window import KeyWindow, late_reexecutions, window_of
from tests.support.written_log import WrittenLog

INSTANTS = st.lists(st.integers(0, 10**6), min_size=1, max_size=8).map(sorted)


@pytest.mark.parametrize(
    ("window_ms", "again"),
    [(1, 3), (100, 3), (101, 2), (500, 2), (501, 1), (1_000, 1), (1_001, 0)],
)
def test_a_use_after_the_window_is_executed_again(window_ms: int, again: int) -> None:
    """It begins a window of its own, as a new request would; exactly at the window's end counts as after."""
    assert late_reexecutions([0, 100, 500, 1_000], window_ms) == again


@given(st.lists(INSTANTS, max_size=6))
def test_the_smallest_safe_window_is_safe_and_smallest(uses: list[list[int]]) -> None:
    """Under it no use is executed again; one millisecond less, and at least one is, unless all came at once."""
    found = window_of(uses, (10**7,))
    retried = [instants for instants in uses if len(instants) > 1]
    assert (found.smallest_safe_ms is None) is (not retried)
    if found.smallest_safe_ms is not None:
        assert sum(late_reexecutions(instants, found.smallest_safe_ms) for instants in retried) == 0
        if found.longest_tail_ms:
            assert sum(late_reexecutions(instants, found.smallest_safe_ms - 1) for instants in retried) > 0
    assert found.candidates[0].late_reexecutions == 0


@given(st.lists(INSTANTS, max_size=5), st.lists(INSTANTS, max_size=5))
def test_windows_of_separate_logs_add_up(one: list[list[int]], other: list[list[int]]) -> None:
    """As if all keys had been on one log."""
    assert window_of(one) + window_of(other) == window_of([*one, *other])


def test_retries_are_counted_per_intent_and_key() -> None:
    """Two purchases under one key are no retries of each other; a new key begins anew."""
    log = WrittenLog()
    for name, key, attempt, later in (("i-1", "k1", 1, 0), ("i-1", "k1", 2, 7_000), ("i-2", "k1", 1, 90_000)):
        if attempt == 1:
            log.meant(name)
        log.now += later
        log.sent(name, log.command(key, metadata={"intent": name}), attempt)
    found = log.audit().key_window
    assert (found.keys_retried, found.retries) == (1, 1)
    assert 7_000 < found.longest_tail_ms < 7_100
    late = {candidate.window_ms: candidate.late_reexecutions for candidate in found.candidates}
    assert (late[5_000], late[15_000]) == (1, 0)


def test_what_a_library_sends_again_is_a_retry() -> None:
    """The customer asked once; his client's library asked twice, and the key must still be known."""
    log = WrittenLog()
    log.meant("i-1")
    log.sent("i-1", log.command("k1", metadata={"intent": "i-1"}))
    log.now += 3_000
    log._line("resend", intent="i-1", attempt=1, gateway="gateway 1")
    found = log.audit().key_window
    assert (found.keys_retried, found.retries) == (1, 1)
    assert found.longest_tail_ms == 3_001


def test_without_a_history_the_commands_of_a_key_are_its_uses() -> None:
    """Of one request: another one under the same key is a conflict and no retry."""
    log = WrittenLog("at-least-once")
    for amount, later in ((500, 0), (700, 30_000), (500, 60_000)):
        log.now += later
        log.executed(log.command("k", amount=amount), only="event reply")
    found = log.audit().key_window
    assert (found.keys_retried, found.retries) == (1, 1)
    assert 90_000 < found.longest_tail_ms < 90_100


def test_without_a_retry_nothing_is_known() -> None:
    """No window is called safe for want of evidence."""
    log = WrittenLog()
    log.executed(log.command("k"))
    assert log.audit().key_window == KeyWindow()
