"""One suspicion become certain: what a check hands back for each case it convicts.

In:      the records that prove it; they are rendered only for the few witnesses that are shown.
Out:     `Finding`, and its `Witness` with a timeline.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from simulator.audit.clients import Attempt
from simulator.audit.evidence import Discarded, Evidence
from simulator.audit.money import Money
from simulator.audit.records import Command, Event, KeyRecord, Reply, brief
from simulator.audit.report import Place, Witness

TIMELINE_LINES = 40  # a longer story is cut in the middle: nobody reads it


class Telling(Protocol):
    """A record that can say itself in one line."""

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

    @property
    def size(self) -> int:
        return len(self.proof)

    def witness(self, evidence: Evidence) -> Witness:
        # Of one instant, the customer's side comes first: he asks before anything happens.
        moments = _client_moments(evidence, self.intent) + [proof.moment() for proof in self.proof]
        moments += _discarded(evidence, self.proof)
        lines = [f"{_instant(at)}  {text}" for at, text in sorted(dict.fromkeys(moments), key=lambda moment: moment[0])]
        if len(lines) > TIMELINE_LINES:
            half = TIMELINE_LINES // 2
            lines = [*lines[:half], f"… {len(lines) - 2 * half} more …", *lines[-half:]]
        places = tuple(place for place in (_place(proof) for proof in self.proof) if place is not None)
        return Witness(self.subject, self.summary, self.cause, dict(self.money), places, tuple(lines))


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


def _client_moments(evidence: Evidence, intent: str) -> list[tuple[int, str]]:
    meant = evidence.clients.intents.get(intent) if evidence.clients else None
    if meant is None:
        return []
    persona = f" ({meant.persona})" if meant.persona else ""
    moments = [(meant.at, f"customer {meant.merchant_id}/{intent}{persona}: means {meant.operation}, once")]
    for attempt in meant.attempts.values():
        moments += attempt_moments(intent, attempt)
    return moments


def attempt_moments(intent: str, attempt: Attempt) -> list[tuple[int, str]]:
    key = f"key {attempt.idempotency_key}" if attempt.idempotency_key is not None else "no key"
    said = [(attempt.invoked_at, f"customer {intent}: attempt {attempt.number}, {attempt.operation}, {key}")]
    if attempt.end is None or attempt.ended_at is None:
        return said
    again = ", replayed" if attempt.replayed else ""
    what = {
        "ok": f"answered {attempt.status}{again} {brief(attempt.body)}",
        "fail": f"not done ({attempt.reason})",
        "info": f"outcome unknown ({attempt.reason})",
    }[attempt.end]
    return [*said, (attempt.ended_at, f"customer {intent}: attempt {attempt.number} {what}")]


def _discarded(evidence: Evidence, proofs: Sequence[Any]) -> list[tuple[int, str]]:
    identities = {proof.identity for proof in proofs if hasattr(proof, "identity")}
    return [gone.moment() for identity in identities for gone in evidence.discarded.get(identity, ())]


def _instant(at: int) -> str:
    if at <= 0:
        return "--:--:--.---"
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%H:%M:%S.%f")[:-3]
