"""A search for the highest rate on its page: what was tried, what held, what is not to be mixed up."""

import json
from pathlib import Path

import jsonschema
import pytest

from simulator.report.model import RunReport
from tests.support.finished_run import charged_once, page_of, searched
from tests.support.recounting import page_data, undescribed, words

SCHEMA = Path(__file__).parents[3] / "docs" / "report.schema.json"


def test_every_step_is_in_the_table_with_what_it_measured_and_why_it_failed(tmp_path: Path) -> None:
    """A step that failed for the load generator's sake says so, and one that measured nothing has no number."""
    said = words(page_of(searched(tmp_path)))
    assert "p99<100ms holds up to 100.0 purchases/s, and not at 125.0." in said
    assert "1 50 65 27 ms 14 ms 0.1 s yes –" in said
    assert "4 150 195 62 ms 31 ms 0.1 s no the load generator did not keep up" in said
    assert "5 125 162.5 nothing measured – never no p99<100ms did not hold" in said
    assert "held 3 did not hold 3" in said


def test_the_plot_has_what_was_measured_and_the_threshold(tmp_path: Path) -> None:
    """Numbers are those of report.json; a step without a value is not drawn."""
    told = page_data(page_of(searched(tmp_path)))["find_max"]
    assert (told["bound"], told["unit"], told["rate"]) == (100.0, "ms", 100.0)
    assert [(step["rate"], step["value"], step["held"]) for step in told["steps"]] == [
        (50.0, 27.3, True),
        (100.0, 39.1, True),
        (200.0, 139.3, False),
        (150.0, 61.5, False),
        (100.0, 41.2, True),
    ]


@pytest.mark.parametrize(
    ("threshold", "unit", "shown"), [("throughput>30/s", "/s", "27.3/s"), ("unknown<50%", "%", "27.3 %")]
)
def test_other_metrics_have_their_own_unit(threshold: str, unit: str, shown: str, tmp_path: Path) -> None:
    """A throughput is no latency, neither in the plot nor in the table."""
    page = page_of(searched(tmp_path, threshold))
    assert page_data(page)["find_max"]["unit"] == unit
    assert f"1 50 65 {shown} 14 ms 27 ms 0.1 s yes" in words(page)


def test_figures_of_one_step_and_of_all_are_not_mixed_up(tmp_path: Path) -> None:
    """Operations are those of all steps; latency, requests and answers are one step's, and said to be."""
    said = words(page_of(searched(tmp_path)))
    assert "In the newest step that held, exactly-once answered" in said
    assert "in 6 steps" in said
    assert "of one step's" in said


def test_a_run_without_a_search_has_no_such_section(tmp_path: Path) -> None:
    """Nothing is said of rates that nobody tried."""
    page = page_of(charged_once(tmp_path))
    assert 'id="rates"' not in page
    assert page_data(page)["find_max"] is None


def test_a_search_obeys_the_published_schema_and_is_described(tmp_path: Path) -> None:
    """Checked by a library that knows nothing of our models; a step without its rate is refused."""
    summary = json.loads((searched(tmp_path) / "report.json").read_text())
    schema = json.loads(SCHEMA.read_text())
    jsonschema.validate(summary, schema)
    assert undescribed(RunReport.model_validate(summary)) == []
    del summary["find_max"]["steps"][0]["rate_per_s"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(summary, schema)
