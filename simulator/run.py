"""One run: customers pay, vandals break things, everything settles, and the log is audited.

In:      RunOptions; where progress is told; a request to stop.
Out:     DIR/history.jsonl, DIR/latency.hlog, DIR/report.json and what is rendered from them (report.html, …); a
         RunResult.
Units:   seconds in fields ending _s; instants in Unix milliseconds.
Errors:  Failure, one sentence, when the run cannot take place. What goes wrong in it is the audit's to judge.
Source:  CONTRACT, `payonce simulate`.
"""

import asyncio
import json
import shlex
import shutil
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from rich.console import RenderableType

from events.guarantees import Guarantee
from events.options import duration_ms
from simulator.audit.report import Report
from simulator.audit_run import audit_namespace
from simulator.circumstances import command_line, machine, versions
from simulator.failure import Failure, UsageFailure
from simulator.faults.base import Scene
from simulator.faults.fitting import fitting, left_out, needs_kafka_link, refuse_without_heirs, refuse_without_own_kafka
from simulator.faults.plan import plan_strikes
from simulator.faults.vandals import Vandals
from simulator.foreign_processor import wait_for_foreign
from simulator.history import HistoryWriter
from simulator.load_backlog import Backlog
from simulator.load_ways import (
    customers_of,
    load_order,
    loses_bytes,
    lossy_proxies,
    straight,
    without_missed_faults,
)
from simulator.log_watch import LogWatch
from simulator.place import Place, own_place, target_place
from simulator.report.finished import DUPLICATES, write_duplicates
from simulator.report.history_tail import HistoryTail
from simulator.report.live import Live
from simulator.report.rendering import RENDERED, render_folder
from simulator.scenario.models import Scenario
from simulator.scenario.thresholds import judge
from simulator.settle import SETTLE_S, settle
from simulator.stack_files import is_stack_running
from simulator.stack_options import StackOptions, cautions
from simulator.workload import latency_log
from simulator.workload.load import Door, now_ms
from simulator.workload.order import Customers
from simulator.workload.summary import fault_summary, load_summary

LIVE_EVERY_S = 0.5
TELL_EVERY_S_ELSEWHERE = 5.0  # where every sentence stays


class Narrator(Protocol):
    def progress(self, sentence: str, view: RenderableType | None = None) -> None:
        """What passes; a terminal shows the view if there is one."""

    def line(self, sentence: str) -> None:
        """What stays."""


@dataclass(frozen=True)
class RunOptions:
    stack: StackOptions
    seed: int
    scenario: Scenario
    target: Path | None = None
    load_processes: int = 1

    @property
    def dir(self) -> Path:
        return self.stack.dir


@dataclass(frozen=True)
class RunResult:
    """What is left of a run; `summary` is report.json."""

    report: Report
    summary: dict[str, Any] = field(repr=False)
    interrupted: bool

    @property
    def guarantee(self) -> str:
        return str(self.summary["run"]["guarantee"])

    @property
    def crossed(self) -> list[str]:
        """The thresholds that did not hold."""
        return [judged["threshold"] for judged in self.summary.get("thresholds", ()) if not judged["held"]]


class Loosed(NamedTuple):
    """What came of letting customers, and vandals, loose: parts of report.json, and files yet to be merged."""

    customers: Sequence[Customers]
    load: dict[str, Any]
    faults: dict[str, Any]
    more: Mapping[str, Any] = {}


class UnderWay(NamedTuple):
    """A run whose stack stands, and whose history has begun."""

    options: RunOptions
    place: Place
    log: LogWatch
    history: HistoryWriter
    tell: Narrator
    stopping: asyncio.Event


LetLoose = Callable[[UnderWay], Awaitable[Loosed]]  # returns when nobody is there any more


