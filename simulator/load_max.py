"""`payonce simulate --find-max 'p99<100ms'`: the highest rate at which a threshold holds, on one running stack.

In:      a run under way; a threshold of latency, throughput or a share.
Out:     a load for `run_once`: one step after the other, each reported; `find_max` in report.json.
Units:   purchases per second; seconds.
Errors:  UsageFailure for a threshold that only the audit at the end can judge.

A step has customers at one rate, all of them careful (one who hangs up on purpose would measure himself), and no
faults. It holds when the threshold does, the load generator kept up, nobody was dropped, and the processors had
nothing left soon after the last arrival: a rate at which they fall behind is no rate, however good the p99 so far.
"""

import asyncio
import shutil
from collections.abc import Mapping
from typing import Any, Final

from simulator.failure import UsageFailure
from simulator.load_backlog import Backlog
from simulator.load_ways import customers_of, load_order, straight
from simulator.run import Loosed, UnderWay
from simulator.scenario.models import Load, Stage
from simulator.scenario.thresholds import Threshold, judge, parse_threshold
from simulator.workload.order import Customers
from simulator.workload.search import Answer, search
from simulator.workload.summary import load_summary

FOLDER: Final = "find-max"  # each step's latency.hlog
STEP_S: Final = 8.0
WARM_UP_SHARE: Final = 0.25  # of a step; the one before has left its mark on caches and batches
DRAIN_S_MAX: Final = 2.0  # a step whose backlog takes longer was too fast for the processors
DRAIN_S_WAIT: Final = 60.0  # before the next step begins
NOT_KEPT_UP: Final = "the load generator did not keep up"
ALL_ALIKE: Final = {"careful": 1}


def read_threshold(text: str) -> Threshold:
    """What a step can be judged by; raises UsageFailure."""
    try:
        threshold = parse_threshold(text)
    except ValueError as error:
        raise UsageFailure(f"--find-max: {error}.") from None
    if threshold.kind == "count":
        raise UsageFailure(f"--find-max: {threshold.metric} is counted by the audit at the end, not at each rate.")
    return threshold


