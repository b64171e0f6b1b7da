"""`payonce bench`: measure the processor and its peers side by side, in one run, on one broker.

Out:     a table on stdout, JSON with --json; DIR/bench/KIND.json, .svg and .html, or in the folder of --save.
Errors:  exit codes 0, 1 when one of ours failed or a ratio regressed, 130 interrupted (what was finished is told all
         the same).
Source:  docs/bench.md.
"""

import asyncio
import json
import os
import shlex
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from simulator.commands.console import Teller, reader_may_leave
from simulator.commands.options import Given, takes
from simulator.failure import Failure, UsageFailure

if TYPE_CHECKING:
    from simulator.bench.measured import Measured
    from simulator.bench.plans import Options
    from simulator.bench.subjects import Subject

EXIT_INTERRUPTED: Final = 130
EXIT_REGRESSED: Final = 1
BASELINE: Final = Path(__file__).parents[2] / "benchmarks" / "baseline.json"


class _Usual(NamedTuple):
    """How much of it, where the command line does not say."""

    commands: int
    repeat: int
    seconds: float
    only: tuple[str, ...]  # may name peers that are not there


USUAL: Final = {
    "throughput": _Usual(
        300_000, 3, 0.0, ("payonce-*", "streams-rocksdb-[12]-100", "streams-memory-2-100", "copier", "quixstreams")
    ),
    "latency": _Usual(0, 3, 8.0, ("payonce-exactly-once", "streams-rocksdb-[12]-10")),
    "growth": _Usual(150_000, 3, 8.0, ("payonce-exactly-once", "streams-rocksdb-1-*")),
    "smoke": _Usual(40_000, 2, 0.0, ("payonce-*",)),
}


class _Asked(NamedTuple):
    kind: str
    subjects: "list[Subject]"
    options: "Options"
    save: Path | None
    left_out: list[str]


@takes("kafka", "partitions", "merchants", "seed", "dir", "json", merchants="1000")
def bench(
    given: Given,
    latency: Annotated[
        bool, typer.Option("--latency", help="From a command's planned instant to its reply, at three rates.")
    ] = False,
    growth: Annotated[
        bool, typer.Option("--growth", help="CPU a command with more partitions, more processes, one merchant.")
    ] = False,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="A minute's look at ratios, held against benchmarks/baseline.json.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Measure these instead of the usual ones; a glob, may be said again."),
    ] = None,
    commands: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1_000,
            max=2_000_000,
            help="Preloaded for each run; slow subjects are given fewer. [default: 300000, with --growth 150000]",
        ),
    ] = None,
    repeat: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=100, help="Rounds, each with a run of everybody. [default: 3]")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(metavar="S", min=1, max=600, help="Counted of each rate of --latency. [default: 8]")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="Who can be measured.")] = False,
    save: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write figures and pictures there instead of DIR/bench.")
    ] = None,
) -> int:
    """Measure ours under each guarantee, and peers, on the same commands: rates, CPU, ratios with their spread.

    Exit code 1 when one of ours failed, or when --smoke found a ratio that regressed.

    Example: payonce bench
    Example: payonce bench --only 'payonce-*' --commands 100000 --repeat 5
    Example: payonce bench --latency --only payonce-exactly-once --only 'streams-*-10'
    Example: payonce bench --smoke
    """
    from simulator.bench import subjects  # noqa: PLC0415  not for --help
    from simulator.bench.plans import Options  # noqa: PLC0415

    kinds = [name for name, is_asked in (("latency", latency), ("growth", growth), ("smoke", smoke)) if is_asked]
    if len(kinds) > 1:
        raise UsageFailure(f"--{kinds[0]} and --{kinds[1]} are measured one after the other: say one of them.")
    kind = kinds[0] if kinds else "throughput"
    usual = USUAL[kind]
    others, why_no_peers = subjects.peers()
    everybody = subjects.ours() + others
    if list_:
        return _list(everybody, why_no_peers)
    picked = subjects.chosen(everybody, only) if only else subjects.named(everybody, usual.only)
    options = Options(
        commands=commands or usual.commands,
        partitions=given.partitions,
        merchants=given.merchants,
        seed=given.seed,
        repeat=repeat or usual.repeat,
        seconds=seconds or usual.seconds,
    )
    left_out = [why_no_peers] if why_no_peers and not only and kind != "smoke" else []
    return asyncio.run(_bench(given, _Asked(kind, picked, options, save, left_out)))


def _list(everybody: "list[Subject]", why_no_peers: str | None) -> int:
    with reader_may_leave():
        for subject in everybody:
            typer.echo(f"{subject.name:24} {subject.about}")
    if why_no_peers:
        typer.echo(why_no_peers, err=True)
    return 0