async def run_once(
    options: RunOptions, tell: Narrator, stopping: asyncio.Event, let_loose: LetLoose | None = None
) -> RunResult:
    """Everything from the first process started to report.json written; `stopping` ends the load early.

    `let_loose` is what happens on the stack; the scenario's customers and vandals when absent.
    """
    let_loose = let_loose or _let_loose
    options = replace(options, scenario=without_missed_faults(options.scenario, tell.line))
    options.dir.mkdir(parents=True, exist_ok=True)
    history_path, report_path = options.dir / "history.jsonl", options.dir / "report.json"
    rendered = (options.dir / name for name in (DUPLICATES, *RENDERED))
    for old in (history_path, report_path, options.dir / latency_log.FILE, *rendered):
        old.unlink(missing_ok=True)
    for sentence in cautions(options.stack) if options.target is None else ():
        tell.line(sentence)
    began = time.monotonic()
    async with AsyncExitStack() as opened:
        place = await _unless(stopping, opened.enter_async_context(_place(options, tell)))
        for sentence in left_out(options.scenario.faults, place.guarantee):
            tell.line(sentence)
        log = await opened.enter_async_context(LogWatch(place.connection, place.namespace))
        if place.foreign_processor:
            tell.progress("waiting for the processor to join its group")
            await wait_for_foreign(log, options.stack)
        ready = time.monotonic()
        run = _run_line(options, place, log)
        with HistoryWriter(history_path) as history:
            history.write(run)
            loosed = await let_loose(UnderWay(options, place, log, history, tell, stopping))
        for customers in loosed.customers:
            await asyncio.to_thread(customers.merge, history_path)
        door = Door.at("gateway 0", place.gateway_urls[0])
        unsettled = await settle(log, door, place.api_keys, tell.progress)
        for reason in unsettled:
            tell.line(reason)
        tell.progress("auditing the log")
        settled = time.monotonic()
        report = await audit_namespace(
            place.connection,
            place.namespace,
            guarantee=place.guarantee,
            history=history_path,
            ledger_url=place.ledger_url,
            progress=tell.progress if sys.stderr.isatty() else lambda _: None,
        )
        audited = time.monotonic()
    summary = {
        "schema": 1,
        "run": {name: value for name, value in run.items() if name != "kind"},
        "load": loosed.load,
        "faults": loosed.faults,
        **loosed.more,
        "unsettled": unsettled,
        "interrupted": stopping.is_set(),
        "took_s": {
            "start": round(ready - began, 1),
            "load_and_settle": round(settled - ready, 1),
            "audit": round(audited - settled, 1),
        },
        "audit": report.to_json(),
    }
    summary["thresholds"] = [judged.to_json() for judged in judge(options.scenario.judged, summary)]
    report_path.write_text(json.dumps(summary, indent=2) + "\n")
    write_duplicates(options.dir / DUPLICATES, report.repeats)
    await asyncio.to_thread(render_folder, options.dir, tell.progress)
    return RunResult(report, summary, stopping.is_set())


def _ago_ms(moment: float) -> int:
    """Since an instant of the monotonic clock."""
    return round((time.monotonic() - moment) * 1_000.0)


