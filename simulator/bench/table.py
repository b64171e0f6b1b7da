"""A measurement on a terminal: a table for each setting, and ours beside each peer.

In:      Measured.
Out:     rich renderables.
Units:   as the columns say; a figure is the median of the rounds, and the lowest and highest of them.
"""

from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from simulator.bench.measured import Measured, Row
from simulator.bench.spread import Spread, in_words
from simulator.bench.subjects import OURS, is_ours

REFERENCE: Final = "payonce-exactly-once"


def render(measured: Measured) -> RenderableType:
    rows = measured.rows()
    settings = dict.fromkeys(row.setting for row in rows)
    parts: list[RenderableType] = [
        _setting(measured, setting, [row for row in rows if row.setting == setting]) for setting in settings
    ]
    if any(not is_ours(row.subject) for row in rows):
        parts.append(_beside_peers(measured, rows))
    if "smoke" in measured.notes:
        parts.append(_smoke(measured))
    parts += [Text(sentence) for sentence in told(measured)]
    return Group(*parts)


def told(measured: Measured) -> list[str]:
    """What no table has: how it was measured, who is missing, and why."""
    machine = measured.machine
    where = (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_bytes'] / 2**30:.0f} GiB,"
        f" {machine['kernel']}, Python {machine['python']}, Kafka {machine['kafka']};"
        f" ours with its hot path {'native' if machine['hot_path'] == 'native' else 'in Python'};"
        f" load average at the start {machine['load_average']:.2f}."
    )
    sentences = [where]
    if measured.rounds > 1:
        sentences.append(
            f"Median of {measured.rounds} rounds (lowest … highest); a ratio is taken within a round, its median told."
        )
    sentences += _what_they_did(measured)
    sentences += [f"{one['subject']} failed in round {one['round']}: {one['why']}" for one in measured.failed]
    sentences += measured.left_out
    if measured.interrupted:
        sentences.append("Interrupted: this is what was finished by then.")
    return sentences


def _what_they_did(measured: Measured) -> list[str]:
    """Who is told apart by the answers: who knew the replays, and who does not do the work at all."""
    knew: dict[str, bool] = {}
    idle = measured.limits()
    for run in measured.runs:
        if run["subject"] not in idle and "replays" in run:
            knew[run["subject"]] = knew.get(run["subject"], True) and run["replayed"] == run["replays"]
    sentences = []
    if knew:
        names = [name for name, all_of_them in knew.items() if all_of_them]
        others = [name for name, all_of_them in knew.items() if not all_of_them]
        sentences.append(
            f"Every replay was answered as one by {', '.join(names) or 'nobody'}"
            + (f"; not by {', '.join(others)}." if others else ".")
        )
    if idle:
        sentences.append(f"{', '.join(sorted(idle))}: a limit, which does not do the work.")
    return sentences


def _setting(measured: Measured, setting: str, rows: list[Row]) -> Table:
    """The first figure with its spread below it; of the others the median, so that it fits a terminal."""
    metrics = [metric for metric in measured.kind.metrics if any(row.figures[metric.name] for row in rows)]
    first = measured.kind.metrics[0]
    against = any(row.subject == REFERENCE for row in rows) and len(rows) > 1
    counts = sorted({row.commands for row in rows})
    each = f", {counts[0]:,} commands each" if len(counts) == 1 else ""
    table = Table(title=f"{measured.kind.title}: {setting}{each}", title_justify="left", box=None, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    if not each:
        table.add_column("commands", justify="right", no_wrap=True)
    for metric in metrics:
        table.add_column(
            metric.short if metric.unit == "/s" else f"{metric.short}\n{metric.unit}", justify="right", no_wrap=True
        )
        if metric is first and against:
            table.add_column("exactly-\nonce by it", justify="right", no_wrap=True)
    for row in rows:
        cells = [] if each else [f"{row.commands:,}"]
        for metric in metrics:
            figure = row.figures[metric.name]
            if metric is first:
                cells.append(in_words(figure, metric.digits).replace(" (", "\n").rstrip(")"))
                cells += (
                    [times(measured, setting, row.subject, metric.name).replace(" (", "\n").rstrip(")")]
                    if against
                    else []
                )
            else:
                cells.append(f"{figure.median:,.{metric.digits}f}" if figure else "–")
        table.add_row(row.subject, *cells, style="bold" if row.subject == REFERENCE else "")
    return table


def _beside_peers(measured: Measured, rows: list[Row]) -> Table:
    """A row for each peer in each setting, a column for each of ours."""
    metric = measured.kind.metrics[0]
    table = Table(title=f"Ours by theirs, {metric.title}", title_justify="left", box=None, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    ours = list(dict.fromkeys(row.subject for row in rows if is_ours(row.subject)))
    settings = list(dict.fromkeys(row.setting for row in rows))
    for name in ours:
        table.add_column(name.removeprefix(OURS), justify="right", no_wrap=True)
    for setting in settings:
        if len(settings) > 1:
            table.add_row(setting, style="italic")
        for row in rows:
            if row.setting == setting and not is_ours(row.subject):
                cells = [_times(measured.ratio_of(setting, name, row.subject, metric.name)) for name in ours]
                table.add_row(row.subject, *[cell.replace(" (", "\n").rstrip(")") for cell in cells])
    return table


def _smoke(measured: Measured) -> Table:
    table = Table(title="Ratios held against the baseline", title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("")
    table.add_column("", justify="right")
    for name, spread in measured.notes["smoke"].items():
        table.add_row(name, in_words(Spread(**spread), 2))
    return table


def times(measured: Measured, setting: str, subject: str, metric: str) -> str:
    """What the strongest guarantee of ours comes to, by this subject."""
    if subject == REFERENCE:
        return "–"
    return _times(measured.ratio_of(setting, REFERENCE, subject, metric))


def _times(spread: Spread | None) -> str:
    return in_words(spread, 2).replace(" ", " × ", 1) if spread and spread.rounds > 1 else in_words(spread, 2)
