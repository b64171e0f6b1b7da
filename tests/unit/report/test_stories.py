"""The story of a witness: each fault once, in words, and none that hit somebody else."""

import json
from pathlib import Path

from simulator.report.finished import read_finished
from simulator.report.stories import stories
from simulator.report.wording import hit_words, unbroken
from tests.support.finished_run import charged_twice

COPY = "gateway gateway 1, manner copy, idempotency_key k-9, intent {}, bytes 9, sent_at 12, replayed False, made ch_1"


def test_a_fault_is_told_once_and_never_in_the_story_of_another_operation(tmp_path: Path) -> None:
    """What the auditor noted of its own operation stays, what hit another one is left out."""
    folder = charged_twice(tmp_path)
    summary = json.loads((folder / "report.json").read_text())
    witness = summary["audit"]["anomalies"][0]["witnesses"][0]
    at = witness["timeline"][0][:12]
    witness["timeline"] += [f"{at}  deliver_twice bit ×4: {COPY.format('i-another')}"]
    witness["timeline"] += [f"{at}  deliver_late bit ×2: {COPY.format(witness['subject'])}"]
    (folder / "report.json").write_text(json.dumps(summary))
    finished = read_finished(folder)
    rows = stories(finished, finished.report.anomalies[0])[0].rows
    faults = [row.what for row in rows if row.lane == "fault"]
    assert "deliver late ×2: gateway 1, manner copy, bytes 9, made ch_1" in faults
    assert not any("deliver twice" in what for what in faults)
    assert len(faults) == len(set(faults))
    assert [row for row in rows if row.lane == "note" and " bit" in row.what] == []


def test_a_hit_is_told_without_what_only_a_machine_can_use() -> None:
    """No instants in milliseconds, no keys; what happened and to how much stays."""
    assert hit_words(COPY.format("i-1")) == "gateway 1, manner copy, bytes 9, made ch_1"
    assert hit_words({"gateway": "gateway 0", "sent_at": 5, "replayed": True}) == "gateway 0, replayed True"


def test_an_amount_keeps_its_currency_on_the_same_line() -> None:
    """Only there: words in capitals elsewhere may be broken."""
    assert unbroken("3.389 KWD and 5 OF") == "3.389\u00a0KWD and 5 OF"
