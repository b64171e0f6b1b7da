"""Runs the checks over a part of the log that hangs together, and adds parts up.

In:      Evidence, the ledger's Books or None, and the checks.
Out:     `Part`: cases, witnesses and numbers of all checks; bounded, however many cases there are.
Errors:  none: a check that crashes is a reason for unknown, and the others still run.

Nothing here depends on where one part ends and another begins, as long as everything about one key and one charge
is in the same: so a log of any length can be examined part by part.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from heapq import nsmallest
from operator import itemgetter
from typing import Final, NamedTuple

from simulator.audit.aborted_read import clocks_apart_ms
from simulator.audit.books import Books
from simulator.audit.compared import compare, key_window, waits
from simulator.audit.comparison import Comparison, Waits
from simulator.audit.declared import BEGINNING, CHARGING, HOLDS, TAKES
from simulator.audit.evidence import Evidence
from simulator.audit.finding import Finding
from simulator.audit.key_window import KeyWindow
from simulator.audit.money import add_money
from simulator.audit.registry import Check, LedgerCheck
from simulator.audit.repeats import repeats
from simulator.audit.report import Anomaly, Counts, Repeat, Witness

WITNESSES: Final = 8  # per anomaly and cause: the smallest say the most
UNREADABLE_MAX: Final = 10  # are kept, all are counted
REPEATS_MAX: Final = 100_000

Size = tuple[int, int, int]


@dataclass(slots=True)
class Cases:
    """All cases of one anomaly with one cause."""

    count: int = 0
    money: dict[str, int] = field(default_factory=dict)
    smallest: list[tuple[Size, Witness]] = field(default_factory=list)

    def add(self, other: "Cases") -> None:
        self.count += other.count
        add_money(self.money, other.money)
        self.smallest = nsmallest(WITNESSES, [*self.smallest, *other.smallest], key=itemgetter(0))


class Doubtful(NamedTuple):
    """A finding that is a case unless the clocks are further apart than this part of the log can tell."""

    unless_clocks_apart_ms: int
    name: str
    cause: str | None
    case: Cases
    at_stake: dict[str, int]  # beyond what other findings about the same intent come to


@dataclass(slots=True)
class Part:
    """What was found in a part of the log."""

    cases: dict[tuple[str, str | None], Cases] = field(default_factory=dict)
    ran: set[str] = field(default_factory=set)
    crashed: dict[str, str] = field(default_factory=dict)  # check: of what
    counts: Counts = field(default_factory=Counts)
    at_stake: dict[str, int] = field(default_factory=dict)
    comparison: Comparison = field(default_factory=Comparison)
    waits: Waits = field(default_factory=Waits)
    clocks_apart_ms: int = 0
    doubtful: list[Doubtful] = field(default_factory=list)  # one for a customer who heard an aborted answer, at most
    key_window: KeyWindow = field(default_factory=KeyWindow)
    repeats: tuple[Repeat, ...] = ()  # REPEATS_MAX at most
    unreadable: list[tuple[str, int, int]] = field(default_factory=list)  # topic, partition, offset
    unreadable_count: int = 0

    def add(self, other: "Part") -> None:
        for name, cases in other.cases.items():
            self.cases.setdefault(name, Cases()).add(cases)
        self.ran |= other.ran
        self.crashed = {**other.crashed, **self.crashed}
        self.counts = self.counts + other.counts
        add_money(self.at_stake, other.at_stake)
        self.comparison = self.comparison + other.comparison
        self.waits.add(other.waits)
        self.clocks_apart_ms = max(self.clocks_apart_ms, other.clocks_apart_ms)
        self.doubtful += other.doubtful
        self.key_window = self.key_window + other.key_window
        self.repeats = (*self.repeats, *other.repeats)[:REPEATS_MAX]
        self.unreadable = [*self.unreadable, *other.unreadable][:UNREADABLE_MAX]
        self.unreadable_count += other.unreadable_count

    def settle(self) -> None:
        """Once everything is added up: what was doubtful is a case or none."""
        for doubtful in self.doubtful:
            if self.clocks_apart_ms < doubtful.unless_clocks_apart_ms:
                self.cases.setdefault((doubtful.name, doubtful.cause), Cases()).add(doubtful.case)
                add_money(self.at_stake, doubtful.at_stake)
        self.doubtful = []

    def anomalies(self, order: Iterable[str]) -> Iterable[Anomaly]:
        """Those of these checks, in this order; of one check by cause."""
        for name in order:
            causes = sorted((cause or "", cause) for anomaly, cause in self.cases if anomaly == name)
            for _, cause in causes:
                cases = self.cases[name, cause]
                witnesses = tuple(witness for _, witness in cases.smallest)
                yield Anomaly(name, cause, cases.count, cases.money, witnesses)


def examine(
    evidence: Evidence,
    books: Books | None,
    checks: Mapping[str, Check],
    ledger_checks: Mapping[str, LedgerCheck],
    progress: Callable[[str], None] = lambda _: None,
) -> Part:
    """Every check over the same evidence; a ledger's check comes instead of the one of its name."""
    runs: dict[str, Check] = dict(checks)
    if books is not None:
        runs |= {name: partial(_with_books, check, books) for name, check in ledger_checks.items()}
    part = Part(unreadable=evidence.unreadable[:UNREADABLE_MAX], unreadable_count=len(evidence.unreadable))
    findings: dict[str, list[Finding]] = {}
    for name, check in runs.items():
        progress(name)
        try:
            findings[name] = list(check(evidence))
            part.ran.add(name)
        except Exception as error:  # noqa: BLE001, RUF100  a crashed check is a reason, whatever it crashed of
            part.crashed[name] = f"{type(error).__name__}: {error}"
    doubtful = [
        (name, finding)
        for name, found in findings.items()
        for finding in found
        if finding.unless_clocks_apart_ms is not None
    ]
    for name in {name for name, _ in doubtful}:
        findings[name] = [finding for finding in findings[name] if finding.unless_clocks_apart_ms is None]
    for name, found in findings.items():
        for finding in found:
            cases = part.cases.setdefault((name, finding.cause), Cases())
            cases.count += 1
            add_money(cases.money, finding.money)
        for cause in {finding.cause for finding in found}:
            smallest = nsmallest(WITNESSES, (f for f in found if f.cause == cause), key=lambda finding: finding.size)
            part.cases[name, cause].smallest = [(finding.size, finding.witness(evidence)) for finding in smallest]
    part.counts = _counts(evidence, findings)
    stakes = _stakes(findings)
    for (_, currency), amount in stakes.items():
        add_money(part.at_stake, {currency: amount})
    part.doubtful = [_doubtful(evidence, name, finding, stakes) for name, finding in doubtful]
    part.clocks_apart_ms = clocks_apart_ms(evidence)
    part.comparison = compare(evidence)
    part.waits = waits(evidence)
    part.key_window = key_window(evidence)
    part.repeats = repeats(evidence, findings.get("duplicate_charge", ()))[:REPEATS_MAX]
    return part


