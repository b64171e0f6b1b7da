"""A measurement as one picture: a bar for each subject, a line from the lowest round to the highest.

In:      Measured.
Out:     the text of an SVG, which takes its colours from the reader's light or dark.
Units:   pixels; figures as the panels say.
Source:  templates/bench.svg.j2. Bars begin at zero; every panel has a scale of its own.
"""

from typing import Any, Final

from simulator.bench.measured import Measured, Metric, Row
from simulator.bench.spread import in_words
from simulator.bench.subjects import is_ours
from simulator.report.document import picture

WIDTH: Final = 860
NAMES: Final = 230  # before the bars
FIGURES: Final = 190  # behind them
BARS: Final = WIDTH - NAMES - FIGURES
LINE: Final = 22
SETTING: Final = 26
PANEL: Final = 44
TOP: Final = 14


def svg(measured: Measured) -> str:
    panels, y = [], TOP
    for name in measured.kind.drawn:
        metric = measured.kind.metric(name)
        rows = [row for row in measured.rows() if row.figures[name] is not None]
        if rows:
            panel, y = _panel(metric, rows, measured.limits(), y)
            panels.append(panel)
    return picture("bench.svg.j2", title=measured.kind.title, width=WIDTH, height=y + TOP, names=NAMES, panels=panels)


def _panel(metric: Metric, rows: list[Row], limits: set[str], y: int) -> tuple[dict[str, Any], int]:
    most = max(spread.high for row in rows if (spread := row.figures[metric.name])) or 1.0
    better = "more is better" if metric.higher_is_better else "less is better"
    panel: dict[str, Any] = {"title": f"{metric.title}, {metric.unit} ({better})", "y": y + PANEL / 2, "bars": []}
    panel["settings"] = []
    y += PANEL
    settings = list(dict.fromkeys(row.setting for row in rows))
    for setting in settings:
        panel["settings"].append({"text": setting, "y": y + SETTING / 2})
        y += SETTING
        for row in rows:
            spread = row.figures[metric.name]
            if row.setting != setting or spread is None:
                continue
            panel["bars"].append(
                {
                    "subject": f"{row.subject} (a limit)" if row.subject in limits else row.subject,
                    "kind": "ours" if is_ours(row.subject) else "limit" if row.subject in limits else "peer",
                    "y": y,
                    "width": _x(spread.median, most),
                    "low": NAMES + _x(spread.low, most),
                    "high": NAMES + _x(spread.high, most),
                    "figure": in_words(spread, metric.digits),
                }
            )
            y += LINE
    return panel, y


def _x(value: float, most: float) -> float:
    return round(BARS * value / most, 1)
