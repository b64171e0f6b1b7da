"""Several runs on one page: what is said of them, and when they are not to be compared."""

import json
from pathlib import Path

from simulator.report.rendering import render_comparison
from tests.support.finished_run import charged_once, charged_twice
from tests.support.recounting import page_data, words


def both(folder: Path) -> list[Path]:
    return [charged_twice(folder / "at-least-once"), charged_once(folder / "exactly-once")]


def test_the_page_says_what_went_wrong_by_cause_and_what_the_stronger_guarantee_cost(tmp_path: Path) -> None:
    """Causes, money, latency and throughput of both are in one table, and each run's own page is one click away."""
    page = render_comparison(tmp_path, both(tmp_path)).read_text()
    said = words(page)
    assert "What was meant once was executed again: at-least-once 2 times and exactly-once never." in said
    assert "executions too many: client retry 1 0" in said
    assert "executions too many: crash redelivery 1 0" in said
    assert "EUR taken too much 12.00 0.00" in said
    assert "retries answered with the first answer 0 1" in said
    assert "Against at-least-once, exactly-once kept 2 executions from happening again." in said
    assert 'href="exactly-once/report.html"' in page
    assert set(page_data(page)["guarantees"]) == {"at-least-once", "exactly-once"}


def test_runs_that_differ_in_more_than_their_guarantee_are_called_so(tmp_path: Path) -> None:
    """Another seed, or another load, makes the comparison one of two things at once, and the page says so."""
    runs = both(tmp_path)
    summary = json.loads((runs[1] / "report.json").read_text())
    summary["run"] |= {"seed": 8}
    (runs[1] / "report.json").write_text(json.dumps(summary))
    said = words(render_comparison(tmp_path, runs).read_text())
    assert "Take care: these runs differ in seed, not only in their guarantee." in said


def test_two_runs_under_one_guarantee_keep_their_own_columns(tmp_path: Path) -> None:
    """The second is told apart by its name."""
    runs = [charged_once(tmp_path / "a"), charged_once(tmp_path / "b")]
    page = render_comparison(tmp_path, runs).read_text()
    assert set(page_data(page)["guarantees"]) == {"exactly-once", "exactly-once, run 2"}
    assert 'href="b/report.html"' in page
