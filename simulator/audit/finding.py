"""One suspicion become certain: what a check hands back for each case it convicts.

In:      the records that prove it; they are rendered only for the few witnesses that are shown.
Out:     `Finding`, and its `Witness` with a timeline.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from simulator.audit.clients import Attempt, Bite
from simulator.audit.evidence import Discarded, Evidence
from simulator.audit.money import Money
from simulator.audit.records import Command, Event, KeyRecord, Reply, brief
from simulator.audit.report import Place, Row, Witness

TIMELINE_LINES = 40  # a longer story is cut in the middle: nobody reads it


class Telling(Protocol):
    """A record that can say itself in one line."""

    @property
    def timestamp(self) -> int: ...

    def moment(self) -> tuple[int, str]: ...


@dataclass(slots=True)
class Finding:
    """One case. `intent` names the customer's intent whose attempts belong into the timeline."""

    subject: str
    summary: str
    proof: Sequence[Telling]
    cause: str | None = None
    money: Money = field(default_factory=dict)
    intent: str = ""
    unless_clocks_apart_ms: int | None = None  # no case where the customers' clock is known to be as far behind

    @property
    def size(self) -> tuple[int, int, int]:
        """How much there is to read: records, then the time they span. The smallest witness says the most.

        Of equal ones the earliest comes first.
        """
        instants = [proof.timestamp for proof in self.proof]
        first = min(instants, default=0)
        return len(instants), max(instants, default=0) - first, first

    def witness(self, evidence: Evidence) -> Witness:
        # Of one instant, the customer's side comes first: he asks before anything happens.
        rows = _client_rows(evidence, self.intent) + [_row(proof) for proof in self.proof]
        rows += _discarded(evidence, self.proof)
        rows += _bites(evidence, rows)
        rows = sorted(dict.fromkeys(rows), key=lambda row: row.at)
        if len(rows) > TIMELINE_LINES:
            half = TIMELINE_LINES // 2
            gap = Row(rows[half].at, offsets=f"… {len(rows) - 2 * half} more …")
            rows = [*rows[:half], gap, *rows[-half:]]
        places = tuple(place for place in (_place(proof) for proof in self.proof) if place is not None)
        lines = tuple(f"{_instant(row.at)}  {_line(row)}" for row in rows)
        return Witness(self.subject, self.summary, self.cause, dict(self.money), places, lines, tuple(rows))


def _row(proof: Telling) -> Row:
    at, text = proof.moment()
    producer = getattr(proof, "producer", None)
    return Row(at, offsets=text, epoch="" if producer is None else f"{producer[0]}/{producer[1]}")


def _line(row: Row) -> str:
    """The row as one line of text."""
    where = f" through {row.gateway}" if row.gateway else ""
    who = f" [producer {row.epoch}]" if row.epoch else ""
    return row.client + where + row.offsets + who + row.broker


def _place(proof: Telling) -> Place | None:
    match proof:
        case Command():
            return Place("commands", proof.partition, proof.offset)
        case Event():
            return Place("charges", proof.partition, proof.offset)
        case Reply():
            return Place("replies", proof.partition, proof.offset)
        case KeyRecord():
            return Place("keys", proof.partition, proof.record_offset)
        case Discarded():
            return Place(proof.topic, proof.partition, proof.offset)
    return None


def _client_rows(evidence: Evidence, intent: str) -> list[Row]:
    meant = evidence.clients.intents.get(intent) if evidence.clients else None
    if meant is None:
        return []
    persona = f" ({meant.persona})" if meant.persona else ""
    rows = [Row(meant.at, client=f"customer {meant.merchant_id}/{intent}{persona}: means {meant.operation}, once")]
    for attempt in meant.attempts.values():
        rows += _attempt_rows(intent, attempt)
    return rows


def _attempt_rows(intent: str, attempt: Attempt) -> list[Row]:
    key = f"key {attempt.idempotency_key}" if attempt.idempotency_key is not None else "no key"
    asked = f"customer {intent}: attempt {attempt.number}, {attempt.operation}, {key}"
    rows = [Row(attempt.invoked_at, client=asked, gateway=attempt.gateway or "")]
    again = f"customer {intent}: attempt {attempt.number} is sent again by the client's library"
    rows += [Row(at, client=again, gateway=gateway) for at, gateway in attempt.resent]
    if attempt.end is None or attempt.ended_at is None:
        return rows
    replayed = ", replayed" if attempt.replayed else ""
    what = {
        "ok": f"answered {attempt.status}{replayed} {brief(attempt.body)}",
        "fail": f"not done ({attempt.reason})",
        "info": f"outcome unknown ({attempt.reason})",
    }[attempt.end]
    return [*rows, Row(attempt.ended_at, client=f"customer {intent}: attempt {attempt.number} {what}")]


def _discarded(evidence: Evidence, proofs: Sequence[Any]) -> list[Row]:
    identities = dict.fromkeys(proof.identity for proof in proofs if hasattr(proof, "identity"))
    return [_row(gone) for identity in identities for gone in evidence.discarded.get(identity, ())]


def _bites(evidence: Evidence, rows: Sequence[Row]) -> list[Row]:
    """Each fault that bit in the time of these rows, once: when it first did, and how often."""
    if evidence.clients is None or not rows:
        return []
    begin, end = min(row.at for row in rows), max(row.at for row in rows)
    first: dict[str, Bite] = {}
    count: dict[str, int] = {}
    for bite in evidence.clients.bites:
        if begin <= bite.at <= end:
            first.setdefault(bite.fault, bite)
            count[bite.fault] = count.get(bite.fault, 0) + 1
    return [
        Row(bite.at, broker=f"{name} bit{f' ×{count[name]}' if count[name] > 1 else ''}: {bite.proof}".rstrip(": "))
        for name, bite in first.items()
    ]


def _instant(at: int) -> str:
    if at <= 0:
        return "--:--:--.---"
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%H:%M:%S.%f")[:-3]
