"""The page of `compare --defences`: what each cell says, which advice it calls wrong, and on what evidence."""

import json
from pathlib import Path

import jsonschema
import pytest

from simulator.defences import SERVERS, Server
from simulator.failure import UsageFailure
from simulator.report.defences_model import DefenceCell, DefencesReport
from simulator.report.defences_page import meaning
from simulator.report.rendering import render_defences_folder
from tests.support.finished_run import ATTACK, defences_compared
from tests.support.recounting import undescribed, words

SCHEMA = Path(__file__).parents[3] / "docs" / "defences.schema.json"
STRICT, OPTIONAL, NO_DEDUPE = SERVERS


def page_of(folder: Path) -> str:
    return render_defences_folder(folder).read_text(encoding="utf-8")


def rewritten(folder: Path, server: str, persona: str, **members: object) -> Path:
    """The same defences.json with other figures in one cell."""
    plain = json.loads((folder / "defences.json").read_text())
    plain["cells"][server][persona] |= members
    (folder / "defences.json").write_text(json.dumps(plain))
    return folder


def test_a_cell_says_how_many_how_much_and_why_and_leads_to_its_run(tmp_path: Path) -> None:
    """Counts and money are those of defences.json; the link leads to that server's own page."""
    page = page_of(defences_compared(tmp_path))
    said = words(page)
    assert "2 of 2 charged again 12.00 EUR Every key was honoured, and the second attempt had another." in said
    assert "1 of 2 paid, once All attempts had one key, and the server knew them for one payment" in said
    assert "the others heard 422." in said
    assert 'href="strict/report.html#personas"' in page
    assert 'href="no-dedupe/report.html#personas"' in page
    assert "payonce simulate no-dedupe.json --seed 7" in said


def test_advice_is_called_wrong_with_this_runs_evidence(tmp_path: Path) -> None:
    """A new key for a changed amount charged two customers twice; under the same key nobody was."""
    said = words(page_of(defences_compared(tmp_path)))
    assert "A changed amount is a new payment: take a new key. wrong" in said
    assert "Before strict: 2 of 2 customers were charged again: 12.00 EUR. The first attempt was in doubt" in said
    assert "Instead: a changed amount under the same key. None of 2 such customers was charged again." in said


def test_advice_is_not_called_wrong_without_evidence(tmp_path: Path) -> None:
    """Where nobody was charged again, nothing is marked wrong, and nothing is called right either."""
    nobody = {"charged_again": 0, "customers_charged_again": 0, "overcharged": {}}
    said = words(page_of(rewritten(defences_compared(tmp_path), "strict", "changed_amount_new_key", **nobody)))
    assert "A changed amount is a new payment: take a new key. not shown to be wrong" in said
    assert "None of 2 customers was charged again this time, which does not prove it right." in said
    assert "sounds right, is wrong" not in said


def test_nothing_is_recommended_that_charged_somebody_again(tmp_path: Path) -> None:
    """An alternative that failed in the same run is not offered."""
    again = {"charged_again": 1, "customers_charged_again": 1, "overcharged": {"eur": 1}}
    said = words(page_of(rewritten(defences_compared(tmp_path), "strict", "changed_amount", **again)))
    assert "A changed amount is a new payment: take a new key. wrong" in said
    assert "Instead: a changed amount under the same key" not in said
    assert "it is broken" in said


def test_a_table_that_does_not_add_up_says_so(tmp_path: Path) -> None:
    """Its sums are held against each run's audit."""
    assert "The table adds up to what each run’s audit says" in words(page_of(defences_compared(tmp_path)))
    said = words(page_of(rewritten(tmp_path, "strict", "careful", charged_again=1)))
    assert "The table does not add up" in said
    assert "strict: charges too many 3 2 the audit" in said


def test_a_comparison_cut_short_shows_what_was_finished(tmp_path: Path) -> None:
    """The missing server is named, and no column is made up for it."""
    page = page_of(defences_compared(tmp_path, less="no dedupe"))
    assert "there is no run before no dedupe" in words(page)
    assert page.count('role="columnheader"') == 3


@pytest.mark.parametrize(
    ("server", "persona", "cell", "sentence"),
    [
        (STRICT, "no_key", {"intents": 3, "paid": 0, "not_paid": {"400": 3}}, "Refused (400): nobody could pay"),
        (OPTIONAL, "no_key", {"intents": 3, "paid": 3}, "nothing here would have prevented it."),
        (OPTIONAL, "no_key", {"intents": 3, "paid": 3, "customers_charged_again": 1}, "Without a key a second"),
        (NO_DEDUPE, "careful", {"intents": 3, "paid": 3, "customers_charged_again": 1}, "looks at no key"),
        (NO_DEDUPE, "careful", {"intents": 3, "paid": 3}, "nothing here would have prevented it."),
        (STRICT, "careful", {"intents": 3, "paid": 1, "not_paid": {"422": 1, "none": 1}}, "422 (1) and no answer (1)"),
        (STRICT, "careful", {"intents": 0, "paid": 0}, "Nobody of this kind came."),
    ],
)
def test_each_kind_of_cell_has_its_sentence(
    server: Server, persona: str, cell: dict[str, object], sentence: str
) -> None:
    """What it means follows from who looks at which key, and never claims more than was seen."""
    seen = {"charged_again": 0, "customers_charged_again": 0, "overcharged": {}, "not_paid": {}, **cell}
    assert sentence in meaning(persona, server, DefenceCell.model_validate(seen))


def test_nothing_that_somebody_typed_becomes_part_of_the_page(tmp_path: Path) -> None:
    """The recorded command is shown as it was typed, and never runs."""
    page = page_of(defences_compared(tmp_path, attack=ATTACK))
    assert "<img" not in page
    assert page.count("</script>") == 4
    assert ATTACK in words(page)


def test_defences_json_obeys_its_published_schema(tmp_path: Path) -> None:
    """Checked by a library that knows nothing of our models; every member is described."""
    plain = json.loads((defences_compared(tmp_path) / "defences.json").read_text())
    jsonschema.validate(plain, json.loads(SCHEMA.read_text()))
    assert undescribed(DefencesReport.model_validate(plain)) == []
    del plain["cells"]["strict"]["careful"]["paid"]
    with pytest.raises(jsonschema.ValidationError, match="'paid' is a required property"):
        jsonschema.validate(plain, json.loads(SCHEMA.read_text()))


@pytest.mark.parametrize(("text", "sentence"), [(None, "cannot be read"), ("{}", "no defences.json of this version")])
def test_a_folder_without_a_comparison_is_refused(text: str | None, sentence: str, tmp_path: Path) -> None:
    """In one sentence, whether the file is missing or another one."""
    if text is not None:
        (tmp_path / "defences.json").write_text(text)
    with pytest.raises(UsageFailure, match=sentence):
        render_defences_folder(tmp_path)
