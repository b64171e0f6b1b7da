"""A line is a standing one when the lag stays, and not when it is long for a moment."""

from services.gateway.loop_lag import CALM_S, INTERVAL_S, TARGET_S, LoopLag

LATE_S = TARGET_S * 2


def standing(lag: LoopLag, from_s: float) -> float:
    """Late timers until the line is a standing one; when that was."""
    now_s = from_s
    while not lag.is_standing:
        now_s += LATE_S
        lag.fired(now_s, LATE_S)
        assert now_s <= from_s + INTERVAL_S + LATE_S
    return now_s


def test_a_moment_is_no_line() -> None:
    """A collection, or another process that had the core: nobody is refused for it."""
    lag = LoopLag()
    lag.fired(10.0, LATE_S)
    assert not lag.is_standing
    lag.fired(10.1, 0.0)
    lag.fired(20.0, LATE_S)
    assert not lag.is_standing


def test_a_lag_that_stays_is_a_line() -> None:
    """Not before it stayed for the interval."""
    lag = LoopLag()
    assert standing(lag, 10.0) >= 10.0 + INTERVAL_S


def test_one_long_turn_is_a_line_too() -> None:
    """A loop that took as long as the interval for one turn has let everybody wait for so long."""
    lag = LoopLag()
    lag.fired(10.0, INTERVAL_S)
    assert lag.is_standing


def test_a_line_ends_with_the_first_timer_in_time() -> None:
    """Refusing is quick, so that one turn of it may be enough."""
    lag = LoopLag()
    now_s = standing(lag, 10.0)
    lag.fired(now_s + 0.1, TARGET_S)
    assert not lag.is_standing


def test_a_line_that_comes_back_at_once_is_believed() -> None:
    """The overload has not ended because one turn was short."""
    lag = LoopLag()
    now_s = standing(lag, 10.0)
    lag.fired(now_s + 0.1, 0.0)
    lag.fired(now_s + 0.4, LATE_S)
    assert lag.is_standing


def test_after_a_calm_second_it_has_to_prove_itself_again() -> None:
    """What was an overload is over."""
    lag = LoopLag()
    now_s = standing(lag, 10.0)
    lag.fired(now_s + CALM_S, 0.0)
    lag.fired(now_s + CALM_S + 0.3, LATE_S)
    assert not lag.is_standing
