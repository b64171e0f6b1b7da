"""How a measurement is told: rows, ratios, table, picture, page."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from rich.console import Console

from simulator.bench import page, table
from simulator.bench.measured import THROUGHPUT, Measured
from simulator.bench.picture import svg
from simulator.bench.spread import Spread

SETTING = "4 partitions"
MACHINE = {
    "cpu": "A & B <9000>",
    "cores": 2,
    "memory_bytes": 8 * 2**30,
    "kernel": "Linux 6",
    "python": "3.11",
    "kafka": "4.3.1",
    "hot_path": "native",
    "load_average": 0.1,
}


def run(subject: str, number: int, per_s: float, broker_us: float | None = 5.0) -> dict[str, Any]:
    return {
        "setting": SETTING,
        "subject": subject,
        "round": number,
        "commands": 1_000,
        "steady_per_s": per_s,
        "whole_per_s": per_s / 2,
        "subject_cpu_us": 1e6 / per_s,
        "broker_cpu_us": broker_us,
        "start_s": 1.0,
    }


@pytest.fixture
def measured() -> Measured:
    """Two rounds of two of ours and of a peer, which failed in the second."""
    runs = [
        run("payonce-exactly-once", 1, 1_000.0),
        run("payonce-at-most-once", 1, 2_000.0),
        run("a<peer>", 1, 500.0),
        run("payonce-exactly-once", 2, 3_000.0),
        run("payonce-at-most-once", 2, 3_000.0),
    ]
    failed = [{"setting": SETTING, "subject": "a<peer>", "round": 2, "why": "a<peer> ended with exit code 1: no"}]
    return Measured(THROUGHPUT, {"command": "payonce bench"}, MACHINE, 1_764_000_000_000, runs, failed=failed)


def test_ours_is_held_against_everybody_in_the_rounds_that_both_have(measured: Measured) -> None:
    """A peer is never the one that is held against others."""
    told = {(one.ours, one.other): one.spread for one in measured.ratios() if one.metric == "steady_per_s"}
    assert told["payonce-exactly-once", "a<peer>"] == Spread(2.0, 2.0, 2.0, 1)
    assert told["payonce-exactly-once", "payonce-at-most-once"] == Spread(0.75, 0.5, 1.0, 2)
    assert {ours for ours, _ in told} == {"payonce-exactly-once", "payonce-at-most-once"}


def test_what_was_saved_is_told_the_same_again(measured: Measured) -> None:
    """Every single run is kept, so that all that was counted from them can be counted again."""
    told = json.loads(json.dumps(measured.to_json()))
    assert Measured.from_json(told).to_json() == told
    assert told["runs"] == measured.runs


@pytest.mark.parametrize("width", [80, 200])
def test_a_table_names_everybody_and_who_failed(measured: Measured, width: int) -> None:
    """Whole names also on a narrow terminal."""
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    console.print(table.render(measured))
    text = console.export_text()
    for said in ("payonce-exactly-once", "payonce-at-most-once", "a<peer>", "2,000", "failed in round 2", "2.00"):
        assert said in text


def test_a_broker_that_is_not_ours_has_no_column(measured: Measured) -> None:
    """A column of dashes says nothing."""
    for one in measured.runs:
        one["broker_cpu_us"] = None
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    console.print(table.render(measured))
    assert "broker" not in console.export_text()
    assert "broker" not in svg(measured)


def test_a_picture_is_well_formed_and_within_its_frame(measured: Measured) -> None:
    """Bars by figure; names are escaped."""
    drawn = ElementTree.fromstring(svg(measured))
    space = "{http://www.w3.org/2000/svg}"
    height, width = float(drawn.get("height", 0)), float(drawn.get("width", 0))
    bars = [one for one in drawn.iter(f"{space}rect") if one.get("rx")]
    assert len(bars) == 3 * len(THROUGHPUT.drawn)
    for bar in bars:
        assert float(bar.get("x", 0)) + float(bar.get("width", 0)) <= width
        assert float(bar.get("y", 0)) + float(bar.get("height", 0)) <= height
    widths = [float(bar.get("width", 0)) for bar in bars[:3]]
    assert widths[0] / widths[1] == pytest.approx(2_000 / 2_500, rel=0.01)
    assert "a<peer>" in [one.text for one in drawn.iter(f"{space}text")]


def test_a_folder_has_figures_picture_and_page(measured: Measured, tmp_path: Path) -> None:
    """And README.md, which is made from the figures alone."""
    shown = page.save(measured, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "throughput.json",
        "throughput.svg",
        "throughput.html",
        "README.md",
    }
    assert json.loads((tmp_path / "throughput.json").read_text()) == json.loads(json.dumps(measured.to_json()))
    assert "A &amp; B &lt;9000&gt;" in shown.read_text()
    assert "the best peer, a&lt;peer&gt;: 500 commands a second. Ours by theirs: 2.00" in shown.read_text()
    assert "<script>" not in shown.read_text()
    told = (tmp_path / "README.md").read_text()
    assert page.readme(tmp_path) == told
    assert "| payonce-exactly-once | 1,000 | 2,000 (1,000 … 3,000) |" in told


def test_a_limit_is_no_peer_that_ours_is_told_beside(measured: Measured) -> None:
    """Whoever does not do the work has a bar of its own colour, and never the headline."""
    measured.runs.append({**run("a-limit", 1, 9_000.0), "does_the_work": False})
    assert "a<peer>" in page.headline(measured)
    assert "a-limit: a limit, which does not do the work." in table.told(measured)
    assert 'class="limit"' in svg(measured)


def test_a_file_of_another_version_is_left_out_of_the_page_of_all(measured: Measured, tmp_path: Path) -> None:
    """And said to be one; what was just measured is there."""
    (tmp_path / "latency.json").write_text('{"kind": "latency", "runs": []}')
    page.save(measured, tmp_path)
    told = (tmp_path / "README.md").read_text()
    assert "`latency.json` is of another version" in told
    assert "## Preloaded commands" in told
