"""What each kind of measurement runs, and how much of it.

In:      a World, subjects, the command's options.
Out:     the runs, in Measured.
Units:   commands; commands a second; seconds.
Errors:  Failure, one sentence, when the cluster fails; a subject's own failure is told in Measured.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from simulator.bench.measured import Measured
from simulator.bench.paced import run_paced
from simulator.bench.probe import Stretch
from simulator.bench.schedule import Cell, Teller, interleave
from simulator.bench.subjects import Subject, SubjectFailed
from simulator.bench.throughput import run_preloaded
from simulator.bench.topics import Feed, feed
from simulator.bench.world import World
from simulator.workload.prepared import prepared_commands

TRIAL: Final = 20_000  # commands, uncounted: the broker's JIT compiles, and slow subjects are found out
RUN_AT_MOST_S: Final = 60.0  # who would take longer is given fewer commands
ROUND_TO: Final = 1_000
MANY_PARTITIONS: Final = 64
RATES: Final = (50.0, 500.0, 2_000.0)
PACE: Final = 2_000.0
WARM_S: Final = 2.0
PROCESSES: Final = (2, 4)


@dataclass(frozen=True)
class Options:
    """What the command line says of the runs."""

    commands: int
    partitions: int
    merchants: int
    seed: int
    repeat: int
    seconds: float  # counted, of each rate of a paced run


class Feeds:
    """Batches made once for all runs that read them."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._made: dict[tuple[int, int, int], Feed] = {}

    def of(self, commands: int, partitions: int, merchants: int) -> Feed:
        key = (commands, partitions, merchants)
        if key not in self._made:
            self._made[key] = feed(prepared_commands(self._seed, commands, merchants), partitions)
        return self._made[key]


class Preloaded:
    """One run of preloaded commands as a cell's `run`."""

    def __init__(self, world: World, feeds: Feeds, tell: Teller, options: Options) -> None:
        self._world, self._feeds, self._tell, self._options = world, feeds, tell, options

    async def run(
        self,
        subject: Subject,
        number: int,
        *,
        setting: str,
        commands: int | None = None,
        partitions: int | None = None,
        merchants: int | None = None,
        processes: int = 1,
    ) -> list[dict[str, Any]]:
        options = self._options
        partitions = partitions or options.partitions
        what = self._feeds.of(commands or options.commands, partitions, merchants or options.merchants)
        place = self._world.place(partitions)
        try:
            run = await run_preloaded(
                subject,
                number,
                what,
                self._world.kafka,
                place,
                processes,
                live=lambda answered: self._tell.live(answered, len(what.command_ids)),
            )
        finally:
            self._world.clear(place)
        return [{"setting": setting, **run.to_json()}]


def setting_of(partitions: int) -> str:
    return f"{partitions} partitions" if partitions > 1 else "1 partition"


async def throughput(
    world: World, subjects: Sequence[Subject], options: Options, measured: Measured, tell: Teller
) -> None:
    """Everybody's rate; who is slow is given fewer commands, as many as its trial says that it does in a minute."""
    preloaded = Preloaded(world, Feeds(options.seed), tell, options)
    setting = setting_of(options.partitions)
    cells = []
    for subject in subjects:
        commands = options.commands
        if commands > TRIAL:
            tell.stage(f"trial of {TRIAL:,} commands, not counted: {subject.name}")
            try:
                (trial,) = await preloaded.run(subject, 0, setting=setting, commands=TRIAL)
            except SubjectFailed as failure:
                measured.failed.append({"setting": setting, "subject": subject.name, "round": 0, "why": str(failure)})
                continue
            measured.trials.append(trial)
            commands = given(options.commands, trial["steady_per_s"])
        cells.append(Cell(setting, subject.name, _run(preloaded, subject, setting=setting, commands=commands)))
    await interleave(cells, options.repeat, measured, tell)


def given(commands: int, per_s: float) -> int:
    """How many commands a subject of this speed is given."""
    whole = round(per_s * RUN_AT_MOST_S / ROUND_TO) * ROUND_TO
    return min(commands, max(TRIAL, whole))


