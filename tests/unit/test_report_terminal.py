"""How an audit looks on a terminal, alone and beside another."""

from dataclasses import replace

from rich.console import Console, RenderableType

from simulator.report.run_stats import RunStats
from simulator.report.terminal import render, render_comparison
from tests.support.written_log import WrittenLog


def shown(renderable: RenderableType) -> str:
    console = Console(width=200, color_system=None)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def charged_twice() -> WrittenLog:
    log = WrittenLog("at-least-once")
    for _ in range(2):
        log.executed(log.command("k"), only="event reply")
    return log


def test_verdict_money_and_witness_are_shown() -> None:
    """An invalid log says so first, then how much, then one story with its offsets."""
    text = shown(render(charged_twice().audit()))
    assert text.startswith("verdict: invalid")
    assert "money at stake: 5.00 EUR" in text
    assert "client retry" in text
    assert "charges 0@1: charge.succeeded 500 eur" in text


def test_the_command_that_runs_it_again_is_one_line_on_a_narrow_terminal() -> None:
    """It is there to be copied into a shell."""
    command = f"payonce simulate checkout --seed 31 --rate {'9' * 80}"
    console = Console(width=60, color_system=None)
    with console.capture() as capture:
        console.print(render(replace(charged_twice().audit(), reproduce=command)), crop=False)
    assert f"\nonce more: {command}\n" in capture.get()


def test_reasons_of_an_unknown_verdict_are_shown() -> None:
    """Why nothing found is no pass is said in words."""
    log = WrittenLog()
    log.command("k")
    log.in_flight = 1
    text = shown(render(log.audit()))
    assert text.startswith("verdict: unknown")
    assert "unknown: partition 0: commands are in flight" in text


def test_comparison_has_a_column_for_each_guarantee() -> None:
    """The same rows for both, down to speed, faults and verdict."""
    right = WrittenLog()
    right.executed(right.command("k"))
    left_stats = RunStats(99.5, 3.21, 40.0, {"kill_processor": 2})
    pair = (charged_twice().audit(), left_stats), (right.audit(), RunStats(faults={"kill_processor": 3}))
    lines = {line.split("│")[0].strip(): line for line in shown(render_comparison(*pair)).splitlines()}
    assert lines["duplicates: client retry"].split()[-3::2] == ["1", "0"]
    assert lines["overcharged EUR"].count("EUR") == 3
    assert lines["p50 ms"].split()[-3::2] == ["3.2", "–"]
    assert lines["hits: kill processor"].split()[-3::2] == ["2", "3"]
    assert lines["verdict"].split()[-3::2] == ["invalid", "valid"]


def test_stats_come_out_of_a_run_summary() -> None:
    """`report.json` of a run has what the comparison needs."""
    summary = {
        "load": {"throughput_per_s": 10.0, "latency_ms": {"p50": 1.0, "p99": 2.0}},
        "faults": {"lose_request": {"injected": 3, "bitten": 2}},
    }
    assert RunStats.from_summary(summary) == RunStats(10.0, 1.0, 2.0, {"lose_request": 2})
