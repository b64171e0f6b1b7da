"""How a report says things: names of causes, faults and outcomes, money, instants, counts.

In:      names as report.json and history.jsonl have them, integers.
Out:     text for people. What is not known by name is said as it is written.
Units:   money in minor units per currency; durations in milliseconds.
"""

import inspect
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

from simulator.faults import BY_NAME
from simulator.money_text import money_text
from simulator.report.triggers import HABITS

NBSP: Final = "\u00a0"  # a number and its unit stay on one line
CAUSES: Final = {
    "client_retry": "a customer asked again, and the retry was executed too",
    "new_key": "a client asked again under a new key, and each key was honoured",
    "network_duplicate": "the network delivered one request twice, and both were executed",
    "crash_redelivery": "a process died in mid-work, and its command ran again",
    "duplicate_command": "a command stood on the log more than once, and ran again",
    "rewind": "offsets were moved back, and an old command ran again",
}
# The names of colours in report.css; report.js has the same for its plots.
CAUSE_COLOURS: Final = {
    "client_retry": "accent",
    "new_key": "quiet",
    "network_duplicate": "ink",
    "crash_redelivery": "bad",
    "duplicate_command": "good",
    "rewind": "warn",
}
STORIES: Final = {
    "at_once": "answered at once",
    "after_asking_again": "answered after asking again",
    "refused": "refused",
    "no_answer": "never answered",
}
OUTCOMES: Final = {
    "done": "done",
    "replayed": "replayed",
    "refused": "refused",
    "failed": "not sent",
    "unknown": "outcome unknown",
}
ANOMALIES: Final = {
    "duplicate_charge": "what a customer meant to do once was executed again",
    "lost_charge": "an answer promises a charge that the log does not have",
    "phantom_charge": "a charge that nobody asked for",
    "answer_mismatch": "the answer is not the one that the log calls for",
    "torn_transaction": "a part of one execution is missing",
    "key_conflict_accepted": "one key was accepted for two different requests",
    "late_reexecution": "a command ran again after its time",
    "unanswered": "a command was never answered",
    "ledger_drift": "the ledger's books are not those of the log",
    "ledger_imbalance": "an entry of the ledger does not add up to zero",
}


CAUSES_SHORT: Final = {
    "client_retry": "customers' retries",
    "new_key": "new keys of clients",
    "network_duplicate": "copies that the network delivered",
    "crash_redelivery": "redelivery after a crash",
    "duplicate_command": "copies on the log",
    "rewind": "rewound offsets",
}


def spaced(name: str) -> str:
    """`kill_processor` as words."""
    return name.replace("_", " ")


@cache
def fault_words(name: str) -> str:
    """What a fault does, in the first words of its own file; its name where there is no such fault any more."""
    fault = BY_NAME.get(name)
    told = inspect.getdoc(inspect.getmodule(fault)) if fault else None
    if told is None:
        return spaced(name)
    first = re.split(r"[:;.,\n]", told)[0]
    return first[:1].lower() + first[1:]


_NOISE: Final = re.compile(
    r"(?:^|, )(?:(?:passed|sent|answered)[ _]at \d+|idempotency[ _]key [^,]*|intent [^,]*|replayed False)"
)


def hit_words(detail: Mapping[str, Any] | str) -> str:
    """What a fault wrote down of one hit, without what only a machine can use: instants, keys."""
    told = detail if isinstance(detail, str) else ", ".join(f"{spaced(str(key))} {x}" for key, x in detail.items())
    return _NOISE.sub("", told).removeprefix(", ").replace("gateway gateway ", "gateway ")


def unbroken(text: str) -> str:
    """Amounts keep their currency on the same line."""
    return re.sub(r"(?<=\d) (?=[A-Z]{3}\b)", NBSP, text)


def trigger_words(name: str) -> str:
    """Why somebody asked again: a fault or a habit."""
    return HABITS.get(name) or fault_words(name)


def amounts(money: Mapping[str, int], nothing: str = "nothing") -> str:
    """`1.00 EUR, 5 JPY and 2.00 USD`."""
    return listed([money_text(amount, name) for name, amount in sorted(money.items()) if amount]) or nothing


def listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def counted(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def duration(ms: float | None) -> str:
    """`12 ms`, `3.4 s`, `2 min 5 s`."""
    if ms is None:
        return "–"
    if ms < 10:
        return f"{ms:.1f}".removesuffix(".0") + f"{NBSP}ms"
    if ms < 1_000:
        return f"{ms:.0f}{NBSP}ms"
    if ms < 60_000:
        return f"{ms / 1_000:.1f}{NBSP}s"
    minutes, seconds = divmod(round(ms / 1_000), 60)
    return f"{minutes}{NBSP}min {seconds}{NBSP}s"


def clock(seconds: float) -> str:
    """Since the start of the run: `0:07.5`, `1:12:00`."""
    minutes, rest = divmod(max(0.0, seconds), 60)
    hours, minutes = divmod(int(minutes), 60)
    text = f"{rest:04.1f}".removesuffix(".0")
    return f"{hours}:{minutes:02d}:{text}" if hours else f"{minutes}:{text}"


def instant(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def share(part: float, whole: float) -> str:
    if not whole:
        return "–"
    percent = 100.0 * part / whole
    return f"{percent:.1f}{NBSP}%" if 0 < percent < 10 or 90 < percent < 100 else f"{percent:.0f}{NBSP}%"
