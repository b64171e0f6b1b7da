"""What is told of a run while it runs."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console

from simulator.report.history_tail import HistoryTail
from simulator.report.live import RECENT_MS, Live

BEGAN = 1_000_000


def live_after(*lines: dict[str, Any]) -> Live:
    live = Live("exactly-once", "checkout, seed 7", 30.0, BEGAN)
    for line in lines:
        live.see(line)
    return live


def operation(intent: str, at: int, latency_ms: int, **end: Any) -> list[dict[str, Any]]:
    head = {"intent": intent, "attempt": 1}
    answer = {"kind": "ok", "status": 201, "replayed": False, **end}
    return [
        {"kind": "intent", "intent": intent, "at": BEGAN + at, "planned_at": BEGAN + at - 2},
        {"kind": "invoke", **head, "at": BEGAN + at},
        {**answer, **head, "at": BEGAN + at - 2 + latency_ms},
    ]


def fault(name: str, phase: str) -> dict[str, Any]:
    return {"kind": "fault", "fault": name, "phase": phase, "at": BEGAN, "detail": {}}


def shown(live: Live, at: int) -> str:
    console = Console(width=100, color_system=None)
    with console.capture() as capture:
        console.print(live.panel(BEGAN + at))
    return capture.get()


def test_a_terminal_shows_rate_latency_outcomes_and_faults() -> None:
    """One look says how it goes, and that duplicates are not known before the audit."""
    live = live_after(
        *operation("a", 100, 20),
        *operation("b", 200, 40, replayed=True),
        *operation("c", 300, 400, status=402),
        fault("lose_request", "begin"),
        fault("lose_request", "hit"),
        fault("kill_broker", "begin"),
        fault("kill_broker", "end"),
    )
    text = shown(live, 1_000)
    assert "3 meant, 3 answered, 0 waiting" in text
    assert "3 requests sent, 3 operations answered" in text
    assert "p50 40\u00a0ms" in text
    assert "p99 400\u00a0ms" in text
    assert "done 1   replayed 1   refused 1" in text
    assert "faults on   lose request" in text
    assert "kill broker" not in text
    assert "lose request 1" in text
    assert "not known before the audit has read the log" in text


def test_only_the_last_seconds_count_for_rates_and_latencies() -> None:
    """What was slow at the beginning is no longer told; the totals keep it."""
    live = live_after(*operation("slow", 0, 4_000), *operation("quick", RECENT_MS + 1_500, 10))
    assert live.latencies(BEGAN + RECENT_MS + 4_100) == (10, 10)
    assert live.rates(BEGAN + RECENT_MS + 4_100) == (0.2, 0.2)
    assert (live.intents, live.answered) == (2, 2)


def test_an_answer_that_says_come_back_settles_nothing() -> None:
    """Nor does a lost one, and a second answer is not counted as a second operation."""
    lost = {"kind": "info", "intent": "a", "attempt": 1, "at": BEGAN + 5, "reason": "reset"}
    again = {"kind": "ok", "status": 201, "replayed": True, "intent": "b", "attempt": 2, "at": BEGAN + 9}
    live = live_after(*operation("a", 0, 3, status=409, come_back=True), lost, *operation("b", 0, 4), again)
    assert (live.intents, live.answered) == (2, 1)
    assert live.outcomes == {"refused": 1, "unknown": 1, "done": 1, "replayed": 1}


def test_one_line_says_it_all_where_every_line_stays() -> None:
    """Without a terminal: elapsed time, operations, rate, latency, faults, in one sentence."""
    live = live_after(*operation("a", 100, 20), fault("kill_ledger", "begin"), fault("kill_ledger", "hit"))
    assert live.sentence(BEGAN + 2_000) == (
        "exactly-once: 2 of 30 s; 1 of 1 operations answered; 0 requests/s, 0 answers/s; "
        "p50 20\u00a0ms, p99 20\u00a0ms lately; on: kill_ledger; kill_ledger ×1"
    )


def test_all_histories_of_a_run_are_followed_line_by_line(tmp_path: Path) -> None:
    """The run's own and those of load processes; a line that is not whole yet is waited for, none is seen twice."""
    live, tail = live_after(), HistoryTail(tmp_path)
    own, part = tmp_path / "history.jsonl", tmp_path / "load-0.jsonl"
    intent, invoke, answer = (json.dumps(line).encode() + b"\n" for line in operation("a", 0, 20))
    own.write_bytes(json.dumps(fault("kill_ledger", "begin")).encode() + b"\n")
    part.write_bytes(intent + invoke + answer[:10])
    live.see_all(tail)
    assert (live.on, live.intents, live.answered) == (["kill_ledger"], 1, 0)
    part.write_bytes(intent + invoke + answer)
    live.see_all(tail)
    live.see_all(tail)
    assert (live.intents, live.answered) == (1, 1)
    part.unlink()
    live.see_all(tail)
    assert (live.intents, live.answered) == (1, 1)
