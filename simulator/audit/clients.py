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
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

OF_CUSTOMERS: Final = frozenset({"intent", "invoke", "ok", "fail", "info", "resend"})


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


class Copy(NamedTuple):
    """A request that the network delivered once more, and whose answer nobody heard."""

    intent: str | None  # where its body names one
    idempotency_key: str | None
    request: str  # method and path


@dataclass(slots=True)
class Clients:
    """One run as its clients and its vandals wrote it down."""

    run: dict[str, Any] = field(default_factory=dict)
    intents: dict[str, Intent] = field(default_factory=dict)
    merchants: set[str] = field(default_factory=set)  # of all intents
    rewinds: list[Rewind] = field(default_factory=list)
    planned_faults: set[str] = field(default_factory=set)
    fault_hits: dict[str, int] = field(default_factory=dict)
    outages: list[tuple[int, int | None]] = field(default_factory=list)  # begin and end of each fault
    last_at: int = 0  # of the last line
    bites: list[Bite] = field(default_factory=list)  # in order
    copied: set[str] = field(default_factory=set)  # charges and refunds made by copies that the network delivered
    unheard_copies: dict[str | None, list[Copy]] = field(default_factory=dict)  # by their key

    def slice(self, intents: Iterable[Intent]) -> "Clients":
        """The same run with these intents only, in the order in which they were meant."""
        return replace(self, intents={intent.name: intent for intent in intents})

    def could_have_sent(self, merchant_id: str, at: int) -> bool:
        """Whether a command may be a customer's of this run, by its merchant and the instant it was appended."""
        started = self.run.get("started_at")
        return started is not None and at >= started and merchant_id in self.merchants

    def troubled(self, begin: int, end: int, quiet_ms: int) -> bool:
        """Whether any fault, and a quiet time after it, overlaps [begin, end]."""
        return any(start <= end and (stop is None or begin <= stop + quiet_ms) for start, stop in self.outages)


def fold(lines: Iterable[Mapping[str, Any]]) -> Clients:
    """Read a history once, in order."""
    outline = Outline()
    intents: dict[str, Intent] = {}
    for line in lines:
        if not outline.take(line):
            fold_customer(intents, line)
    return outline.finish().slice(intents.values())


class Outline:
    """The run and its faults without what single customers said. `take` every line, then `finish`."""

    def __init__(self) -> None:
        self.clients = Clients()
        self._began: dict[tuple[str, Any], int] = {}

    def take(self, line: Mapping[str, Any]) -> bool:
        """False: the line is a customer's, and the rest of it is for `fold_customer`."""
        kind, clients = line["kind"], self.clients
        clients.last_at = max(clients.last_at, line.get("at", 0))
        if kind in OF_CUSTOMERS:
            if kind in ("intent", "invoke"):
                clients.merchants.add(line["merchant_id"])
            return False
        if kind == "run":
            clients.run = dict(line)
        elif kind == "fault":
            _fault(clients, line, self._began)
        return True

    def finish(self) -> Clients:
        clients = self.clients
        clients.outages += [(start, None) for start in self._began.values()]
        planned = clients.run.get("faults")
        clients.planned_faults.update(planned if isinstance(planned, (list, dict)) else ())
        return clients


def fold_customer(intents: dict[str, Intent], line: Mapping[str, Any]) -> None:
    """One line of a customer; those of one intent must come in order."""
    kind = line["kind"]
    if kind == "intent":
        intents[line["intent"]] = Intent(
            line["intent"], line["at"], line["merchant_id"], line["operation"], line["payload"], line.get("persona")
        )
    elif kind == "invoke":
        _invoke(intents, line)
    elif kind == "resend":
        _resend(intents, line)
    else:
        _end(intents, line)


def _invoke(intents: dict[str, Intent], line: Mapping[str, Any]) -> None:
    key = line["idempotency_key"]
    intent = intents.get(line["intent"])
    if intent is None:  # a history whose customers did not say first what they meant: the first request says it
        intent = Intent(line["intent"], line["at"], line["merchant_id"], line["operation"], line["payload"])
        intents[intent.name] = intent
    intent.attempts[line["attempt"]] = Attempt(
        line["attempt"],
        line["at"],
        line["merchant_id"],
        key,
        line["operation"],
        line["payload"],
        line.get("gateway"),
    )


def _end(intents: dict[str, Intent], line: Mapping[str, Any]) -> None:
    intent = intents.get(line["intent"])
    attempt = intent.attempts.get(line["attempt"]) if intent else None
    if attempt is None:
        return
    attempt.end, attempt.ended_at = line["kind"], line["at"]
    attempt.status, attempt.reason = line.get("status"), line.get("reason")
    attempt.replayed, attempt.body = line.get("replayed"), line.get("body")


def _resend(intents: dict[str, Intent], line: Mapping[str, Any]) -> None:
    intent = intents.get(line["intent"])
    attempt = intent.attempts.get(line["attempt"]) if intent else None
    if attempt is not None:
        attempt.resent.append((line["at"], line.get("gateway") or ""))


def _copy(clients: Clients, detail: Mapping[str, Any]) -> None:
    """A 5xx tells as little of what became of it as no answer does."""
    key, status = detail.get("idempotency_key"), detail.get("status")
    if detail.get("made"):
        if not detail.get("replayed"):
            clients.copied.add(detail["made"])
    elif status is None or status >= 500:
        copy = Copy(detail.get("intent"), key, str(detail.get("request", "")))
        clients.unheard_copies.setdefault(key, []).append(copy)


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
        if detail.get("manner") == "copy":
            _copy(clients, detail)
        since = [start for (fault, _), start in began.items() if fault == name]
        if not since:
            clients.outages.append((at, at))
        if {"partition", "from", "to"} <= detail.keys():
            # Records may come back before the hit is written down, but never before the offsets were moved.
            moved_at = detail.get("moved_at", min(since, default=at))
            clients.rewinds.append(Rewind(detail["partition"], detail["to"], detail["from"], moved_at))
