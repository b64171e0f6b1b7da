"""A witness as a timeline that can be drawn: who did what, how long after, with the faults in between.

In:      a `Witness` of the audit and the folded history.
Out:     `Story`: rows in order, each with its lane; text is what the auditor said, cut into what and where.
Units:   milliseconds since the story's first row.
Errors:  none: a line of another form is a row of its own words.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from events.money import CURRENCIES
from simulator.audit.report import Anomaly, Witness
from simulator.money_text import money_text
from simulator.report.finished import Finished
from simulator.report.triggers import AFTERMATH_MS, RESET_MS
from simulator.report.wording import amounts, hit_words, spaced, trigger_words

LANES: Final = ("customer", "commands", "charges", "replies")
DAY_MS: Final = 86_400_000
LONG_PAUSE_MS: Final = 500

_BIT: Final = re.compile(r"(\w+) bit( ×\d+)?(?:: (.*))?", re.DOTALL)
_OF_INTENT: Final = re.compile(r"\bintent ([^,]+)")
_LINE: Final = re.compile(r"(\d\d):(\d\d):(\d\d)\.(\d{3})  (.*)", re.DOTALL)
_PLACE: Final = re.compile(r"(commands|charges|replies|keys|dead-letters) (\d+@\d+): (.*)", re.DOTALL)
_CUSTOMER: Final = re.compile(r"customer (\S+?)( \([^)]*\))?: (.*)", re.DOTALL)
_MONEY: Final = re.compile(r"\b(\d{1,15}) ([a-z]{3})\b")
_COMMAND: Final = re.compile(r"(\S+) ([0-9a-f-]{36})( under key .*)?", re.DOTALL)
_TAIL: Final = re.compile(r"(.*?)\s*\((evt_\w+), command ([^)]*)\)", re.DOTALL)


@dataclass(frozen=True)
class Row:
    """`lane` is where it happened, `mark` is `again` for the execution too many, `fault` for a vandal's doing."""

    after_ms: int | None
    lane: str
    what: str
    where: str = ""
    mark: str = ""
    pause_ms: int = 0  # since the row before, where it was long


@dataclass(frozen=True)
class Story:
    subject: str
    summary: str
    cause: str
    money: str
    trigger: str
    rows: tuple[Row, ...]


def stories(finished: Finished, anomaly: Anomaly) -> list[Story]:
    return [_story(finished, witness) for witness in anomaly.witnesses]


def _story(finished: Finished, witness: Witness) -> Story:
    day = finished.told.began_at - finished.told.began_at % DAY_MS
    moments = [_moment(line, day, finished.told.began_at) for line in witness.timeline]
    moments = [one for one in moments if not _of_another(one[1], witness.subject)]
    known = [at for at, _ in moments if at is not None]
    if known:
        own: list[tuple[int | None, str]] = list(_faults(finished, witness, min(known), max(known)))
        said_already = {(at, said.split(":")[0].removeprefix("fault ")) for at, said in own}
        moments = [one for one in moments if (one[0], one[1].split(" ")[0]) not in said_already] + own
    again = _again(witness)
    first = min(known, default=0)
    # What has no instant stays where it was told.
    ordered, last = [], first
    for at, said in moments:
        last = at if at is not None else last
        ordered.append((last, at, said))
    ordered.sort(key=lambda one: one[0])
    rows = tuple(_rows(ordered, first, again))
    return Story(
        witness.subject,
        _with_money(witness.summary),
        spaced(witness.cause or ""),
        amounts(witness.money, ""),
        _trigger(finished, witness),
        rows,
    )


def _rows(ordered: Iterable[tuple[int, int | None, str]], first: int, again: str) -> Iterator[Row]:
    before: int | None = None
    for _, at, said in ordered:
        lane, what, where = _split(said)
        mark = "fault" if lane == "fault" else "again" if again and f"{lane} {where} ".startswith(again) else ""
        pause = at - before if at is not None and before is not None else 0
        yield Row(None if at is None else at - first, lane, what, where, mark, pause if pause >= LONG_PAUSE_MS else 0)
        before = at if at is not None else before