class FindMax:
    """Given to `run_once` as what is let loose."""

    def __init__(self, threshold: Threshold, step_s: float = STEP_S) -> None:
        self._threshold = threshold
        self._step_s = step_s
        self._steps: list[dict[str, Any]] = []
        self._best: dict[str, Any] = {}  # the load of the newest step that held
        self._last: dict[str, Any] = {}
        self._customers: list[Customers] = []

    async def __call__(self, run: UnderWay) -> Loosed:
        options, tell, stopping = run.options, run.tell, run.stopping
        await asyncio.to_thread(shutil.rmtree, options.dir / FOLDER, ignore_errors=True)  # an earlier search's
        tell.line(f"the highest rate at which {self._threshold.text} holds; steps of {self._step_s:g} s")
        trying = search(options.scenario.load.highest_rate)
        answer = Answer(None, None, confirmed=False)
        rate = next(trying)
        while not stopping.is_set():
            held = await self._step(rate, run)
            try:
                rate = trying.send(held)
            except StopIteration as over:
                answer = over.value
                break
        told = self._tell(answer)
        if stopping.is_set():
            told["says"] = f"Interrupted after {len(self._steps)} steps, before there was an answer."
        tell.line(told["says"])
        return Loosed(self._customers, self._best or self._last, {}, {"find_max": told})

    async def _step(self, rate: float, run: UnderWay) -> bool:
        options, place, log, history, tell, stopping = run
        number = len(self._steps) + 1
        tell.progress(f"step {number}: {rate:.1f} purchases/s")
        order = load_order(
            options.seed, self._load(options.scenario.load, rate), place, straight(place.gateway_urls),
            len(log.partitions), salt=f"{place.salt}{number:02d}-",
        )  # fmt: skip
        directory = options.dir / FOLDER / f"step-{number:02d}"
        await asyncio.to_thread(directory.mkdir, parents=True)
        made = customers_of(order, options.load_processes, history, directory)
        self._customers.append(made)
        async with made as customers, Backlog(log) as backlog:
            await customers.prepare()
            over = asyncio.get_running_loop().call_later(self._step_s, backlog.arrivals_over)
            await _unless_stopped(customers, stopping)
            over.cancel()
            backlog.arrivals_over()
            await backlog.drain(0.0 if stopping.is_set() else DRAIN_S_WAIT)
        load = load_summary(customers.tally) | {"backlog": backlog.to_json()}
        self._last = load
        if stopping.is_set():
            return False
        step = self._judge(number, rate, load)
        self._steps.append(step)
        if step["held"]:
            self._best = load
        tell.line(_line(step, self._threshold))
        return bool(step["held"])

    def _load(self, load: Load, rate: float) -> Load:
        stage = Stage.model_validate({"for": f"{self._step_s * 1_000:.0f}ms", "rate": rate})
        warm_up = self._step_s * WARM_UP_SHARE
        return load.model_copy(update={"stages": (stage,), "warm_up": warm_up, "personas": ALL_ALIKE})

    def _judge(self, number: int, rate: float, load: Mapping[str, Any]) -> dict[str, Any]:
        (judged,) = judge((self._threshold,), {"load": load})
        drained_s = load["backlog"]["drained_s"]
        why = [] if judged.held else [f"{self._threshold.text} did not hold"]
        if not load["generator"]["kept_up"]:
            why.append(NOT_KEPT_UP)
        if load["purchases_dropped"]:
            why.append(f"{load['purchases_dropped']} customers were dropped")
        if drained_s is None or drained_s > DRAIN_S_MAX:
            why.append(f"the backlog took {'too long' if drained_s is None else f'{drained_s:.1f} s'} to drain")
        return {
            "step": number,
            "rate_per_s": round(rate, 2),
            "held": not why,
            "why": why,
            "value": judged.value,
            "requests_per_s": round(load["attempts"] / self._step_s, 1),
            "latency_ms": load["latency_ms"],
            "backlog": load["backlog"],
            "generator": load["generator"],
        }

    def _tell(self, answer: Answer) -> dict[str, Any]:
        rate = None if answer.rate is None else round(answer.rate, 2)
        values = [step["value"] for step in self._steps if step["rate_per_s"] == rate and step["held"]]
        fails_at = None if answer.fails_at is None else round(answer.fails_at, 2)
        limits = [step["why"] for step in self._steps if not step["held"] and step["rate_per_s"] == fails_at]
        return {
            "threshold": self._threshold.text,
            "rate_per_s": rate,
            "fails_at_per_s": fails_at,
            "confirmed": answer.confirmed,
            "values": values,
            "steps": self._steps,
            "says": _said(self._threshold, answer, values, limits),
        }


def _said(threshold: Threshold, answer: Answer, values: list[float], limits: list[list[str]]) -> str:
    if answer.rate is None:
        return f"No rate was found at which {threshold.text} holds."
    between = f"{min(values):.4g} to {max(values):.4g} in {len(values)} steps"
    said = f"{threshold.text} holds up to {answer.rate:.1f} purchases/s ({threshold.metric} was {between})"
    said += "; no rate failed." if answer.fails_at is None else f", and not at {answer.fails_at:.1f}."
    if not answer.confirmed:
        said += " The steps were used up before it held often enough to be sure."
    if limits and all(why == [NOT_KEPT_UP] for why in limits):
        said += " It was the load generator that did not keep up beyond: the system may do more."
    return said


def _line(step: Mapping[str, Any], threshold: Threshold) -> str:
    value = "nothing measured" if step["value"] is None else f"{step['value']:.4g}"
    verdict = "held" if step["held"] else f"did not hold: {'; '.join(step['why'])}"
    return (
        f"step {step['step']}: {step['rate_per_s']:g} purchases/s, {step['requests_per_s']:g} requests/s, "
        f"{threshold.metric} {value}: {verdict}"
    )


async def _unless_stopped(customers: Customers, stopping: asyncio.Event) -> None:
    coming, stop = asyncio.create_task(customers.run()), asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({coming, stop}, return_when=asyncio.FIRST_COMPLETED)
        if coming.done():
            coming.result()
    finally:
        coming.cancel()
        stop.cancel()
        await asyncio.gather(coming, stop, return_exceptions=True)
