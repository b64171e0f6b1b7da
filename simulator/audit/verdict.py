"""Runs the checks and puts their findings together; the worst of it is the verdict.

In:      Evidence, the ledger's Books or None, and the checks (all of them, unless a test says otherwise).
Out:     Report: invalid when anything was found; else unknown when anything could not be judged; else valid.
Errors:  none: a check that crashes is a reason for unknown, and the others still run.
Source:  Jepsen merges verdicts the same way. A pass needs everything: a settled, whole, readable log, and
         every planned fault hit.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final

from simulator.audit.books import Books
from simulator.audit.compared import compare, key_window
from simulator.audit.declared import BEGINNING, CHARGING, HOLDS, TAKES
from simulator.audit.evidence import Evidence
from simulator.audit.finding import Finding
from simulator.audit.log import OUTPUTS
from simulator.audit.money import Money, add_money
from simulator.audit.registry import CHECKS, LEDGER_CHECKS, Check, LedgerCheck
from simulator.audit.repeats import repeats
from simulator.audit.report import Anomaly, Counts, Report, Verdict

WITNESSES: Final = 8  # per anomaly and cause: the smallest say the most


def judge(
    evidence: Evidence,
    books: Books | None = None,
    *,
    checks: Mapping[str, Check] = CHECKS,
    ledger_checks: Mapping[str, LedgerCheck] = LEDGER_CHECKS,
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Every check over the same evidence."""
    runs: dict[str, Check] = dict(checks)
    if books is not None:
        runs |= {name: partial(_with_books, check, books) for name, check in ledger_checks.items()}
    unknown = _reasons(evidence)
    ran: list[str] = []
    findings: dict[str, list[Finding]] = {}
    for name, check in runs.items():
        progress(name)
        try:
            findings[name] = list(check(evidence))
            ran.append(name)
        except Exception as error:  # noqa: BLE001, RUF100  a crashed check is a reason, whatever it crashed of
            unknown.append(f"the check {name} crashed: {type(error).__name__}: {error}")
    anomalies = tuple(anomaly for name, found in findings.items() for anomaly in _anomalies(evidence, name, found))
    verdict = Verdict.INVALID if anomalies else Verdict.UNKNOWN if unknown else Verdict.VALID
    clients = evidence.clients
    return Report(
        verdict=verdict,
        guarantee=evidence.guarantee,
        namespace=evidence.namespace,
        counts=_counts(evidence, findings),
        anomalies=anomalies,
        unknown=tuple(unknown),
        checks=tuple(ran),
        money_at_stake=_at_stake(findings),
        fault_hits=dict(clients.fault_hits) if clients else {},
        with_history=clients is not None,
        with_ledger=books is not None,
        repeats=repeats(evidence, findings.get("duplicate_charge", ())),
        comparison=compare(evidence),
        key_window=key_window(evidence),
    )


def _with_books(check: LedgerCheck, books: Books, evidence: Evidence) -> Iterable[Finding]:
    return check(evidence, books)


def _reasons(evidence: Evidence) -> list[str]:
    """Why nothing found would still be no pass."""
    reasons = []
    bounds = evidence.extent.bounds
    for partition in range(evidence.extent.partitions):
        if not evidence.settled[partition]:
            still_open = [
                topic
                for topic in OUTPUTS
                if (topic, partition) in bounds and bounds[topic, partition].stable < bounds[topic, partition].end
            ]
            if still_open:
                reasons.append(f"partition {partition}: a Kafka transaction is open in {', '.join(still_open)}")
            else:
                last = max((c.offset for c in evidence.commands if c.partition == partition), default=-1)
                reasons.append(
                    f"partition {partition}: commands are in flight; the processor is at "
                    f"{evidence.reached(partition)}, the last command at {last}"
                )
        if not evidence.whole[partition]:
            start = max(
                (bound.start, topic) for (topic, p), bound in bounds.items() if p == partition and topic != "keys"
            )
            reasons.append(f"partition {partition}: {start[1]} begins at {start[0]}; what came before cannot be judged")
    if evidence.unreadable:
        topic, partition, offset = evidence.unreadable[0]
        reasons.append(
            f"{len(evidence.unreadable)} records of the system cannot be read, the first: {topic} {partition}@{offset}"
        )
    if evidence.clients is not None:
        missed = sorted(evidence.clients.planned_faults - evidence.clients.fault_hits.keys())
        reasons += [f"the fault {name} was planned and never hit anything" for name in missed]
        if not evidence.clients.run:
            reasons.append("the history has no line that says which run it is")
        elif evidence.clients.run.get("namespace") not in (None, evidence.namespace):
            reasons.append(f"the history is of the namespace {evidence.clients.run['namespace']}")
    if not evidence.commands:
        reasons.append("there are no commands: nothing was judged")
    return reasons


def _anomalies(evidence: Evidence, name: str, findings: list[Finding]) -> Iterable[Anomaly]:
    by_cause: dict[str | None, list[Finding]] = defaultdict(list)
    for finding in findings:
        by_cause[finding.cause].append(finding)
    for cause, found in sorted(by_cause.items(), key=lambda item: item[0] or ""):
        found.sort(key=lambda finding: finding.size)
        witnesses = tuple(finding.witness(evidence) for finding in found[:WITNESSES])
        yield Anomaly(name, cause, len(found), _sum(found), witnesses)


def _sum(findings: Iterable[Finding]) -> Money:
    total: dict[str, int] = {}
    for finding in findings:
        add_money(total, finding.money)
    return total


def _at_stake(findings: Mapping[str, list[Finding]]) -> Money:
    """Per intent the largest sum of any anomaly: one mishap seen by three checks counts once."""
    stakes: dict[tuple[str, str], int] = {}
    for found in findings.values():
        of_check: dict[tuple[str, str], int] = defaultdict(int)
        for finding in found:
            for currency, amount in finding.money.items():
                of_check[finding.intent or finding.subject, currency] += amount
        for name, amount in of_check.items():
            stakes[name] = max(stakes.get(name, 0), amount)
    total: dict[str, int] = {}
    for (_, currency), amount in stakes.items():
        add_money(total, {currency: amount})
    return total


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
