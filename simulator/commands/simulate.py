"""`payonce simulate`, `compare` and `demo`: let customers and vandals loose, and print the audit.

Out:     DIR/report.html, report.json, history.jsonl and what else comes with them (compare and demo: one folder
         for each guarantee, and one page with all of them); tables on stdout.
Errors:  exit codes 0 valid, 1 anomalies, 3 unknown, 130 interrupted unless anomalies; compare and demo exit 0
         when each guarantee showed what it promises.
Source:  CONTRACT, "The command line". A second Ctrl-C waits for nothing: the kernel kills the children with
         us.
"""

import asyncio
import json
import os
import signal
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from events.guarantees import Guarantee
from simulator.commands.console import Teller, reader_may_leave
from simulator.commands.options import IN_SCENARIOS, LOAD, SIMULATE, STACK, Given, takes
from simulator.commands.up import stack_options
from simulator.failure import Failure, UsageFailure

if TYPE_CHECKING:
    from simulator.run import LetLoose, RunOptions, RunResult
    from simulator.scenario.models import Scenario

EXIT_INTERRUPTED: Final = 130
EXIT_CODES: Final = {"valid": 0, "invalid": 1, "unknown": 3}
EXIT_CROSSED: Final = 99
DEMO: Final = (Guarantee.AT_LEAST_ONCE, Guarantee.EXACTLY_ONCE)
UNDER_EACH: Final = tuple(name for name in STACK if name != "guarantee")  # these runs differ in nothing else

Named = Annotated[
    str, typer.Argument(metavar="[SCENARIO]", help="A shipped scenario (see --list), or the path of a YAML file.")
]
Target = Annotated[
    Path | None, typer.Option(metavar="STACK.JSON", help="Run against this running stack instead of an own one.")
]


@takes(*STACK, *SIMULATE, "json", left_open=IN_SCENARIOS)
def simulate(
    given: Given,
    named: Named = "checkout",
    target: Target = None,
    list_: Annotated[bool, typer.Option("--list", help="The shipped scenarios, one line each.")] = False,
    plan_only: Annotated[
        bool, typer.Option("--plan-only", help="Tell what this seed will do, and do nothing.")
    ] = False,
    processor: Annotated[
        str | None, typer.Option(metavar="'COMMAND …'", help="Run this as the processor instead of ours.")
    ] = None,
) -> int:
    """Run one simulation on a stack of its own, audit the log, and report the verdict.

    Exit code 99 when a threshold of the scenario was crossed; 1 (anomalies) and 3 (unknown) come before it.

    Example: payonce simulate --seed 7 --duration 10s --guarantee at-least-once
    Example: payonce simulate mobile-checkout --plan-only
    Example: payonce simulate calm --find-max 'p99<100ms' --rate 100 --duration 8s
    Example: payonce simulate examples/pay.yaml --processor 'python examples/naive_processor.py'
    """
    if list_:
        return _list(given)
    scenario = _scenario(given, named)
    if plan_only:
        return _plan_only(given, scenario)
    options = _options(given, scenario, given.dir, target)
    if processor is not None:
        options = _with_processor(options, processor)
    return asyncio.run(_interruptible(lambda stopping: _simulate(given, options, stopping)))


@takes(*UNDER_EACH, *LOAD, "json", left_open=IN_SCENARIOS)
def compare(
    given: Given,
    what: Annotated[
        list[str] | None, typer.Argument(metavar="[SCENARIO] | A.json B.json", help="A scenario, or two finished runs.")
    ] = None,
    defences: Annotated[
        bool, typer.Option("--defences", help="What clients do against paying twice, before three kinds of servers.")
    ] = False,
) -> int:
    """Run the same customers and faults under each guarantee, or put two finished runs side by side.

    Example: payonce compare --seed 7 --duration 15s
    Example: payonce compare --defences
    Example: payonce compare one/report.json other/report.json
    """
    if defences:
        return _compare_defences(given, what)
    named = what or ["checkout"]
    if len(named) == 2:
        return _compare_files(given, Path(named[0]), Path(named[1]))
    if len(named) > 2:
        raise UsageFailure("compare takes a scenario, or the report.json of two runs.")
    scenario = _scenario(given, named[0])
    return asyncio.run(
        _interruptible(lambda stopping: _side_by_side(given, scenario, "compare", tuple(Guarantee), stopping))
    )


@takes(*UNDER_EACH, *LOAD, "json", left_open=IN_SCENARIOS)
def demo(given: Given) -> int:
    """Run the same customers and faults under at-least-once and under exactly-once, side by side.

    Example: payonce demo --seed 3
    """
    scenario = _scenario(given, "checkout")
    return asyncio.run(_interruptible(lambda stopping: _side_by_side(given, scenario, "demo", DEMO, stopping)))


def _scenario(given: Given, named: str) -> "Scenario":
    from simulator.scenario.reading import find  # noqa: PLC0415  not for --help

    return _as_said(given, find(named))