def _with_books(check: LedgerCheck, books: Books, evidence: Evidence) -> Iterable[Finding]:
    return check(evidence, books)


def _doubtful(evidence: Evidence, name: str, finding: Finding, stakes: Mapping[tuple[str, str], int]) -> Doubtful:
    assert finding.unless_clocks_apart_ms is not None
    case = Cases(1, dict(finding.money), [(finding.size, finding.witness(evidence))])
    beyond = {
        currency: max(0, amount - stakes.get((finding.intent or finding.subject, currency), 0))
        for currency, amount in finding.money.items()
    }
    return Doubtful(finding.unless_clocks_apart_ms, name, finding.cause, case, beyond)


def _stakes(findings: Mapping[str, list[Finding]]) -> dict[tuple[str, str], int]:
    """Per intent the largest sum of any anomaly: one mishap seen by three checks counts once."""
    stakes: dict[tuple[str, str], int] = {}
    for found in findings.values():
        of_check: dict[tuple[str, str], int] = defaultdict(int)
        for finding in found:
            for currency, amount in finding.money.items():
                of_check[finding.intent or finding.subject, currency] += amount
        for name, amount in of_check.items():
            stakes[name] = max(stakes.get(name, 0), amount)
    return stakes


def _counts(evidence: Evidence, findings: Mapping[str, list[Finding]]) -> Counts:
    clients = evidence.clients
    by_type: dict[str, int] = defaultdict(int)
    for event in evidence.events:
        by_type[event.type] += 1
    causes: dict[str, int] = dict.fromkeys(("client_retry", "crash_redelivery", "rewind"), 0)
    for finding in findings.get("duplicate_charge", ()):
        causes[finding.cause or ""] = causes.get(finding.cause or "", 0) + 1
    if clients is not None:
        intents = [(intent.name, intent.operation) for intent in clients.intents.values()]
    else:
        intents = [(name, commands[0].operation) for name, commands in evidence.commands_of_intent.items()]
    beyond = _beyond_first(findings.get("duplicate_charge", ()))
    return Counts(
        intents=len(intents),
        payment_intents=sum(1 for _, operation in intents if operation in BEGINNING),
        attempts=sum(len(intent.attempts) for intent in clients.intents.values()) if clients else 0,
        commands=len(evidence.commands),
        events=dict(sorted(by_type.items())),
        charges=sum(by_type[name] for name in CHARGING),
        replies=len(evidence.replies),
        dead_letters=len(evidence.dead),
        duplicates=causes,
        lost=len(findings.get("lost_charge", ())),
        wrong_answers=len(findings.get("answer_mismatch", ())),
        overcharged=beyond["taken"],
        overheld=beyond["held"],
        overrefunded=beyond["returned"],
        aborted_records=dict(evidence.discarded_counts),
        left_unknown=sum(
            1 for intent in clients.intents.values() if all(a.end != "ok" for a in intent.attempts.values())
        )
        if clients
        else 0,
    )


def _beyond_first(duplicates: Iterable[Finding]) -> dict[str, dict[str, int]]:
    beyond: dict[str, dict[str, int]] = {"taken": {}, "held": {}, "returned": {}}
    for finding in duplicates:
        again = finding.proof[-1]  # duplicate_charge puts the repeated event last
        kind = getattr(again, "type", "")
        name = "taken" if kind in TAKES else "held" if kind in HOLDS else "returned"
        add_money(beyond[name], finding.money)
    return beyond
