"""`payonce compare --defences`: what clients do against paying twice, before three kinds of servers.

Out:     DIR/defences/SERVER/ as every run leaves it, DIR/defences/defences.json and report.html, a table on stdout.
Errors:  exit code 0 when no customer who kept a key paid twice before a server that honours keys, else 1; 130 when
         interrupted.
"""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from simulator.commands.console import Teller, reader_may_leave
from simulator.commands.options import Given
from simulator.defences import SERVERS, Cell, cells, defences_json, lessons, scenario_for
from simulator.history import read_history
from simulator.report.defences import render_defences
from simulator.report.rendering import render_defences_folder
from simulator.run import RunOptions, run_once
from simulator.workload.behaviour import Expects
from simulator.workload.personas import BY_NAME

if TYPE_CHECKING:
    from simulator.scenario.models import Scenario

EXIT_INTERRUPTED = 130
Table = dict[str, dict[str, Cell]]


async def compare_defences(
    given: Given,
    base: "Scenario",
    options: Callable[[Given, "Scenario", Path], RunOptions],
    stopping: asyncio.Event,
) -> int:
    """One run for each server, the same seed; what was finished is shown, also when interrupted."""
    directory = given.dir / "defences"
    table: Table = {}
    with Teller() as tell:
        for server in SERVERS:
            if stopping.is_set():
                break
            tell.line(f"== {server.name}: {server.means}; seed {given.seed}")
            folder = directory / server.folder
            result = await run_once(options(given, scenario_for(server, base), folder), tell, stopping)
            table[server.name] = cells(read_history(folder / "history.jsonl"), result.report.repeats)
    told = lessons(table) if len(table) == len(SERVERS) else []
    plain = defences_json(given.seed, table, told)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "defences.json").write_text(json.dumps(plain, indent=2) + "\n")
    page = render_defences_folder(directory)
    with reader_may_leave():
        if given.json:
            typer.echo(json.dumps(plain))
        else:
            _print(table, told)
            typer.echo(f"\n{page}")
    if stopping.is_set():
        return EXIT_INTERRUPTED
    return 1 if _broken(table) else 0


def _broken(table: Table) -> list[str]:
    """Whoever kept one key and was charged again all the same, before a server that honours keys."""
    return [
        f"{server}: {name}"
        for server in ("strict", "optional")
        for name, cell in table[server].items()
        if cell.again and BY_NAME[name].expects is Expects.CHARGED_ONCE
    ]


def _print(table: Table, told: list[str]) -> None:
    from rich.console import Console  # noqa: PLC0415  not for --json

    Console().print(render_defences(table, told))
