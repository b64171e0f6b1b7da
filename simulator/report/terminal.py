"""An audit, and several of them side by side, on a terminal.

In:      Report, and RunStats where a run was timed.
Out:     rich renderables: `console.print(render(report), crop=False)`; nothing is printed here.
Units:   money as people write it, per currency; latencies in milliseconds.
"""

from collections.abc import Callable, Mapping
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from simulator.audit.report import Anomaly, Report, Verdict
from simulator.money_text import money_text
from simulator.report.run_stats import RunStats

COLOURS: Final = {Verdict.VALID: "bold green", Verdict.UNKNOWN: "bold yellow", Verdict.INVALID: "bold red"}
CAUSES: Final = {
    "client_retry": "client retry",
    "crash_redelivery": "crash redelivery",
    "rewind": "rewind",
}
MORE_CAUSES: Final = {  # shown where they were found
    "new_key": "new key",
    "network_duplicate": "network",
    "duplicate_command": "copy on the log",
}
WITNESSES: Final = 1  # told in full for each anomaly; report.json has the others

Cell = Callable[[Report, RunStats], str]


def render(report: Report, stats: RunStats | None = None) -> RenderableType:
    """Verdict, what was counted, what was found, and the smallest witness of each anomaly."""
    parts: list[RenderableType] = [_headline(report)]
    parts += [Text(f"  unknown: {reason}", style="yellow") for reason in report.unknown]
    parts += [Text(), _numbers(report, stats or RunStats())]
    if report.anomalies:
        parts += [Text(), _anomalies(report)]
        for anomaly in report.anomalies:
            parts += _witnesses(anomaly)
        if report.reproduce:
            # Whole, however narrow the terminal: somebody copies it into a shell. Print with crop=False.
            parts.append(Text(f"\nonce more: {report.reproduce}", style="dim", no_wrap=True, overflow="ignore"))
    return Group(*parts)


def render_comparison(*runs: tuple[Report, RunStats], title: str | None = None) -> RenderableType:
    """The same customers and faults under each guarantee, each run in its column."""
    table = Table(title=title, title_justify="left", show_edge=False, pad_edge=False)
    table.add_column("")
    for report, _ in runs:
        table.add_column(report.guarantee, justify="right")
    for name, cell in _rows(*runs).items():
        table.add_row(name, *(cell(*run) for run in runs))
    table.add_section()
    table.add_row(
        Text("verdict", style="bold"),
        *(Text(report.verdict.value, style=COLOURS[report.verdict]) for report, _ in runs),
    )
    return table


def money(amounts: Mapping[str, int]) -> str:
    """`12.00 EUR, 300 JPY`; a dash for none."""
    return ", ".join(money_text(amount, name) for name, amount in sorted(amounts.items()) if amount) or "–"


def _headline(report: Report) -> Text:
    line = Text("verdict: ")
    line.append(report.verdict.value, style=COLOURS[report.verdict])
    line.append(f"  ({report.namespace}, judged as {report.guarantee}; {len(report.checks)} checks ran")
    line.append("" if report.with_history else ", without a history")
    line.append(")" if report.with_ledger else ", without the ledger)")
    if report.money_at_stake:
        line.append(f"\nmoney at stake: {money(report.money_at_stake)}", style="bold")
    return line


def _rows(*runs: tuple[Report, RunStats]) -> dict[str, Cell]:
    """The rows in the order people ask: what was wanted, what happened, what went wrong, what it cost."""
    rows: dict[str, Cell] = {
        "payment intents": lambda report, _: f"{report.counts.payment_intents:,}",
        "charges": lambda report, _: f"{report.counts.charges:,}",
    }
    found = {cause for report, _ in runs for cause, count in report.counts.duplicates.items() if count}
    for cause, name in (CAUSES | {cause: name for cause, name in MORE_CAUSES.items() if cause in found}).items():
        rows[f"duplicates: {name}"] = _duplicates(cause)
    rows |= {
        "lost": lambda report, _: f"{report.counts.lost:,}",
        "wrong answers": lambda report, _: f"{report.counts.wrong_answers:,}",
    }
    currencies = sorted({name for report, _ in runs for name in report.counts.overcharged})
    for currency in currencies or [""]:
        rows[f"overcharged {currency.upper()}".rstrip()] = _overcharged(currency)
    rows |= {
        "throughput /s": lambda _, stats: _number(stats.throughput_per_s),
        "p50 ms": lambda _, stats: _number(stats.p50_ms),
        "p99 ms": lambda _, stats: _number(stats.p99_ms),
    }
    for fault in sorted({name for _, stats in runs for name in stats.faults}):
        rows[f"hits: {fault.replace('_', ' ')}"] = _hits(fault)
    return rows


def _duplicates(cause: str) -> Cell:
    return lambda report, _: f"{report.counts.duplicates.get(cause, 0):,}"


def _overcharged(currency: str) -> Cell:
    if not currency:
        return lambda _, __: "0"
    return lambda report, _: money_text(report.counts.overcharged.get(currency, 0), currency)


def _hits(fault: str) -> Cell:
    return lambda _, stats: f"{stats.faults.get(fault, 0):,}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.1f}"


def _numbers(report: Report, stats: RunStats) -> Table:
    counts = report.counts
    table = Table(show_header=False, show_edge=False, pad_edge=False, box=None)
    table.add_column(style="dim")
    table.add_column(justify="right")
    table.add_row("intents", f"{counts.intents:,}")
    for name, cell in _rows((report, stats)).items():
        text = cell(report, stats)
        if text != "–":
            table.add_row(name, text)
    table.add_row("commands", f"{counts.commands:,}")
    for kind, number in counts.events.items():
        table.add_row(f"  {kind}", f"{number:,}")
    table.add_row("replies", f"{counts.replies:,}")
    if counts.dead_letters:
        table.add_row("dead letters", f"{counts.dead_letters:,}")
    if counts.aborted_records:
        table.add_row("aborted records", f"{sum(counts.aborted_records.values()):,}")
    if counts.left_unknown:
        table.add_row("customers left without an answer", f"{counts.left_unknown:,}")
    for name, amounts in (("held twice", counts.overheld), ("refunded twice", counts.overrefunded)):
        if amounts:
            table.add_row(name, money(amounts))
    return table


def _anomalies(report: Report) -> Table:
    table = Table(show_edge=False, pad_edge=False)
    for name, justify in (("anomaly", "left"), ("cause", "left"), ("count", "right"), ("money", "right")):
        table.add_column(name, justify="right" if justify == "right" else "left")
    for anomaly in report.anomalies:
        cause = (CAUSES | MORE_CAUSES).get(anomaly.cause or "", anomaly.cause or "")
        table.add_row(Text(anomaly.name, style="red"), cause, f"{anomaly.count:,}", money(anomaly.money))
    return table


def _witnesses(anomaly: Anomaly) -> list[RenderableType]:
    parts: list[RenderableType] = []
    for witness in anomaly.witnesses[:WITNESSES]:
        title = Text(f"\n{anomaly.name}", style="red")
        title.append(f"  {witness.subject}: {witness.summary}", style="not red")
        parts.append(title)
        parts += [Text(f"  {line}") for line in witness.timeline]
    return parts