async def _bench(given: Given, asked: _Asked) -> int:
    from simulator.bench import subjects  # noqa: PLC0415  not for --help
    from simulator.bench.machine import machine  # noqa: PLC0415
    from simulator.bench.measured import KINDS, Measured  # noqa: PLC0415

    measured = Measured(
        KINDS[asked.kind],
        options={**vars(asked.options), "command": shlex.join(["payonce", *sys.argv[1:]])},
        machine=machine(given.kafka),
        began_at=time.time_ns() // 1_000_000,
        left_out=asked.left_out,
    )
    interrupted: int | None = None
    failure: Failure | None = None
    try:
        interrupted = await _until_done(given, asked, measured)
    except Failure as error:
        failure = error  # what was finished by then is told all the same
        measured.interrupted = True
    told: list[str] = []
    if asked.kind == "smoke" and not measured.interrupted:
        told = _hold_against_baseline(measured, asked)
    if measured.runs or failure is None:
        _show(given, measured, asked)
    if failure is not None:
        raise failure
    for sentence in told:
        typer.echo(sentence, err=True)
    if interrupted is not None:
        return interrupted
    return 1 if told or any(subjects.is_ours(one["subject"]) for one in measured.failed) else 0


async def _until_done(given: Given, asked: _Asked, measured: "Measured") -> int | None:
    """The exit code of whoever interrupted it; all processes are gone and all topics deleted then, too."""
    loop = asyncio.get_running_loop()
    code: int | None = None
    work = asyncio.create_task(_measure(given, asked, measured))

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


async def _measure(given: Given, asked: _Asked, measured: "Measured") -> None:
    from simulator.bench import plans, reference, schedule, subjects, world  # noqa: PLC0415  not for --help

    picked = asked.subjects
    with Teller() as tell:
        told = schedule.Teller(tell.progress, is_watched=sys.stderr.isatty())
        if any(not subjects.is_ours(one.name) for one in picked):
            told.stage("preparing the peers")
            why = await asyncio.to_thread(subjects.prepare_peers, told.stage)
            if why is not None:
                measured.left_out.append(why)
                picked = [one for one in picked if subjects.is_ours(one.name)]
        if asked.kind == "smoke":
            measured.notes["unit_us"] = reference.unit_us()
        told.stage("starting Kafka" if given.kafka in ("embedded", "docker") else f"reaching Kafka at {given.kafka}")
        plan = getattr(plans, asked.kind)
        async with world.world(given.kafka, given.dir / "bench", told.stage) as stage:
            await plan(stage, picked, asked.options, measured, told)
            told.stage("stopping")


def _hold_against_baseline(measured: "Measured", asked: _Asked) -> list[str]:
    """One sentence for each ratio that regressed; with --save the baseline is written anew instead."""
    from simulator.bench import baseline  # noqa: PLC0415  not for --help
    from simulator.bench.plans import MANY_PARTITIONS, setting_of  # noqa: PLC0415

    few, many = setting_of(asked.options.partitions), setting_of(MANY_PARTITIONS)
    found = baseline.ratios(measured, few, many, measured.notes["unit_us"])
    measured.notes["smoke"] = {name: spread.to_json() for name, spread in found.items()}
    if asked.save is not None:
        asked.save.mkdir(parents=True, exist_ok=True)
        path = asked.save / BASELINE.name
        others = json.loads(path.read_text()) if path.is_file() else {}
        told = {**others, measured.machine["hot_path"]: baseline.baseline_json(found)}
        path.write_text(json.dumps(told, indent=2, sort_keys=True) + "\n")
        return []
    try:
        known = baseline.read_baseline(BASELINE.read_text(), measured.machine["hot_path"])
    except OSError as error:
        raise Failure(f"There is no baseline to hold this against: {BASELINE}: {error.strerror}.") from None
    except baseline.InvalidBaseline as error:
        raise Failure(f"{BASELINE} cannot be used: {error}.") from None
    return [f"Regressed: {sentence}" for sentence in baseline.regressed(found, known)]


def _show(given: Given, measured: "Measured", asked: _Asked) -> None:
    from rich.console import Console  # noqa: PLC0415

    from simulator.bench import page, table  # noqa: PLC0415

    shown: Any = None
    if measured.runs and asked.kind != "smoke":
        shown = page.save(measured, asked.save or given.dir / "bench")
    with reader_may_leave():
        if given.json:
            typer.echo(json.dumps(measured.to_json()))
        else:
            Console().print(table.render(measured), crop=False)
            if shown is not None:
                typer.echo(f"\n{shown}")
