"""A run's history, read once and folded into what a report draws: operations, attempts, strikes of faults.

In:      the lines of history.jsonl as dictionaries, in order.
Out:     `Told`: what customers meant and heard, and what the faults did.
Units:   instants in Unix milliseconds of the simulator's clock.
Errors:  KeyError for a line without its fields; kinds that are not known are ignored.

The auditor has a fold of its own: a report that counted with the auditor's code could not find its mistakes.
A history from before `planned_at` is measured from the instant the customer came.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Try:
    """One HTTP request; `end` is ok, fail or info, and None while the run was cut off."""

    number: int
    at: int
    gateway: str
    end: str | None = None
    ended_at: int | None = None
    status: int | None = None
    replayed: bool = False
    come_back: bool = False
    reason: str = ""
    resent_at: int | None = None  # by the client's library or a proxy, without the customer's knowing
    new_key: bool = False  # another one than the operation's first request had

    @property
    def settles(self) -> bool:
        """Whether a customer takes this answer for the end of the story."""
        return self.end == "ok" and self.status is not None and self.status < 500 and not self.come_back

    @property
    def outcome(self) -> str:
        """done, replayed, refused, failed (provably not done) or unknown."""
        if self.end == "ok" and self.status is not None and self.status < 500:
            return "replayed" if self.replayed else "done" if self.status < 400 else "refused"
        return "failed" if self.end == "fail" else "unknown"


@dataclass(slots=True)
class Operation:
    """One thing a customer meant to do once."""

    intent: str
    planned_at: int
    merchant_id: str
    name: str
    persona: str
    tries: list[Try] = field(default_factory=list)
    first_key: str | None = None

    @property
    def settled(self) -> Try | None:
        """The answer that came first, if any did."""
        answers = [one for one in self.tries if one.settles and one.ended_at is not None]
        return min(answers, key=lambda one: one.ended_at or 0, default=None)

    @property
    def latency_ms(self) -> int | None:
        settled = self.settled
        return None if settled is None or settled.ended_at is None else max(0, settled.ended_at - self.planned_at)

    @property
    def story(self) -> str:
        """How it ended for the customer: at_once, after_asking_again, refused or no_answer."""
        settled = self.settled
        if settled is None or settled.status is None:
            return "no_answer"
        if settled.status >= 400:
            return "refused"
        return "at_once" if settled.number == 1 else "after_asking_again"


@dataclass(slots=True)
class Strike:
    """One strike of one fault; `ended_at` is None where the run was cut off."""

    fault: str
    number: int
    began_at: int
    ended_at: int | None = None
    hits: list[tuple[int, Mapping[str, Any]]] = field(default_factory=list)
    end: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Told:
    """One run as its customers and its vandals wrote it down."""

    run: dict[str, Any] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    strikes: list[Strike] = field(default_factory=list)
    lines: int = 0
    last_at: int = 0

    @property
    def began_at(self) -> int:
        """When the first customer was planned to come, but never before the run began."""
        first = min((one.planned_at for one in self.operations.values()), default=0)
        return int(self.run.get("started_at", first))

    @property
    def tries(self) -> Iterable[Try]:
        return (one for operation in self.operations.values() for one in operation.tries)


def fold(lines: Iterable[Mapping[str, Any]]) -> Told:
    told = Told()
    open_tries: dict[tuple[str, int], Try] = {}
    open_strikes: dict[tuple[str, int], Strike] = {}
    for line in lines:
        told.lines += 1
        told.last_at = max(told.last_at, int(line.get("at", 0)))
        match line["kind"]:
            case "run":
                told.run = dict(line)
            case "intent":
                told.operations[line["intent"]] = _operation(line)
            case "invoke":
                _invoke(told, line, open_tries)
            case "ok" | "fail" | "info":
                _end(line, open_tries)
            case "resend":
                resent = open_tries.get((line["intent"], line["attempt"]))
                if resent is not None:
                    resent.resent_at = line["at"]
            case "fault":
                _fault(told, line, open_strikes)
    return told


def _operation(line: Mapping[str, Any]) -> Operation:
    planned_at = int(line.get("planned_at", line["at"]))
    return Operation(line["intent"], planned_at, line["merchant_id"], line["operation"], line.get("persona") or "")


def _invoke(told: Told, line: Mapping[str, Any], open_tries: dict[tuple[str, int], Try]) -> None:
    operation = told.operations.get(line["intent"])
    if operation is None:  # a history whose customers did not say first what they meant
        operation = told.operations[line["intent"]] = _operation(line)
    one = Try(line["attempt"], line["at"], line.get("gateway") or "")
    key = line.get("idempotency_key")
    if not operation.tries:
        operation.first_key = key
    one.new_key = key != operation.first_key
    operation.tries.append(one)
    open_tries[line["intent"], line["attempt"]] = one


def _end(line: Mapping[str, Any], open_tries: dict[tuple[str, int], Try]) -> None:
    one = open_tries.pop((line["intent"], line["attempt"]), None)
    if one is None:
        return
    one.end, one.ended_at, one.status = line["kind"], line["at"], line.get("status")
    one.replayed, one.come_back = bool(line.get("replayed")), bool(line.get("come_back"))
    one.reason = line.get("reason") or ""


def _fault(told: Told, line: Mapping[str, Any], open_strikes: dict[tuple[str, int], Strike]) -> None:
    """A hit does not say which strike it belongs to: it is the newest open one's of its fault."""
    name, at, detail = line["fault"], line["at"], line.get("detail") or {}
    number = int(detail.get("number", 0))
    if line["phase"] == "begin":
        strike = Strike(name, number, at)
        told.strikes.append(strike)
        open_strikes[name, number] = strike
    elif line["phase"] == "end":
        ended = open_strikes.pop((name, number), None)
        if ended is not None:
            ended.ended_at, ended.end = at, detail
    elif line["phase"] == "hit":
        of_fault = [strike for (fault, _), strike in open_strikes.items() if fault == name]
        if not of_fault:
            of_fault = [Strike(name, 0, at, at)]
            told.strikes.append(of_fault[0])
        of_fault[-1].hits.append((at, detail))
