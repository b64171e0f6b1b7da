"""The order of the runs: A B C, A B C, A B C, so that a minute in which the machine is slow is nobody's alone.

In:      cells (a setting, a subject, how one run of it is made), how many rounds.
Out:     the runs' records, in Measured.
Errors:  none: a run that fails is told in Measured.failed, and its subject is left out of the rounds to come.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from simulator.bench.measured import Measured
from simulator.bench.subjects import SubjectFailed

Stage = Callable[[str], None]


@dataclass(frozen=True)
class Cell:
    """One thing to measure again and again; `run` is told the round and gives one record for each setting."""

    setting: str
    subject: str
    run: Callable[[int], Awaitable[list[dict[str, Any]]]]


class Teller:
    """What is under way, how far, how fast; a moving line where somebody watches."""

    def __init__(self, say: Stage, *, is_watched: bool) -> None:
        self._say = say
        self._is_watched = is_watched
        self._stage = ""
        self._began = 0.0

    def stage(self, sentence: str) -> None:
        self._stage, self._began = sentence, time.monotonic()
        self._say(sentence)

    def detail(self, sentence: str) -> None:
        if self._is_watched:
            self._say(f"{self._stage}: {sentence}")

    def live(self, answered: int, of: int) -> None:
        if self._is_watched:
            self._say(f"{self._stage}: {answered:,} of {of:,}")


async def interleave(cells: Sequence[Cell], repeat: int, measured: Measured, tell: Teller) -> None:
    out: set[tuple[str, str]] = set()
    for number in range(1, repeat + 1):
        for cell in cells:
            if (cell.setting, cell.subject) in out:
                continue
            tell.stage(f"round {number} of {repeat}, {cell.setting}: {cell.subject}")
            try:
                measured.runs += await cell.run(number)
            except SubjectFailed as failure:
                out.add((cell.setting, cell.subject))
                measured.failed.append(
                    {"setting": cell.setting, "subject": cell.subject, "round": number, "why": str(failure)}
                )
