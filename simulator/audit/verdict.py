"""What all the findings come to: the worst of it is the verdict.

In:      Evidence of the whole log (or its outline, where it was examined part by part), and what was found.
Out:     Report: invalid when anything was found; else unknown when anything could not be judged; else valid.
Source:  Jepsen merges verdicts the same way. A pass needs everything: a settled, whole, readable log, and
         every planned fault hit.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from simulator.audit.books import Books
from simulator.audit.evidence import Evidence
from simulator.audit.examine import WITNESSES, Part, examine
from simulator.audit.log import OUTPUTS
from simulator.audit.registry import CHECKS, LEDGER_CHECKS, Check, LedgerCheck
from simulator.audit.report import Report, Verdict

__all__ = ["WITNESSES", "conclude", "judge"]


def judge(
    evidence: Evidence,
    books: Books | None = None,
    *,
    checks: Mapping[str, Check] = CHECKS,
    ledger_checks: Mapping[str, LedgerCheck] = LEDGER_CHECKS,
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Every check over the same evidence."""
    part = examine(evidence, books, checks, ledger_checks, progress)
    return conclude(evidence, part, [*checks, *ledger_checks], with_ledger=books is not None)


def conclude(evidence: Evidence, part: Part, order: list[str], *, with_ledger: bool) -> Report:
    """`order` names the checks, worst first."""
    part.settle()
    names = list(dict.fromkeys(order))
    anomalies = tuple(part.anomalies(names))
    unknown = (*_reasons(evidence, part), *_crashes(part))
    clients = evidence.clients
    return Report(
        verdict=Verdict.INVALID if anomalies else Verdict.UNKNOWN if unknown else Verdict.VALID,
        guarantee=evidence.guarantee,
        namespace=evidence.namespace,
        counts=part.counts,
        anomalies=anomalies,
        unknown=unknown,
        checks=tuple(name for name in names if name in part.ran and name not in part.crashed),
        money_at_stake=part.at_stake,
        fault_hits=dict(clients.fault_hits) if clients else {},
        with_history=clients is not None,
        with_ledger=with_ledger,
        comparison=replace(part.comparison, certainty=part.waits.certainty()),
        key_window=part.key_window,
        repeats=part.repeats,
    )


def _crashes(part: Part) -> list[str]:
    return [f"the check {name} crashed: {error}" for name, error in part.crashed.items()]


def _reasons(evidence: Evidence, part: Part) -> list[str]:
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
                reasons.append(
                    f"partition {partition}: commands are in flight; the processor is at "
                    f"{evidence.reached(partition)}, the last command at {evidence.last_command.get(partition, -1)}"
                )
        if not evidence.whole[partition]:
            start = max(
                (bound.start, topic) for (topic, p), bound in bounds.items() if p == partition and topic != "keys"
            )
            reasons.append(f"partition {partition}: {start[1]} begins at {start[0]}; what came before cannot be judged")
    if part.unreadable:
        topic, partition, offset = part.unreadable[0]
        reasons.append(
            f"{part.unreadable_count} records of the system cannot be read, the first: {topic} {partition}@{offset}"
        )
    if evidence.clients is not None:
        missed = sorted(evidence.clients.planned_faults - evidence.clients.fault_hits.keys())
        reasons += [f"the fault {name} was planned and never hit anything" for name in missed]
        if not evidence.clients.run:
            reasons.append("the history has no line that says which run it is")
        elif evidence.clients.run.get("namespace") not in (None, evidence.namespace):
            reasons.append(f"the history is of the namespace {evidence.clients.run['namespace']}")
    if not part.counts.commands:
        reasons.append("there are no commands: nothing was judged")
    return reasons
