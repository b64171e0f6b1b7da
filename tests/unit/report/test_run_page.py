"""report.html of a run: what it says, what it escapes, how large it gets."""

import json
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path

import pytest

from simulator.failure import UsageFailure
from simulator.report.rendering import render_folder
from tests.support.finished_run import ATTACK, charged_once, charged_twice, leave_files, page_of, run_line
from tests.support.recounting import disagreements, page_data, words
from tests.support.written_log import SHOP, START, WrittenLog

PAGE_BYTES_MAX = 3_000_000


def test_the_page_says_who_was_charged_twice_how_much_why_and_by_which_fault(tmp_path: Path) -> None:
    """From the page alone: the shop's customer, 12.00 EUR, the lost answer and the killed processor."""
    said = words(page_of(charged_twice(tmp_path)))
    assert "2 of 4 operations were executed more than once; customers paid 12.00 EUR too much" in said
    assert "lose response , answers are lost on their way back 1 1 5.00" in said
    assert "kill processor , a processor is killed in mid-work 1 1 7.00" in said
    assert "once too often" in said
    assert "payonce simulate scenario.json --seed 7" in said


def test_the_page_of_a_valid_run_says_what_was_kept_from_happening(tmp_path: Path) -> None:
    """A retry that got the first answer is told, with the fault that made the customer ask again."""
    said = words(page_of(charged_once(tmp_path)))
    assert "Nobody was charged twice" in said
    assert "1 retry answered with the first answer" in said
    assert "lose response : answers are lost on their way back 1" in said


def test_nothing_that_a_customer_typed_becomes_part_of_the_page(tmp_path: Path) -> None:
    """Keys, descriptions, names, reasons and details of faults are shown as they were typed, and never run."""
    page = page_of(charged_twice(tmp_path, attack=ATTACK))
    assert "<img" not in page
    assert page.count("</script>") == 4  # the numbers, two libraries, our own
    assert "{{7*7}}" in words(page)
    assert ATTACK in words(page)
    page_data(page)


def test_the_page_asks_nobody_for_anything(tmp_path: Path) -> None:
    """No address is in it but those of comments in libraries and namespaces, and its policy forbids requests."""
    page = page_of(charged_twice(tmp_path))
    markup = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    assert not re.findall(r"""(?:src|href|action)\s*=\s*["'](?!#|data:,)[^"']*""", markup)
    assert "default-src 'none'" in unescape(page)
    assert "unsafe-eval" not in page


@pytest.mark.parametrize("make", [charged_twice, charged_once])
def test_every_figure_can_be_counted_again(make: Callable[[Path], Path], tmp_path: Path) -> None:
    """What page and report.json say comes out the same from the history, with other code."""
    page_of(make(tmp_path))
    assert disagreements(tmp_path) == []


def test_a_figure_that_is_wrong_is_told_on_the_page(tmp_path: Path) -> None:
    """A report.json that claims an answer more than the history has is contradicted by its own page."""
    folder = charged_twice(tmp_path)
    summary = json.loads((folder / "report.json").read_text())
    summary["load"]["answered"] += 1
    (folder / "report.json").write_text(json.dumps(summary))
    assert "operations answered: counted again, not the same" in words(page_of(folder))
    assert any(found.startswith("answered") for found in disagreements(folder))


def test_a_long_run_is_a_small_page(tmp_path: Path) -> None:
    """Time is cut into at most 150 buckets whatever the run, so the page does not grow with it."""
    history: list[dict[str, object]] = [{"kind": "run", **run_line("exactly-once"), "faults": []}]
    for number in range(20_000):
        at, intent = START + number * 30, f"i-{number:06d}"
        head = {"intent": intent, "merchant_id": SHOP, "operation": "charge.create", "payload": {}}
        history.append({"kind": "intent", "at": at, **head})
        history.append({"kind": "invoke", "at": at, "attempt": 1, "idempotency_key": intent, "gateway": "g", **head})
        end = {"kind": "ok", "at": at + 5 + number % 997, "intent": intent, "attempt": 1}
        history.append({**end, "status": 201, "replayed": False, "body": "{}"})
    log = WrittenLog()
    log.executed(log.command("k"))
    folder = leave_files(tmp_path, run_line("exactly-once"), history, log.audit().to_json())
    assert len(page_of(folder).encode()) < PAGE_BYTES_MAX
    assert len(page_data((folder / "report.html").read_text())["starts_s"]) <= 150


def test_a_run_in_which_nobody_was_answered_has_a_page(tmp_path: Path) -> None:
    """No answer, no latency, no fault: the page says so instead of failing."""
    log = WrittenLog()
    log.meant("i-1")
    command = log.command("k", metadata={"intent": "i-1"})
    log.sent("i-1", command)
    log.unknown("i-1")
    run, told = run_line("exactly-once"), (log.history or [])[1:]
    folder = leave_files(tmp_path, run, [{"kind": "run", **run}, *told], log.audit().to_json())
    said = words(page_of(folder))
    assert "No customer was answered" in said
    assert "Nothing was broken on purpose" in said


@pytest.mark.parametrize("missing", ["report.json", "history.jsonl"])
def test_a_folder_without_a_finished_run_is_refused(missing: str, tmp_path: Path) -> None:
    """What is missing is said in one sentence."""
    folder = charged_once(tmp_path)
    (folder / missing).unlink()
    with pytest.raises(UsageFailure, match=rf"There is no finished run in .*{missing}"):
        render_folder(folder)


def test_a_report_of_another_version_is_refused(tmp_path: Path) -> None:
    """Numbers that may mean something else are not drawn."""
    folder = charged_once(tmp_path)
    summary = json.loads((folder / "report.json").read_text()) | {"schema": 2}
    (folder / "report.json").write_text(json.dumps(summary))
    with pytest.raises(UsageFailure, match="has schema 2"):
        render_folder(folder)
