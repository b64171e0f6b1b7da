"""`payonce report`: make the pages of a finished run again.

In:      the folder of a run, or one that holds a run for each guarantee (what `compare` and `demo` leave).
Out:     report.html, report.xml and series.csv in each run's folder; a page that compares them in the outer one.
         Their paths on stdout.
Errors:  UsageFailure, one sentence, where there is no finished run.
"""

import json
from pathlib import Path
from typing import Annotated

import typer

from events.guarantees import Guarantee
from simulator.commands.console import Teller, reader_may_leave
from simulator.commands.options import Given, takes
from simulator.failure import UsageFailure


@takes("json")
def report(
    given: Given,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a run, of compare or of demo.")],
) -> int:
    """Render a finished run's folder again: its page, JUnit XML and time series; runs side by side as well.

    Example: payonce report .payonce
    """
    from simulator.report.defences_page import DEFENCES_FILE  # noqa: PLC0415  not for --help
    from simulator.report.rendering import (  # noqa: PLC0415  not for --help
        render_comparison,
        render_defences_folder,
        render_folder,
    )

    of_defences = (folder / DEFENCES_FILE).is_file()
    runs = sorted(path.parent for path in folder.glob("*/report.json")) if of_defences else find_runs(folder)
    with Teller() as tell:
        written = [path for run in runs for path in render_folder(run, tell.progress)]
        if of_defences:
            written.append(render_defences_folder(folder))
        elif runs != [folder]:
            written.append(render_comparison(folder, runs))
    with reader_may_leave():
        typer.echo(json.dumps([str(path) for path in written]) if given.json else "\n".join(map(str, written)))
    return 0


def find_runs(folder: Path) -> list[Path]:
    """The folder itself, or those within it, from the weakest guarantee to the strongest. Raises UsageFailure."""
    if (folder / "report.json").is_file():
        return [folder]
    runs = [folder / guarantee for guarantee in Guarantee if (folder / guarantee / "report.json").is_file()]
    if not runs:
        raise UsageFailure(f"There is no finished run in {folder}: report.json is missing.")
    return runs