def _as_said(given: Given, scenario: "Scenario") -> "Scenario":
    """The scenario with everything that was said on the command line in its place."""
    said = {name.replace("-", "_"): name for name in given.typed}
    system = {name: getattr(given, name) for name in type(scenario.system).model_fields if name in said}
    if "break" in given.typed:
        system["breaks"] = given.breaks
    if "guarantee" in system:
        system["guarantee"] = Guarantee(given.guarantee)
    load = scenario.load
    if "merchants" in given.typed:
        merchants = load.merchants.model_copy(update={"count": given.merchants})
        load = load.model_copy(update={"merchants": merchants})
    if "via" in given.typed:
        load = load.model_copy(update={"via": given.via})
    scenario = scenario.model_copy(update={"system": scenario.system.model_copy(update=system), "load": load})
    if "rate" in given.typed:
        scenario = scenario.at_rate(given.rate)
    return scenario.lasting(given.duration_s) if "duration" in given.typed else scenario


def _list(given: Given) -> int:
    from simulator.scenario.reading import shipped  # noqa: PLC0415  not for --help

    with reader_may_leave():
        if given.json:
            typer.echo(json.dumps({name: scenario.plain() for name, scenario in shipped().items()}))
        else:
            wide = max(map(len, shipped()))
            for name, scenario in shipped().items():
                typer.echo(f"{name:{wide}}  {scenario.about}")
    return 0


def _plan_only(given: Given, scenario: "Scenario") -> int:
    from simulator.scenario.preview import lines, preview  # noqa: PLC0415  not for --help

    told = preview(scenario, given.seed)
    with reader_may_leave():
        for line in [json.dumps(told)] if given.json else lines(told):
            typer.echo(line)
    return 0


async def _interruptible(work: Callable[[asyncio.Event], Coroutine[Any, Any, int]]) -> int:
    """Ctrl-C and SIGTERM ask the run to stop and report; asked again, we go at once.

    SIGTERM is a clean stop: what would be 130 after Ctrl-C is 0 then. Anomalies are told by 1 either way.
    """
    stopping = asyncio.Event()
    interrupted = EXIT_INTERRUPTED

    def ask(number: signal.Signals) -> None:
        nonlocal interrupted
        if stopping.is_set():
            os._exit(interrupted)
        interrupted = EXIT_INTERRUPTED if number is signal.SIGINT else 0
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, ask, number)
    try:
        code = await work(stopping)
    except Failure as failure:
        if failure.exit_code != EXIT_INTERRUPTED:
            raise
        raise Failure(str(failure), exit_code=interrupted) from None
    return interrupted if code == EXIT_INTERRUPTED else code


def _options(given: Given, scenario: "Scenario", directory: Path, target: Path | None = None) -> "RunOptions":
    from simulator.run import RunOptions  # noqa: PLC0415  not for --help

    system = {name: getattr(scenario.system, name) for name in type(scenario.system).model_fields}
    stack = replace(stack_options(given), **system, dir=directory, merchants=scenario.load.merchants.count)
    return RunOptions(stack, given.seed, scenario, target, given.load_processes)


def _with_processor(options: "RunOptions", command: str) -> "RunOptions":
    from simulator.foreign_processor import read_command  # noqa: PLC0415  not for --help

    if options.target is not None:
        raise UsageFailure("--processor starts a stack of its own: it does not go with --target.")
    return replace(options, stack=replace(options.stack, processor=read_command(command)))


async def _simulate(given: Given, options: "RunOptions", stopping: asyncio.Event) -> int:
    from simulator.run import run_once  # noqa: PLC0415  not for --help

    options, let_loose = _find_max(given, options) if given.find_max else (options, None)
    with Teller() as tell:
        result = await run_once(options, tell, stopping, let_loose)
    with reader_may_leave():
        if given.json:
            typer.echo(json.dumps(result.summary))
        else:
            _print_result(result)
            typer.echo(f"\n{given.dir / 'report.html'}  {given.dir / 'report.json'}  {given.dir / 'history.jsonl'}")
    return _exit_code(result)


def _find_max(given: Given, options: "RunOptions") -> "tuple[RunOptions, LetLoose]":
    """Steps instead of the scenario's stages, as long as --duration says; its faults and thresholds are left out."""
    from simulator.load_max import STEP_S, FindMax, read_threshold  # noqa: PLC0415  not for --help

    assert given.find_max is not None, "asked for"
    threshold = read_threshold(given.find_max)
    scenario = options.scenario.model_copy(update={"faults": (), "thresholds": ()})
    step_s = given.duration_s if "duration" in given.typed else STEP_S
    return replace(options, scenario=scenario), FindMax(threshold, step_s)


def _exit_code(result: "RunResult") -> int:
    code = EXIT_CODES[result.report.verdict.value]
    if result.interrupted and code != 1:
        return EXIT_INTERRUPTED
    nowhere = result.summary.get("find_max", {"rate_per_s": 1})["rate_per_s"] is None
    return code or (EXIT_CROSSED if result.crossed or nowhere else 0)


