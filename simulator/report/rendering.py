"""All that is made of finished runs: report.html, report.xml, series.csv; a page that puts several side by side.

In:      the folder of a finished run.
Out:     the files in RENDERED, written anew.
Errors:  UsageFailure, one sentence, where there is no finished run.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from simulator.report.comparison import comparison_page
from simulator.report.defences_page import DEFENCES_FILE, defences_page, read_defences
from simulator.report.finished import Finished, read_finished
from simulator.report.junit import junit
from simulator.report.page import run_page
from simulator.report.spreadsheet import series_csv

RENDERED: Final[dict[str, Callable[[Finished], str]]] = {
    "report.html": run_page,
    "report.xml": junit,
    "series.csv": series_csv,
}


def render_comparison(folder: Path, runs: Sequence[Path]) -> Path:
    """Several finished runs on one page, FOLDER/report.html."""
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "report.html"
    page.write_text(comparison_page([read_finished(run) for run in runs], folder), encoding="utf-8")
    return page


def render_defences_folder(folder: Path) -> Path:
    """FOLDER/report.html of FOLDER/defences.json and the runs beside it."""
    page = folder / "report.html"
    page.write_text(defences_page(read_defences(folder / DEFENCES_FILE), folder), encoding="utf-8")
    return page


def render_folder(folder: Path, progress: Callable[[str], None] = lambda _: None) -> list[Path]:
    """The files written, in order."""
    progress("reading the history")
    finished = read_finished(folder)
    progress(f"writing {', '.join(RENDERED)}")
    written = []
    for name, render in RENDERED.items():
        (folder / name).write_text(render(finished), encoding="utf-8")
        written.append(folder / name)
    return written
