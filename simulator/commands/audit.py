"""`payonce audit`: judge the log of a namespace, with or without the history of a run.

Out:     the report on stdout, JSON with --json. Exit code 0 valid, 1 anomalies found, 3 verdict unknown; SIGTERM
         is a clean stop without a verdict: 0.
Errors:  Failure, one sentence, when there is nothing to judge.
Source:  CONTRACT, "Exit codes"; the guarantee is what was said, else the running stack's, else the history's.
"""

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simulator.commands.console import Teller, leave_when_told, reader_may_leave
from simulator.commands.options import WHERE, Given, takes
from simulator.failure import UsageFailure

if TYPE_CHECKING:
    from simulator.audit.report import Report

EXIT_CODES = {"valid": 0, "invalid": 1, "unknown": 3}


@takes(*WHERE, "guarantee", "ledger-url", guarantee="")
def audit(
    given: Given,
    history: Annotated[
        Path | None, typer.Option(metavar="FILE", help="history.jsonl of a run: what the customers were told.")
    ] = None,
    target: Annotated[Path | None, typer.Option(metavar="FILE", help="stack.json of a running stack.")] = None,
) -> int:
    """Read the whole log of a namespace and say what happened, in money.

    Of the stack that runs in DIR, of --target, or of --kafka HOST:PORT. Exit code 0 valid, 1 anomalies, 3 unknown.

    Example: payonce audit --kafka localhost:9092 --namespace payments --history history.jsonl
    """
    if history is not None and not history.is_file():
        raise UsageFailure(f"--history: there is no file {history}.")
    leave_when_told()
    report = asyncio.run(_audit(given, history, target))
    with reader_may_leave():
        show(report, as_json=given.json)
    return EXIT_CODES[report.verdict.value]


async def _audit(given: Given, history: Path | None, target_file: Path | None) -> "Report":
    from simulator.audit_run import audit_namespace  # noqa: PLC0415  not for --help
    from simulator.commands.running import find_target  # noqa: PLC0415

    target = find_target(given, target_file)
    with Teller() as tell:
        return await audit_namespace(
            target.connection,
            target.namespace,
            history=history,
            ledger_url=given.ledger_url or target.ledger_url,
            guarantee=given.guarantee or (target.guarantee if history is None else None),
            progress=tell.progress,
        )


def show(report: "Report", *, as_json: bool) -> None:
    """The report for people, or as report.json has it."""
    if as_json:
        typer.echo(json.dumps(report.to_json(), indent=2))
        return
    from rich.console import Console  # noqa: PLC0415  not for --json

    from simulator.report.terminal import render  # noqa: PLC0415

    Console().print(render(report), crop=False)