def _run(preloaded: Preloaded, subject: Subject, **how: Any) -> Any:
    async def run(number: int) -> list[dict[str, Any]]:
        return await preloaded.run(subject, number, **how)

    return run


class PacedRuns:
    """One run of paced commands, several rates one after another, as a cell's `run`."""

    def __init__(self, world: World, tell: Teller, options: Options) -> None:
        self._world, self._tell, self._options = world, tell, options

    async def run(
        self, subject: Subject, number: int, *, partitions: int, rates: Sequence[float], processes: int = 1
    ) -> list[dict[str, Any]]:
        options = self._options
        place = self._world.place(partitions)
        try:
            runs = await run_paced(
                subject,
                number,
                self._world.kafka,
                place,
                [Stretch(rate, WARM_S, options.seconds) for rate in rates],
                merchants=options.merchants,
                seed=options.seed,
                processes=processes,
                live=self._tell.detail,
            )
        finally:
            self._world.clear(place)
        return [{"setting": paced_setting(run.rate, partitions), **run.to_json()} for run in runs]

    def cell(self, subject: Subject, partitions: int, rates: Sequence[float]) -> Cell:
        async def run(number: int) -> list[dict[str, Any]]:
            return await self.run(subject, number, partitions=partitions, rates=rates)

        said = " ".join(f"{rate:,.0f}/s" for rate in rates)
        return Cell(f"{said}, {setting_of(partitions)}", subject.name, run)


def paced_setting(rate: float, partitions: int) -> str:
    return f"{rate:,.0f} commands a second, {setting_of(partitions)}"


async def latency(
    world: World, subjects: Sequence[Subject], options: Options, measured: Measured, tell: Teller
) -> None:
    """Three rates on the usual number of partitions, the highest on many."""
    paced = PacedRuns(world, tell, options)
    cells = [paced.cell(subject, options.partitions, RATES) for subject in subjects]
    cells += [paced.cell(subject, MANY_PARTITIONS, RATES[-1:]) for subject in subjects]
    await interleave(cells, options.repeat, measured, tell)


async def growth(world: World, subjects: Sequence[Subject], options: Options, measured: Measured, tell: Teller) -> None:
    """More partitions, more processes, one merchant only: what each of them costs a command."""
    preloaded, paced = Preloaded(world, Feeds(options.seed), tell, options), PacedRuns(world, tell, options)
    cells = []
    for partitions in (options.partitions, MANY_PARTITIONS):
        for subject in subjects:
            setting = f"preloaded, {setting_of(partitions)}"
            cells.append(Cell(setting, subject.name, _run(preloaded, subject, setting=setting, partitions=partitions)))
        cells += [paced.cell(subject, partitions, [PACE]) for subject in subjects]
    for processes in PROCESSES:
        for subject in subjects:
            setting = f"preloaded, {setting_of(options.partitions)}, {processes} processes"
            cells.append(Cell(setting, subject.name, _run(preloaded, subject, setting=setting, processes=processes)))
    for subject in subjects:
        setting = f"preloaded, {setting_of(options.partitions)}, one merchant's commands only"
        cells.append(Cell(setting, subject.name, _run(preloaded, subject, setting=setting, merchants=1)))
    await interleave(cells, options.repeat, measured, tell)


async def smoke(world: World, subjects: Sequence[Subject], options: Options, measured: Measured, tell: Teller) -> None:
    """Everybody on few partitions, the first of them on many too; short, for a machine that is never quiet."""
    preloaded = Preloaded(world, Feeds(options.seed), tell, options)
    setting, many = setting_of(options.partitions), setting_of(MANY_PARTITIONS)
    tell.stage("warming the broker up, not counted")
    await preloaded.run(subjects[0], 0, setting=setting)
    cells = [Cell(setting, subject.name, _run(preloaded, subject, setting=setting)) for subject in subjects]
    cells.append(Cell(many, subjects[0].name, _run(preloaded, subjects[0], setting=many, partitions=MANY_PARTITIONS)))
    await interleave(cells, options.repeat, measured, tell)
