"""The auditor's three witnesses and retry tail, in words."""

import json
from pathlib import Path
from typing import Any

from simulator.report.agreement import agreement
from simulator.report.finished import read_finished
from simulator.report.rendering import render_folder
from tests.support.finished_run import charged_twice
from tests.support.recounting import words

COMPARED: dict[str, Any] = {
    "intents": 4,
    "disagree": 1,
    "deliveries": [
        {"delivered": 1, "executed": 1, "intents": 2},
        {"delivered": 1, "executed": 0, "intents": 1},
        {"delivered": 2, "executed": 2, "intents": 1},
    ],
    "kinds": [
        {"belief": "yes", "key": "nothing", "executed": 2, "agrees": False, "intents": 1, "money": {"eur": 500}},
        {"belief": "yes", "key": "nothing", "executed": 1, "agrees": True, "intents": 2, "money": {}},
        {"belief": "no", "key": "refusal", "executed": 0, "agrees": True, "intents": 1, "money": {}},
    ],
    "disagreeing": [
        {
            "intent": "i-1", "operation": "charge.create", "belief": "yes", "key": "nothing", "delivered": 2,
            "executed": 2, "money": {"eur": 500},
        }
    ],
    "certainty": {
        "attempts_unknown": 3, "attempts_succeeded": 1, "intents_unknown": 2, "intents_settled": 1, "never_settled": 1,
        "p50_ms": 120, "p99_ms": 4_000, "max_ms": 4_100, "money_unsettled": {"jpy": 70},
    },
}  # fmt: skip
WINDOW = {
    "keys_retried": 2,
    "retries": 3,
    "longest_tail_ms": 1_500,
    "smallest_safe_ms": 1_501,
    "candidates": [{"window_ms": 1_000, "late_reexecutions": 2}, {"window_ms": 5_000, "late_reexecutions": 0}],
}


def test_what_the_three_say_is_on_the_page(tmp_path: Path) -> None:
    """The kinds of operations, the grid, how long nobody knew, how long a key must live."""
    finished = read_finished(charged_twice(tmp_path))
    finished.summary["audit"] |= {"comparison": COMPARED, "key_window": WINDOW}
    told = agreement(finished)
    assert told is not None
    assert told["title"] == "Of 4 operations, 1 have a customer, a key and a charge that cannot all be right"
    assert told["deliveries"]["head"] == ["1×", "2×"]
    assert told["deliveries"]["rows"] == [
        ("0×", False, ["1", ""]),
        ("1×", False, ["2", ""]),
        ("2×", True, ["", "1"]),
    ]
    assert told["certainty"].startswith("3 requests ended without an answer; 33\u00a0% of them had in fact succeeded.")
    assert told["certainty"].endswith("1 never found out (70 JPY).")
    assert "Remembered for 1.0\u00a0s only, 2 retries would have been executed again." in told["window"]


def test_the_page_has_the_section_only_where_the_audit_compared(tmp_path: Path) -> None:
    """An audit without a comparison leaves no empty section behind."""
    folder = charged_twice(tmp_path)
    finished = read_finished(folder)
    finished.summary["audit"].pop("comparison", None)
    assert agreement(finished) is None
    (folder / "report.json").write_text(json.dumps(finished.summary))
    render_folder(folder)
    assert "Three witnesses" not in words((folder / "report.html").read_text())
