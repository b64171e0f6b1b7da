"""`payonce simulate`, `compare` and `demo`: let customers and vandals loose, and print the audit.

Out:     DIR/report.json and DIR/history.jsonl (compare and demo: one folder for each guarantee); tables on
         stdout.
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
from simulator.commands.options import LOAD, STACK, Given, takes
from simulator.commands.up import stack_options
from simulator.failure import Failure, UsageFailure

if TYPE_CHECKING:
    from simulator.run import RunOptions, RunResult

EXIT_INTERRUPTED: Final = 130
EXIT_CODES: Final = {"valid": 0, "invalid": 1, "unknown": 3}
SCENARIOS: Final = ("checkout",)
DEMO: Final = (Guarantee.AT_LEAST_ONCE, Guarantee.EXACTLY_ONCE)
UNDER_EACH: Final = tuple(name for name in STACK if name != "guarantee")  # these runs differ in nothing else
TWO: Final = {"processors": "2", "gateways": "2"}

Scenario = Annotated[str, typer.Argument(metavar="[SCENARIO]", help="What customers do: checkout.")]
Target = Annotated[
    Path | None, typer.Option(metavar="STACK.JSON", help="Run against this running stack instead of an own one.")
]


@takes(*STACK, *LOAD, "json", **TWO)
def simulate(given: Given, scenario: Scenario = "checkout", target: Target = None) -> int:
    """Run one simulation on a stack of its own, audit the log, and report the verdict.

    Example: payonce simulate --seed 7 --duration 10s --guarantee at-least-once
    """
    _known(scenario)
    return asyncio.run(_interruptible(lambda stopping: _simulate(given, target, stopping)))


@takes(*UNDER_EACH, *LOAD, "json", **TWO)
def compare(
    given: Given,
    what: Annotated[
        list[str] | None, typer.Argument(metavar="[SCENARIO] | A.json B.json", help="A scenario, or two finished runs.")
    ] = None,
) -> int:
    """Run the same customers and faults under each guarantee, or put two finished runs side by side.

    Example: payonce compare --seed 7 --duration 15s
    Example: payonce compare one/report.json other/report.json
    """
    named = what or ["checkout"]
    if len(named) == 2:
        return _compare_files(given, Path(named[0]), Path(named[1]))
    if len(named) > 2:
        raise UsageFailure("compare takes a scenario, or the report.json of two runs.")
    _known(named[0])
    return asyncio.run(_interruptible(lambda stopping: _side_by_side(given, "compare", tuple(Guarantee), stopping)))


@takes(*UNDER_EACH, *LOAD, "json", **TWO)
def demo(given: Given) -> int:
    """Run the same customers and faults under at-least-once and under exactly-once, side by side.

    Example: payonce demo --seed 3
    """
    return asyncio.run(_interruptible(lambda stopping: _side_by_side(given, "demo", DEMO, stopping)))


def _known(scenario: str) -> None:
    if scenario not in SCENARIOS:
        raise UsageFailure(f"There is no scenario {scenario!r}; there is {', '.join(SCENARIOS)}.")


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


def _options(given: Given, directory: Path, guarantee: str, target: Path | None = None) -> "RunOptions":
    from simulator.run import RunOptions  # noqa: PLC0415  not for --help

    stack = replace(stack_options(given), dir=directory, guarantee=guarantee)
    return RunOptions(stack, given.seed, given.rate, given.duration_s, target)


async def _simulate(given: Given, target: Path | None, stopping: asyncio.Event) -> int:
    from simulator.run import run_once  # noqa: PLC0415  not for --help

    with Teller() as tell:
        result = await run_once(_options(given, given.dir, given.guarantee, target), tell, stopping)
    with reader_may_leave():
        if given.json:
            typer.echo(json.dumps(result.summary))
        else:
            _print_result(result)
            typer.echo(f"\n{given.dir / 'report.json'}  {given.dir / 'history.jsonl'}")
    return _exit_code(result)


def _exit_code(result: "RunResult") -> int:
    code = EXIT_CODES[result.report.verdict.value]
    return EXIT_INTERRUPTED if result.interrupted and code != 1 else code


async def _side_by_side(given: Given, folder: str, guarantees: Sequence[Guarantee], stopping: asyncio.Event) -> int:
    """One run after the other, each in a folder of its own; what was finished is compared, also when
    interrupted.
    """
    from simulator.run import run_once  # noqa: PLC0415  not for --help

    results: list[RunResult] = []
    with Teller() as tell:
        for guarantee in guarantees:
            if stopping.is_set():
                break
            tell.line(f"== {guarantee}: seed {given.seed}, {given.rate:g} purchases/s for {given.duration_s:g} s")
            options = _options(given, given.dir / folder / guarantee, guarantee)
            try:
                results.append(await run_once(options, tell, stopping))
            except Failure as failure:
                if failure.exit_code != EXIT_INTERRUPTED or not results:
                    raise
                tell.line(str(failure))  # what was finished before is worth its table
                break
            tell.line(f"   verdict: {results[-1].report.verdict.value}")
    with reader_may_leave():
        if given.json:
            typer.echo(json.dumps([result.summary for result in results]))
        else:
            _print_comparison(results)
    return _judge(given, results, stopping)


def _judge(given: Given, results: Sequence["RunResult"], stopping: asyncio.Event) -> int:
    """0 when each guarantee showed what it promises; else say what is missing."""
    from simulator.promises import kills_to_expect, missing  # noqa: PLC0415  not for --help

    code = 0
    for result in results:
        kills = kills_to_expect(given.duration_s)
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
    with reader_may_leave():
        if given.json:
            typer.echo(json.dumps([result.summary for result in results]))
        else:
            _print_comparison(results)
    return max((_exit_code(result) for result in results), key=lambda code: (code == 1, code == 3, code))


def _print_result(result: "RunResult") -> None:
    from rich.console import Console  # noqa: PLC0415  not for --help

    from simulator.report.run_stats import RunStats  # noqa: PLC0415
    from simulator.report.terminal import render  # noqa: PLC0415

    Console().print(render(result.report, RunStats.from_summary(result.summary)))


def _print_comparison(results: Sequence["RunResult"]) -> None:
    from rich.console import Console  # noqa: PLC0415  not for --help

    from simulator.report.run_stats import RunStats  # noqa: PLC0415
    from simulator.report.terminal import render_comparison  # noqa: PLC0415

    if len(results) == 1:
        _print_result(results[0])
    elif results:
        runs = [(result.report, RunStats.from_summary(result.summary)) for result in results]
        Console().print(render_comparison(*runs))
