"""What a measurement leaves behind: KIND.json with every run, KIND.svg, KIND.html, and one page of all kinds.

In:      Measured; a folder.
Out:     the files; README.md of whatever kinds the folder has.
Units:   as the tables say.
Source:  templates/bench.html.j2; README.md is written from the JSON files alone, so that it can be made again.
"""

import json
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup

from simulator.bench.measured import KINDS, Measured, Metric
from simulator.bench.picture import svg
from simulator.bench.spread import in_words
from simulator.bench.subjects import is_ours
from simulator.bench.table import REFERENCE, times, told
from simulator.report.document import render
from simulator.report.wording import instant

SECTIONS: Final = (("picture", "Picture"), ("figures", "Figures"), ("about", "About"), ("runs", "Every run"))
RUN_COLUMNS_LEFT_OUT: Final = ("curve", "statuses")


def save(measured: Measured, folder: Path) -> Path:
    """The page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    name = measured.kind.name
    (folder / f"{name}.json").write_text(_json(measured), encoding="utf-8")
    (folder / f"{name}.svg").write_text(svg(measured), encoding="utf-8")
    page = folder / f"{name}.html"
    page.write_text(html(measured), encoding="utf-8")
    (folder / "README.md").write_text(readme(folder), encoding="utf-8")
    return page


def _json(measured: Measured) -> str:
    """Indented, but a run's curve on one line each: whoever reads a difference wants to see figures."""
    whole = measured.to_json()
    runs = ",\n".join(json.dumps(run) for run in whole.pop("runs"))
    return json.dumps(whole, indent=1)[:-2] + f',\n "runs": [\n{runs}\n]\n}}\n'


def html(measured: Measured) -> str:
    return render(
        "bench.html.j2",
        {},
        drawn_by=(),
        sections=SECTIONS,
        sources=f"{measured.kind.name}.json",
        title=measured.kind.title,
        started=instant(measured.began_at),
        headline=headline(measured),
        lede=measured.kind.title + ", side by side, interleaved, on one broker.",
        picture=Markup(svg(measured)),  # noqa: S704  made by a template of ours, which escapes
        tables=[_table(measured, setting) for setting in _settings(measured)],
        told=told(measured),
        command=measured.options["command"],
        runs=_runs(measured),
    )


def headline(measured: Measured) -> str:
    """Our strongest guarantee beside the best peer that does the work, or its own figure."""
    metric = measured.kind.metrics[0]
    rows = measured.rows()
    setting = rows[0].setting if rows else ""
    here = {row.subject: row.figures[metric.name] for row in rows if row.setting == setting}
    mine = here.get(REFERENCE)
    if mine is None:
        return f"{measured.kind.title}: {setting}"
    first = f"Exactly-once, {setting}: {_figure(mine.median, metric)}"
    idle = measured.limits()
    peers = {name: spread for name, spread in here.items() if spread and not is_ours(name) and name not in idle}
    if not peers:
        return f"{first}."
    best = sorted(peers, key=lambda name: peers[name].median, reverse=metric.higher_is_better)[0]
    times = measured.ratio_of(setting, REFERENCE, best, metric.name)
    return (
        f"{first}; the best peer, {best}: {_figure(peers[best].median, metric)}. Ours by theirs: {in_words(times, 2)}."
    )


def _figure(value: float, metric: Metric) -> str:
    figure = f"{value:,.{metric.digits}f}"
    return f"{figure} {metric.title}" if metric.unit == "/s" else f"{metric.title} {figure} {metric.unit}"


def _settings(measured: Measured) -> list[str]:
    return list(dict.fromkeys(row.setting for row in measured.rows()))


def _table(measured: Measured, setting: str) -> dict[str, Any]:
    rows = [row for row in measured.rows() if row.setting == setting]
    metrics = [metric for metric in measured.kind.metrics if any(row.figures[metric.name] for row in rows)]
    head = ["commands", *[f"{metric.title}, {metric.unit}" for metric in metrics], "exactly-once by it"]
    cells = [
        [
            row.subject,
            f"{row.commands:,}",
            *[in_words(row.figures[metric.name], metric.digits) for metric in metrics],
            times(measured, setting, row.subject, measured.kind.metrics[0].name),
        ]
        for row in rows
    ]
    return {"setting": setting, "head": head, "rows": cells}


def _runs(measured: Measured) -> dict[str, Any]:
    head = list(dict.fromkeys(name for run in measured.runs for name in run if name not in RUN_COLUMNS_LEFT_OUT))
    return {"head": head, "rows": [[_cell(run.get(name)) for name in head] for run in measured.runs]}


def _cell(value: Any) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else "–" if value is None else str(value)


def readme(folder: Path) -> str:
    """Every kind that was measured, its picture and its tables."""
    parts = ["# Measured with `payonce bench`", "", "Written by `payonce bench --save`; not edited by hand.", ""]
    for name in KINDS:
        path = folder / f"{name}.json"
        if path.is_file():
            parts += _section(path)
    return "\n".join(parts)


def _section(path: Path) -> list[str]:
    """Of one kind; a file that another version left is said to be one."""
    try:
        measured = Measured.from_json(json.loads(path.read_text(encoding="utf-8")))
        sentences = told(measured)
    except (KeyError, TypeError, ValueError):
        return [f"`{path.name}` is of another version; measure it again.", ""]
    title = measured.kind.title
    parts = [f"## {title}", "", f"`{measured.options['command']}`, {instant(measured.began_at)}", ""]
    parts += [f"![{title}]({measured.kind.name}.svg)", ""]
    for setting in _settings(measured):
        table = _table(measured, setting)
        parts += [
            f"### {setting}",
            "",
            f"| | {' | '.join(table['head'])} |",
            "| --- |" + " ---: |" * len(table["head"]),
        ]
        parts += [f"| {' | '.join(row)} |" for row in table["rows"]]
        parts.append("")
    return [*parts, *[f"- {sentence}" for sentence in sentences], "", f"Every run: [{path.name}]({path.name}).", ""]
