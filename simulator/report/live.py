"""A run while it runs: how fast, how slow, what was answered, which faults are on. What nobody can know yet is said.

In:      every line of the history (`see`), as `HistoryTail` finds it on file; the instant of asking.
Out:     `sentence` for plain lines, `panel` for a terminal.
Units:   Unix milliseconds; RECENT_MS is how far back rates and latencies look.
Source:  the same lines that report.html is counted from, so that a figure seen in passing can be found again there.
         Bounded: at most RECENT_MAX latencies and instants are kept, the rest are counts.
"""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from simulator.report.history_tail import HistoryTail
from simulator.report.series import percentile
from simulator.report.wording import OUTCOMES, duration, spaced

RECENT_MS: Final = 5_000
RECENT_MAX: Final = 100_000
STYLES: Final = {"done": "green", "replayed": "blue", "refused": "dim", "failed": "yellow", "unknown": "red"}


@dataclass
class Live:
    """One run's load, seen from its history."""

    guarantee: str
    title: str
    duration_s: float
    began_at: int
    intents: int = 0
    answered: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    hits: Counter[str] = field(default_factory=Counter)
    _on: Counter[str] = field(default_factory=Counter)
    _planned: dict[str, int] = field(default_factory=dict)  # intents that wait for their first answer
    _sent: deque[int] = field(default_factory=lambda: deque(maxlen=RECENT_MAX))
    _settled: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=RECENT_MAX))  # (at, latency)

    def see_all(self, tail: HistoryTail) -> None:
        """What has been written since the last time."""
        for line in tail.new_lines():
            self.see(line)

    def see(self, line: Mapping[str, Any]) -> None:
        match line["kind"]:
            case "intent":
                self.intents += 1
                self._planned[line["intent"]] = line.get("planned_at", line["at"])
            case "invoke":
                self._sent.append(line["at"])
            case "ok" | "fail" | "info":
                self._end(line)
            case "fault":
                self._fault(line)

    def _end(self, line: Mapping[str, Any]) -> None:
        status = line.get("status")
        if line["kind"] != "ok" or status is None or status >= 500:
            self.outcomes["failed" if line["kind"] == "fail" else "unknown"] += 1
            return
        self.outcomes["replayed" if line.get("replayed") else "done" if status < 400 else "refused"] += 1
        if not line.get("come_back"):
            planned_at = self._planned.pop(line["intent"], None)
            if planned_at is not None:
                self.answered += 1
                self._settled.append((line["at"], max(0, line["at"] - planned_at)))

    def _fault(self, line: Mapping[str, Any]) -> None:
        if line["phase"] == "hit":
            self.hits[line["fault"]] += 1
        else:
            self._on[line["fault"]] += 1 if line["phase"] == "begin" else -1

    @property
    def on(self) -> list[str]:
        """Faults that are on now."""
        return sorted(name for name, count in self._on.items() if count > 0)

    def rates(self, now_ms: int) -> tuple[float, float]:
        """Requests sent and operations answered per second, lately."""
        self._forget(now_ms - RECENT_MS)
        span_s = max(0.001, min(RECENT_MS, now_ms - self.began_at) / 1_000.0)
        return len(self._sent) / span_s, len(self._settled) / span_s

    def latencies(self, now_ms: int) -> tuple[int, int] | None:
        """p50 and p99 of the operations answered lately; None where there were none."""
        self._forget(now_ms - RECENT_MS)
        recent = sorted(latency for _, latency in self._settled)
        return (percentile(recent, 50), percentile(recent, 99)) if recent else None

    def _forget(self, before_ms: int) -> None:
        while self._sent and self._sent[0] < before_ms:
            self._sent.popleft()
        while self._settled and self._settled[0][0] < before_ms:
            self._settled.popleft()

    def sentence(self, now_ms: int) -> str:
        """All of it in one line, for where every line stays."""
        sent, answered = self.rates(now_ms)
        lately = self.latencies(now_ms)
        parts = [
            f"{self.guarantee}: {self._elapsed_s(now_ms):.0f} of {self.duration_s:.0f} s",
            f"{self.answered} of {self.intents} operations answered",
            f"{sent:.0f} requests/s, {answered:.0f} answers/s",
        ]
        if lately:
            parts.append(f"p50 {duration(lately[0])}, p99 {duration(lately[1])} lately")
        if self.on:
            parts.append(f"on: {', '.join(self.on)}")
        if self.hits:
            parts.append(", ".join(f"{name} ×{count}" for name, count in sorted(self.hits.items())))
        return "; ".join(parts)

    def panel(self, now_ms: int) -> RenderableType:
        """A few rows that are drawn over again and again."""
        sent, answered = self.rates(now_ms)
        lately = self.latencies(now_ms)
        rows = Table.grid(padding=(0, 2))
        rows.add_column(style="dim")
        rows.add_column()
        rows.add_row(
            "operations",
            f"{self.intents:,} meant, {self.answered:,} answered, {self.intents - self.answered:,} waiting",
        )
        rows.add_row("a second", f"{sent:,.0f} requests sent, {answered:,.0f} operations answered")
        waited = f"p50 {duration(lately[0])}   p99 {duration(lately[1])}" if lately else "nothing was answered lately"
        rows.add_row("latency", waited)
        rows.add_row("requests", self._outcomes())
        rows.add_row("faults on", Text(", ".join(map(spaced, self.on)) or "none", style="yellow" if self.on else "dim"))
        rows.add_row("hits", Text(", ".join(f"{spaced(n)} {c:,}" for n, c in sorted(self.hits.items())) or "none yet"))
        rows.add_row("duplicates", Text("not known before the audit has read the log", style="dim"))
        elapsed_s = self._elapsed_s(now_ms)
        head = Table.grid(padding=(0, 2))
        head.add_row(
            Text(self.guarantee, style="bold"),
            Text(self.title),
            f"{elapsed_s:.0f} of {self.duration_s:.0f} s",
            ProgressBar(total=max(self.duration_s, 0.001), completed=elapsed_s, width=24),
        )
        return Group(head, rows)

    def _outcomes(self) -> Text:
        text = Text()
        for name, words in OUTCOMES.items():
            if self.outcomes[name]:
                text.append(f"{words} {self.outcomes[name]:,}   ", style=STYLES[name])
        return text

    def _elapsed_s(self, now_ms: int) -> float:
        return min(self.duration_s, max(0, now_ms - self.began_at) / 1_000.0)