def _moment(line: str, day: int, began_at: int) -> tuple[int | None, str]:
    match = _LINE.fullmatch(line)
    if match is None:
        return None, line.removeprefix("--:--:--.---").strip()
    hours, minutes, seconds, ms = (int(match[group]) for group in range(1, 5))
    at = day + ((hours * 60 + minutes) * 60 + seconds) * 1_000 + ms
    return at + (DAY_MS if at < began_at - DAY_MS // 2 else 0), match[5]


def _split(said: str) -> tuple[str, str, str]:
    """Lane, what, where."""
    if said.startswith("fault "):
        fault, _, detail = said.removeprefix("fault ").partition(":")
        return "fault", f"{spaced(fault)}:{detail}", ""
    if match := _PLACE.fullmatch(said):
        what, where = match[3], match[2]
        if tail := _TAIL.fullmatch(what):
            what, where = tail[1], f"{where} · {tail[2]} · command {tail[3]}"
        elif command := _COMMAND.fullmatch(what):
            what, where = command[1], f"{where} · command {command[2]}{command[3] or ''}"
        return match[1], _with_money(what), where
    if match := _CUSTOMER.fullmatch(said):
        return "customer", _with_money(match[3]), (match[2] or "").strip(" ()")
    if match := _BIT.fullmatch(said):
        return "fault", f"{spaced(match[1])}{match[2] or ''}: {hit_words(match[3] or '')}", ""
    return "note", said, ""


def _of_another(said: str, subject: str) -> bool:
    """Whether a fault's line names the operation that it hit, and that is not this story's."""
    named = _OF_INTENT.search(said) if _BIT.fullmatch(said) else None
    return named is not None and named[1] != subject


def _with_money(text: str) -> str:
    """`500 eur` as `5.00 EUR`."""

    def said(match: re.Match[str]) -> str:
        return money_text(int(match[1]), match[2]) if match[2] in CURRENCIES else match[0]

    return _MONEY.sub(said, text)


def _again(witness: Witness) -> str:
    """The record that should not be there: the last execution that the witness points to."""
    charges = [place for place in witness.places if place.topic == "charges"]
    return f"charges {charges[-1].partition}@{charges[-1].offset} " if witness.cause and charges else ""


def _trigger(finished: Finished, witness: Witness) -> str:
    for place in witness.places[::-1]:
        for repeat in finished.repeats:
            if (place.topic, place.partition, place.offset) == ("charges", repeat.partition, repeat.offset):
                return trigger_words(finished.triggers.of_repeat(repeat))
    return ""


def _faults(finished: Finished, witness: Witness, first: int, last: int) -> Iterator[tuple[int, str]]:
    """What the vandals wrote down of this story: losses on its own requests, else whatever disturbed the system."""
    operation = finished.told.operations.get(witness.subject)
    redelivered = witness.cause in ("crash_redelivery", "rewind")
    for strike in finished.told.strikes:
        for at, detail in strike.hits:
            if "intent" in detail:
                if detail["intent"] == witness.subject and first - RESET_MS <= at <= last + AFTERMATH_MS:
                    yield at, f"fault {strike.fault}: {hit_words(detail)}"
            elif "gateway" in detail:
                ends = [one for one in operation.tries if one.end == "info"] if operation else []
                if any(one.gateway == detail["gateway"] and _near(at, one.at, one.ended_at) for one in ends):
                    yield at, f"fault {strike.fault}: {hit_words(detail)}"
            elif redelivered and first <= at <= last + AFTERMATH_MS and strike.began_at <= last:
                yield at, f"fault {strike.fault}: {hit_words(detail)}"


def _near(at: int, sent_at: int, ended_at: int | None) -> bool:
    return ended_at is not None and (abs(at - ended_at) <= RESET_MS or 0 <= at - sent_at <= RESET_MS)