async def _unless(stopping: asyncio.Event, starting: Coroutine[Any, Any, Place]) -> Place:
    """Whatever starts, unless somebody asks to stop before it has."""
    start, stop = asyncio.create_task(starting), asyncio.create_task(stopping.wait())
    await asyncio.wait({start, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if not start.done():
        start.cancel()
        await asyncio.gather(start, return_exceptions=True)
        raise Failure("Interrupted before the run began.", exit_code=130)
    return start.result()


def read_result(path: Path) -> RunResult:
    """A finished run from its report.json; raises OSError, KeyError, TypeError or ValueError where it is
    none.
    """
    summary = json.loads(path.read_text())
    return RunResult(Report.from_json(summary["audit"]), summary, bool(summary["interrupted"]))


@asynccontextmanager
async def _place(options: RunOptions, tell: Narrator) -> AsyncIterator[Place]:
    """The target, or a stack whose directory begins empty: an earlier run's log is none of this run's
    business.
    """
    mark = f"{int(time.time()):x}"
    faults = options.scenario.faults
    if options.target is not None:
        refuse_without_own_kafka(faults, "--target")
        async with target_place(options.target, options.stack.kafka_security, mark) as place:
            yield place
        return
    directory = options.dir / "stack"
    if is_stack_running(directory):
        raise UsageFailure(f"Another simulation runs in {options.dir}; choose another --dir.")
    shutil.rmtree(directory, ignore_errors=True)
    stack = replace(options.stack, dir=directory)
    if stack.kafka not in ("embedded", "docker"):
        refuse_without_own_kafka(faults, f"--kafka {stack.kafka}")
        stack = replace(stack, namespace=f"{stack.namespace}-{mark}")  # a cluster outlives the run
    refuse_without_heirs(faults, stack.processors)
    kafka_link = needs_kafka_link(faults, Guarantee(stack.guarantee))
    async with own_place(stack, tell.progress, lambda _: None, kafka_link=kafka_link) as place:
        yield place


def _run_line(options: RunOptions, place: Place, log: LogWatch) -> dict[str, Any]:
    return {
        "kind": "run",
        "seed": options.seed,
        "guarantee": place.guarantee.value,
        "namespace": place.namespace,
        "scenario": options.scenario.name,
        "scenario_file": options.scenario.plain(),
        "rate_per_s": options.scenario.load.highest_rate,
        "duration_s": options.scenario.duration_s,
        "faults": list(dict.fromkeys(fault.name for fault in fitting(options.scenario.faults, place.guarantee))),
        "key_ttl_ms": duration_ms(options.stack.key_ttl),
        "partitions": len(log.partitions),
        "processor": shlex.join(options.stack.processor) or None,
        "processors": len(place.processes.running("processor")),
        "gateways": len(place.gateway_urls),
        "command": command_line(),
        "versions": versions(options.stack.kafka),
        "machine": machine(),
        "started_at": now_ms(),
    }


async def _let_loose(run: UnderWay) -> Loosed:
    """Customers, through lossy proxies where bytes are to be lost, vandals beside them; both have gone at the end."""
    options, place, log, history, tell, stopping = run
    scenario = options.scenario
    strikes = plan_strikes(options.seed, scenario.duration_s, fitting(scenario.faults, place.guarantee))
    async with AsyncExitStack() as opened:
        proxies = await opened.enter_async_context(lossy_proxies(place.gateway_urls)) if loses_bytes(scenario) else []
        doors = [(proxy.name, proxy.url) for proxy in proxies] or straight(place.gateway_urls)
        order = load_order(options.seed, scenario.load, place, doors, len(log.partitions))
        customers = await opened.enter_async_context(customers_of(order, options.load_processes, history, options.dir))
        await customers.prepare()
        backlog = await opened.enter_async_context(Backlog(log))
        scene = Scene(
            place.guarantee,
            place.processes,
            proxies,
            log,
            tell.line,
            foreign_processor=place.foreign_processor,
            kafka=place.kafka_proxy,
        )
        vandals = Vandals(options.seed, scene, history.write)
        coming = asyncio.create_task(customers.run())
        coming.add_done_callback(lambda _: scene.quiet.set())
        breaking = asyncio.create_task(vandals.run(strikes))
        stop = asyncio.create_task(stopping.wait())
        over = asyncio.get_running_loop().call_later(scenario.duration_s, backlog.arrivals_over)
        telling = asyncio.create_task(_tell_progress(options, place.guarantee, tell))
        try:
            await _first_end(coming, breaking, stop)
        finally:
            over.cancel()
            backlog.arrivals_over()
            for task in (coming, breaking, stop, telling):
                task.cancel()
            await asyncio.gather(coming, breaking, stop, telling, return_exceptions=True)
        await backlog.drain(SETTLE_S)
    began_at = now_ms() - _ago_ms(customers.tally.began)
    load = load_summary(customers.tally) | {"began_at": began_at, "backlog": backlog.to_json()}
    return Loosed([customers], load, fault_summary(vandals.injected, vandals.bitten))


async def _first_end(customers: asyncio.Task[None], breaking: asyncio.Task[None], stop: asyncio.Task[Any]) -> None:
    """Until customers and vandals are both done, or somebody asks to stop; whatever failed is raised."""
    both = asyncio.gather(customers, breaking)
    both.add_done_callback(lambda done: done.cancelled() or done.exception())  # after a stop nobody else asks for it
    await asyncio.wait({both, stop}, return_when=asyncio.FIRST_COMPLETED)
    if both.done():
        both.result()


async def _tell_progress(options: RunOptions, guarantee: str, tell: Narrator) -> None:
    """What the history says so far, again and again; read in small pieces, since the customers are served beside it."""
    title = f"{options.scenario.name}, seed {options.seed}"
    live, tail = Live(guarantee, title, options.scenario.duration_s, now_ms()), HistoryTail(options.dir)
    every_s = LIVE_EVERY_S if sys.stderr.isatty() else TELL_EVERY_S_ELSEWHERE
    told_at = 0.0
    while True:
        await asyncio.to_thread(live.see_all, tail)
        if time.monotonic() - told_at >= every_s:
            tell.progress(live.sentence(now_ms()), live.panel(now_ms()))
            told_at = time.monotonic()
        await asyncio.sleep(LIVE_EVERY_S)
