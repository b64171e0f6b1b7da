"""What the customers saw: the history of a run, folded per intent. It is the ground truth of an audit.

In:      the lines of history.jsonl as dictionaries, in order.
Out:     `Clients`: intents with their attempts, the faults that were planned and hit, what the run was.
Units:   instants in Unix milliseconds of the simulator's clock.
Errors:  a line of an unknown kind is ignored (a newer simulator may know more); a line without its fields
         raises KeyError.

An intent is one thing a customer meant to do once. It may have used several keys (a client's bug), and
several intents may have used one key (another one).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


@dataclass(slots=True)
class Attempt:
    """One HTTP request, and how it ended: ok (an answer), fail (provably not done), info (unknown)."""

    number: int
    invoked_at: int
    merchant_id: str
    idempotency_key: str | None
    operation: str
    payload: Any
    gateway: str | None = None
    end: str | None = None
    ended_at: int | None = None
    status: int | None = None
    replayed: bool | None = None
    body: str | None = None
    reason: str | None = None
    resent: list[tuple[int, str]] = field(default_factory=list)  # by the client's library, unasked: when, through which


@dataclass(slots=True)
class Intent:
    """What a customer meant to do, once."""

    name: str
    at: int
    merchant_id: str
    operation: str
    payload: Any
    persona: str | None = None
    attempts: dict[int, Attempt] = field(default_factory=dict)


@dataclass(slots=True, frozen=True)
class Rewind:
    """Offsets of one partition that were delivered again: [to, frm), from the moment `since` on."""

    partition: int
    to: int
    frm: int
    since: int

    def redelivered(self, partition: int, offset: int) -> bool:
        return partition == self.partition and self.to <= offset < self.frm


class Bite(NamedTuple):
    """One moment at which a fault bit, and what proves it."""

    at: int
    fault: str
    proof: str


@dataclass(slots=True)
class Clients:
    """One run as its clients and its vandals wrote it down."""

    run: dict[str, Any] = field(default_factory=dict)
    intents: dict[str, Intent] = field(default_factory=dict)
    by_key: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    rewinds: list[Rewind] = field(default_factory=list)
    planned_faults: set[str] = field(default_factory=set)
    fault_hits: dict[str, int] = field(default_factory=dict)
    outages: list[tuple[int, int | None]] = field(default_factory=list)  # begin and end of each fault
    last_at: int = 0  # of the last line
    bites: list[Bite] = field(default_factory=list)  # in order
    copied: set[str] = field(default_factory=set)  # charges and refunds made by copies that the network delivered

    def troubled(self, begin: int, end: int, quiet_ms: int) -> bool:
        """Whether any fault, and a quiet time after it, overlaps [begin, end]."""
        return any(start <= end and (stop is None or begin <= stop + quiet_ms) for start, stop in self.outages)


def fold(lines: Iterable[Mapping[str, Any]]) -> Clients:
    """Read a history once, in order."""
    clients = Clients()
    began: dict[tuple[str, Any], int] = {}
    for line in lines:
        kind = line["kind"]
        clients.last_at = max(clients.last_at, line.get("at", 0))
        if kind == "run":
            clients.run = dict(line)
        elif kind == "intent":
            clients.intents[line["intent"]] = Intent(
                line["intent"],
                line["at"],
                line["merchant_id"],
                line["operation"],
                line["payload"],
                line.get("persona"),
            )
        elif kind == "invoke":
            _invoke(clients, line)
        elif kind in ("ok", "fail", "info"):
            _end(clients, line)
        elif kind == "resend":
            _resend(clients, line)
        elif kind == "fault":
            _fault(clients, line, began)
    clients.outages += [(start, None) for start in began.values()]
    planned = clients.run.get("faults")
    clients.planned_faults.update(planned if isinstance(planned, (list, dict)) else ())
    return clients


def _invoke(clients: Clients, line: Mapping[str, Any]) -> None:
    key = line["idempotency_key"]
    intent = clients.intents.get(line["intent"])
    if intent is None:  # a history whose customers did not say first what they meant: the first request says it
        intent = Intent(line["intent"], line["at"], line["merchant_id"], line["operation"], line["payload"])
        clients.intents[intent.name] = intent
    intent.attempts[line["attempt"]] = Attempt(
        line["attempt"],
        line["at"],
        line["merchant_id"],
        key,
        line["operation"],
        line["payload"],
        line.get("gateway"),
    )
    if key is not None:
        users = clients.by_key.setdefault((line["merchant_id"], key), [])
        if intent.name not in users:
            users.append(intent.name)


def _end(clients: Clients, line: Mapping[str, Any]) -> None:
    intent = clients.intents.get(line["intent"])
    attempt = intent.attempts.get(line["attempt"]) if intent else None
    if attempt is None:
        return
    attempt.end, attempt.ended_at = line["kind"], line["at"]
    attempt.status, attempt.reason = line.get("status"), line.get("reason")
    attempt.replayed, attempt.body = line.get("replayed"), line.get("body")


def _resend(clients: Clients, line: Mapping[str, Any]) -> None:
    intent = clients.intents.get(line["intent"])
    attempt = intent.attempts.get(line["attempt"]) if intent else None
    if attempt is not None:
        attempt.resent.append((line["at"], line.get("gateway") or ""))


def _fault(clients: Clients, line: Mapping[str, Any], began: dict[tuple[str, Any], int]) -> None:
    """One fault may strike several times, and its strikes may overlap: `number` tells them apart."""
    name, phase, at, detail = line["fault"], line["phase"], line["at"], line.get("detail") or {}
    strike = name, detail.get("number")
    if phase == "begin":
        clients.planned_faults.add(name)
        began.setdefault(strike, at)
    elif phase == "end":
        if strike in began:
            clients.outages.append((began.pop(strike), at))
    elif phase == "hit":
        clients.fault_hits[name] = clients.fault_hits.get(name, 0) + 1
        proof = ", ".join(f"{word} {value}" for word, value in detail.items() if isinstance(value, str | int))
        clients.bites.append(Bite(at, name, proof))
        if detail.get("manner") == "copy" and detail.get("made") and not detail.get("replayed"):
            clients.copied.add(detail["made"])
        since = [start for (fault, _), start in began.items() if fault == name]
        if not since:
            clients.outages.append((at, at))
        if {"partition", "from", "to"} <= detail.keys():
            # Records may come back before the hit is written down, but never before the offsets were moved.
            moved_at = detail.get("moved_at", min(since, default=at))
            clients.rewinds.append(Rewind(detail["partition"], detail["to"], detail["from"], moved_at))
