"""`payonce bench`: measure the processor and its peers side by side, in one run, on one broker.

Out:     a table on stdout, JSON with --json; DIR/bench/KIND.json, .svg and .html, or in the folder of --save.
Errors:  exit codes 0, 1 when a subject of ours failed or a ratio regressed, 130 interrupted (what was finished is
         told all the same).
Source:  docs/bench.md.
"""

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from simulator.commands.console import Teller, reader_may_leave
from simulator.commands.options import Given, takes

if TYPE_CHECKING:
    from simulator.bench.measured import Measured
    from simulator.bench.plans import Options
    from simulator.bench.subjects import Subject

EXIT_INTERRUPTED: Final = 130
COMMANDS: Final = 300_000


@takes("kafka", "partitions", "merchants", "seed", "dir", "json", merchants="1000")
def bench(
    given: Given,
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Measure these only; a glob, may be said again.")
    ] = None,
    commands: Annotated[
        int, typer.Option(metavar="N", min=1_000, help="Preloaded for each run; slow subjects are given fewer.")
    ] = COMMANDS,
    repeat: Annotated[int, typer.Option(metavar="N", min=1, max=100, help="Rounds, each with a run of everybody.")] = 3,
    list_: Annotated[bool, typer.Option("--list", help="Who can be measured.")] = False,
    save: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write figures and pictures there instead of DIR/bench.")
    ] = None,
) -> int:
    """Measure ours under each guarantee, and peers, on the same commands: rates, CPU, ratios with their spread.

    Example: payonce bench
    Example: payonce bench --only 'payonce-*' --commands 100000 --repeat 5
    Example: payonce bench --list
    """
    from simulator.bench import subjects  # noqa: PLC0415  not for --help

    others, why_no_peers = subjects.peers()
    everybody = subjects.ours() + others
    if list_:
        return _list(everybody, why_no_peers)
    picked = subjects.chosen(everybody, only or [])
    return asyncio.run(_bench(given, picked, commands, repeat, save, why_no_peers if not only else None))


def _list(everybody: "list[Subject]", why_no_peers: str | None) -> int:
    with reader_may_leave():
        for subject in everybody:
            typer.echo(subject.name)
    if why_no_peers:
        typer.echo(why_no_peers, err=True)
    return 0


async def _bench(
    given: Given,
    picked: "list[Subject]",
    commands: int,
    repeat: int,
    save: Path | None,
    left_out: str | None,
) -> int:
    from simulator.bench.machine import machine  # noqa: PLC0415  not for --help
    from simulator.bench.measured import THROUGHPUT, Measured  # noqa: PLC0415
    from simulator.bench.plans import Options  # noqa: PLC0415

    options = Options(commands, given.partitions, given.merchants, given.seed, repeat)
    measured = Measured(
        THROUGHPUT,
        options={**vars(options), "command": "payonce " + " ".join(sys.argv[1:])},
        machine=machine(given.kafka),
        began_at=time.time_ns() // 1_000_000,
        left_out=[left_out] if left_out else [],
    )
    interrupted = await _until_done(given, picked, options, measured)
    return _show(given, measured, save or given.dir / "bench", interrupted)


async def _until_done(given: Given, picked: "list[Subject]", options: "Options", measured: "Measured") -> int | None:
    """The exit code of whoever interrupted it; all processes are gone and all topics deleted then, too."""
    loop = asyncio.get_running_loop()
    code: int | None = None
    work = asyncio.create_task(_measure(given, picked, options, measured))

    def ask(number: signal.Signals) -> None:
        nonlocal code
        if code is not None:
            os._exit(code)  # a second time: the kernel kills the children with us
        code = EXIT_INTERRUPTED if number is signal.SIGINT else 0
        work.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, ask, number)
    try:
        await work
    except asyncio.CancelledError:
        measured.interrupted = True
    return code


async def _measure(given: Given, picked: "list[Subject]", options: "Options", measured: "Measured") -> None:
    from simulator.bench import plans, schedule, subjects, world  # noqa: PLC0415  not for --help

    with Teller() as tell:
        told = schedule.Teller(tell.progress, is_watched=sys.stderr.isatty())
        if any(not subjects.is_ours(one.name) for one in picked):
            told.stage("preparing the peers")
            why = await asyncio.to_thread(subjects.prepare_peers, told.stage)
            if why is not None:
                measured.left_out.append(why)
                picked = [one for one in picked if subjects.is_ours(one.name)]
        told.stage("starting Kafka")
        async with world.world(given.kafka, given.dir / "bench", told.stage) as stage:
            await plans.throughput(stage, picked, options, measured, told)
            told.stage("stopping")


def _show(given: Given, measured: "Measured", folder: Path, interrupted: int | None) -> int:
    from rich.console import Console  # noqa: PLC0415  not for --help

    from simulator.bench import page, subjects, table  # noqa: PLC0415

    shown = page.save(measured, folder) if measured.runs else None
    with reader_may_leave():
        if given.json:
            typer.echo(json.dumps(measured.to_json()))
        else:
            Console().print(table.render(measured), crop=False)
            if shown is not None:
                typer.echo(f"\n{shown}")
    if interrupted is not None:
        return interrupted
    return 1 if any(subjects.is_ours(one["subject"]) for one in measured.failed) else 0
