"""The table of defences: counted from the history and the auditor's repeats, and told in sentences that it bears."""

from typing import Any

from rich.console import Console

from simulator.audit.report import Repeat
from simulator.defences import DEFENCES, SERVERS, Cell, base_scenario, cells, lessons, scenario_for
from simulator.report.defences import render_defences
from simulator.workload.personas import BY_NAME


def repeat(intent: str, amount: int, currency: str = "eur") -> Repeat:
    return Repeat(1, 1, intent, "m1", "charge.succeeded", "ch_1", "client_retry", "taken", amount, currency, 0, 1, 0)


def history(*intents: tuple[str, str, int | None]) -> list[dict[str, Any]]:
    """Intent, persona, and the status of its only answer."""
    lines: list[dict[str, Any]] = []
    for name, persona, status in intents:
        lines.append({"kind": "intent", "intent": name, "persona": persona})
        if status is not None:
            lines.append({"kind": "ok", "intent": name, "status": status})
    return lines


def test_cells_count_customers_executions_and_money() -> None:
    """Twice again for one customer is one customer and two executions; money adds up per currency."""
    found = cells(
        history(("a", "no_key", 201), ("b", "no_key", 201), ("c", "careful", None), ("d", "no_key", 400)),
        [repeat("a", 5), repeat("a", 7), repeat("b", 3, "jpy")],
    )
    assert found["no_key"] == Cell(3, 2, 3, 2, {"eur": 12, "jpy": 3}, {"400": 1})
    assert found["careful"] == Cell(1, 0, 0, 0, {}, {"none": 1})


def test_every_defence_is_somebody_and_all_come_to_every_server() -> None:
    """One mix for all, the same before each server; only guarantee and enforcement differ."""
    assert all(defence.persona in BY_NAME for defence in DEFENCES)
    runs = [scenario_for(server, base_scenario()) for server in SERVERS]
    assert {frozenset(run.load.personas) for run in runs} == {frozenset(defence.persona for defence in DEFENCES)}
    assert len({(run.system.guarantee, run.system.enforcement) for run in runs}) == len(SERVERS)
    assert len({repr(run.load) for run in runs}) == 1


def table(**again: int) -> dict[str, dict[str, Cell]]:
    """`server__persona=n`: n customers paid again there, nobody else anywhere."""
    made = {server.name: {defence.persona: Cell(10, 10) for defence in DEFENCES} for server in SERVERS}
    for name, count in again.items():
        server, _, persona = name.partition("__")
        made[server.replace("_", " ")][persona] = Cell(10, 10, count, count, {"eur": count})
    return made


def test_a_lesson_is_told_only_where_the_table_bears_it() -> None:
    """Nothing seen, nothing said; and never that a kept key is safe where it was not."""
    assert lessons(table()) == []
    (told,) = lessons(table(strict__changed_amount_new_key=4))
    assert told.startswith("“A new key for a new amount” charges twice")
    assert "4 customers" in told
    assert lessons(table(strict__app_killed_new_key=4, strict__app_killed=1)) == []
    assert len(lessons(table(optional__no_key_backoff=2, no_dedupe__careful=1))) == 2


def test_the_table_shows_who_was_refused_who_paid_once_and_who_again() -> None:
    """Three kinds of cells, told apart in words and not only by colour."""
    shown = table(strict__key_per_click=3)
    shown["strict"]["no_key"] = Cell(10, 0)
    console = Console(width=160, record=True, force_terminal=False)
    console.print(render_defences(shown, ["A lesson."]))
    text = console.export_text()
    for part in ("refused, 10 could not pay", "3 of 10 charged again", "0.03 EUR", "10 of 10 paid, once", "A lesson."):
        assert part in text
