"""What other programs read of a run: JUnit XML, the time series, the schema of report.json."""

import csv
import io
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from simulator.audit.registry import CHECKS, LEDGER_CHECKS
from simulator.circumstances import command_line
from simulator.report.finished import read_finished
from simulator.report.junit import junit
from simulator.report.model import RunReport
from simulator.report.rendering import render_folder
from tests.support.finished_run import ATTACK, charged_once, charged_twice
from tests.support.recounting import read_lines, undescribed

SCHEMA = Path(__file__).parents[3] / "docs" / "report.schema.json"


def cases(folder: Path) -> dict[str, ET.Element]:
    root = ET.fromstring(junit(read_finished(folder)))
    return {case.attrib["name"]: case for case in root.iter("testcase")}


def kinds(case: ET.Element) -> list[str]:
    return [child.tag for child in case]


def test_each_check_and_each_threshold_is_a_test_case(tmp_path: Path) -> None:
    """What was found fails with its smallest witness; what was not is passed; a ledger that was not read is skipped."""
    folder = charged_twice(tmp_path)
    found = cases(folder)
    assert {*CHECKS, *LEDGER_CHECKS} <= found.keys()
    names = [case.attrib["name"] for case in ET.fromstring(junit(read_finished(folder))).iter("testcase")]
    assert len(names) == len(set(names))
    failure = found["duplicate_charge"].find("failure")
    assert failure is not None
    assert "1 case (crash redelivery), 7.00 EUR" in failure.attrib["message"]
    assert "charges 0@" in (failure.text or "")
    assert kinds(found["lost_charge"]) == []
    assert kinds(found["ledger_drift"]) == ["skipped"]
    assert kinds(found["aborted_read"]) == []  # sees more with a ledger, and needs none
    assert kinds(found["p99 < 250ms"]) == []
    assert kinds(found["duplicate_charge == 0"]) == ["failure"]
    assert kinds(found["kill processor hit"]) == []


def test_what_is_not_known_is_an_error_and_never_a_pass(tmp_path: Path) -> None:
    """A reason for an unknown verdict, a check that crashed, a fault that never hit: each is an error."""
    folder = charged_once(tmp_path)
    summary = json.loads((folder / "report.json").read_text())
    summary["audit"] |= {"verdict": "unknown", "unknown": ["the check lost_charge crashed"]}
    summary["audit"]["checks"].remove("lost_charge")
    summary["faults"]["lose_response"]["bitten"] = 0
    (folder / "report.json").write_text(json.dumps(summary))
    found = cases(folder)
    for name in ("everything could be judged", "lost_charge", "lose response hit"):
        assert kinds(found[name]) == ["error"], name


def test_the_suite_adds_up(tmp_path: Path) -> None:
    """Its totals are those of its cases, whatever somebody typed, and control characters do not break the XML."""
    folder = charged_twice(tmp_path, attack=f"{ATTACK}\x00\x1b\ufffe]]>")
    suite = next(ET.fromstring(junit(read_finished(folder))).iter("testsuite"))
    tags = {"failures": "failure", "errors": "error", "skipped": "skipped", "tests": "testcase"}
    assert {name: suite.attrib[name] for name in tags} == {
        name: str(len(list(suite.iter(tag)))) for name, tag in tags.items()
    }
    assert ATTACK in suite.attrib["name"]


def test_the_series_add_up_to_the_history(tmp_path: Path) -> None:
    """Every column of series.csv is numbers, and their sums are the history's lines."""
    folder = charged_twice(tmp_path)
    render_folder(folder)
    rows = list(csv.DictReader(io.StringIO((folder / "series.csv").read_text())))
    history = read_lines(folder / "history.jsonl")
    sums = {name: sum(float(row[name] or 0) for row in rows) for name in rows[0]}
    assert sums["planned"] == sum(line["kind"] == "intent" for line in history) == 4
    assert sums["sent"] == sum(line["kind"] == "invoke" for line in history) == 5
    assert sums["unknown"] == sum(line["kind"] == "info" for line in history) == 1
    assert (sums["repeat_client_retry"], sums["repeat_crash_redelivery"], sums["overcharged_eur"]) == (1, 1, 1200)


def test_report_json_obeys_its_published_schema(tmp_path: Path) -> None:
    """Checked by a library that knows nothing of our models; a report without its verdict is refused."""
    schema = json.loads(SCHEMA.read_text())
    summary = json.loads((charged_twice(tmp_path) / "report.json").read_text())
    jsonschema.validate(summary, schema)
    del summary["audit"]["verdict"]
    with pytest.raises(jsonschema.ValidationError, match="'verdict' is a required property"):
        jsonschema.validate(summary, schema)


def test_every_member_of_the_audit_is_described(tmp_path: Path) -> None:
    """Whatever the auditor adds to report.json has a line in the published schema."""
    summary = json.loads((charged_twice(tmp_path) / "report.json").read_text())
    assert undescribed(RunReport.model_validate(summary)) == []


def test_a_recorded_command_can_be_typed_again_and_holds_no_password() -> None:
    """Quoted for a shell; what stands between user and host of a URL is left out."""
    url = "postgresql://me:s3cr@:et@db:5432/ledger"
    said = command_line(["simulate", "--ledger-url", url, "--dir", "my runs"])
    assert said == "payonce simulate --ledger-url 'postgresql://me:***@db:5432/ledger' --dir 'my runs'"