async def _side_by_side(
    given: Given, scenario: "Scenario", folder: str, guarantees: Sequence[Guarantee], stopping: asyncio.Event
) -> int:
    """One run after the other, each in a folder of its own; what was finished is compared, also when
    interrupted.
    """
    from simulator.run import run_once  # noqa: PLC0415  not for --help

    results: list[RunResult] = []
    with Teller() as tell:
        for guarantee in guarantees:
            if stopping.is_set():
                break
            load = scenario.load
            tell.line(f"== {guarantee}: seed {given.seed}, {load.highest_rate:g} purchases/s for {load.duration_s:g} s")
            under = scenario.model_copy(update={"system": scenario.system.model_copy(update={"guarantee": guarantee})})
            options = _options(given, under, given.dir / folder / guarantee)
            try:
                results.append(await run_once(options, tell, stopping))
            except Failure as failure:
                if failure.exit_code != EXIT_INTERRUPTED or not results:
                    raise
                tell.line(str(failure))  # what was finished before is worth its table
                break
            tell.line(f"   verdict: {results[-1].report.verdict.value}")
    page = _comparison_page(given.dir / folder, [given.dir / folder / result.guarantee for result in results])
    with reader_may_leave():
        if given.json:
            typer.echo(json.dumps([result.summary for result in results]))
        else:
            _print_comparison(results)
            typer.echo(f"\n{page}")
    return _judge(given, scenario.duration_s, results, stopping)


def _compare_defences(given: Given, what: list[str] | None) -> int:
    from simulator.commands.defences import compare_defences  # noqa: PLC0415  not for --help
    from simulator.defences import base_scenario  # noqa: PLC0415

    if what:
        raise UsageFailure("compare --defences has customers and faults of its own: it takes no scenario.")
    base = _as_said(given, base_scenario())
    return asyncio.run(_interruptible(lambda stopping: compare_defences(given, base, _options, stopping)))


def _judge(given: Given, duration_s: float, results: Sequence["RunResult"], stopping: asyncio.Event) -> int:
    """0 when each guarantee showed what it promises; else say what is missing."""
    from simulator.promises import kills_to_expect, missing  # noqa: PLC0415  not for --help

    code = 0
    for result in results:
        kills = kills_to_expect(duration_s)
        for reason in missing(result.guarantee, result.report, result.summary["faults"], kills):
            typer.echo(f"{result.guarantee}: {reason}", err=True)
            is_broken = result.guarantee == Guarantee.EXACTLY_ONCE and result.report.verdict.value == "invalid"
            code = 1 if is_broken or code == 1 else 3
    if stopping.is_set() and code != 1:
        return EXIT_INTERRUPTED
    if code == 0 and not given.json:
        with reader_may_leave():
            typer.echo("\nEach guarantee showed what it promises.")
    return code


def _compare_files(given: Given, left: Path, right: Path) -> int:
    from simulator.run import read_result  # noqa: PLC0415  not for --help

    results = []
    for path in (left, right):
        try:
            results.append(read_result(path))
        except OSError as error:
            raise Failure(f"{path} cannot be read: {error.strerror}.", exit_code=2) from None
        except (KeyError, TypeError, ValueError) as error:
            raise Failure(f"{path} is not the report.json of a finished run ({error}).", exit_code=2) from None
    folders = [left.parent, right.parent]
    whole = all((folder / "history.jsonl").is_file() for folder in folders)
    page = _comparison_page(given.dir / "compare", folders) if whole else None
    with reader_may_leave():
        if given.json:
            typer.echo(json.dumps([result.summary for result in results]))
        else:
            _print_comparison(results)
            if page is not None:
                typer.echo(f"\n{page}")
    # The worst of both: anomalies, then unknown, then a crossed threshold.
    return max((_exit_code(result) for result in results), key=lambda code: (code == 1, code == 3, code))


def _comparison_page(folder: Path, runs: Sequence[Path]) -> Path:
    from simulator.report.rendering import render_comparison  # noqa: PLC0415  not for --help

    return render_comparison(folder, runs)


def _print_result(result: "RunResult") -> None:
    from rich.console import Console  # noqa: PLC0415  not for --help

    from simulator.report.run_stats import RunStats  # noqa: PLC0415
    from simulator.report.terminal import render  # noqa: PLC0415
    from simulator.workload.summary import doubts  # noqa: PLC0415

    Console().print(render(result.report, RunStats.from_summary(result.summary)), crop=False)
    for sentence in doubts(result.summary["load"]):
        typer.echo(sentence)
    for judged in result.summary.get("thresholds", ()):
        seen = "nothing to measure" if judged["value"] is None else f"{judged['value']:g}"
        typer.echo(f"{'held   ' if judged['held'] else 'crossed'}  {judged['threshold']}  ({seen})")


def _print_comparison(results: Sequence["RunResult"]) -> None:
    from rich.console import Console  # noqa: PLC0415  not for --help

    from simulator.report.run_stats import RunStats  # noqa: PLC0415
    from simulator.report.terminal import render_comparison  # noqa: PLC0415

    if len(results) == 1:
        _print_result(results[0])
    elif results:
        runs = [(result.report, RunStats.from_summary(result.summary)) for result in results]
        Console().print(render_comparison(*runs))
