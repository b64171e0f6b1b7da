"""Which fault, or which habit of a customer, made somebody ask again, or a command run again.

In:      `Told`, the repeated executions; an operation and one of its tries.
Out:     the name of a fault (`lose_response`), or one of HABITS.
Units:   Unix milliseconds.
Source:  instants, gateways and reasons of the history. It is the likeliest reason, not a proof: two losses within a few
         milliseconds on one gateway can be taken for each other. The auditor's causes do not depend on it. Only what
         resets, or falls silent, or ends the gateway can have reset a connection: delays and copies cannot.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final, NamedTuple

from simulator.audit.report import Repeat
from simulator.report.folding import Operation, Strike, Told, Try

HABITS: Final = {
    "double_click": "asked again before the first answer came",
    "asked_after_answer": "asked again although answered",
    "own_connection_lost": "the customer's own connection dropped",
    "silent_resend": "a client or a proxy sent the same bytes again by itself",
    "slow_answer": "gave up waiting; no fault was on",
    "connection_reset": "the connection was reset; no fault wrote it down",
    "not_known": "no fault that would explain it",
}
REDELIVERIES: Final = ("crash_redelivery", "rewind")  # of all other causes a customer is one
RESET_MS: Final = 30  # between a fault's line of history and the customer's
AFTERMATH_MS: Final = 12_000  # a dead processor's partitions answer again within this
_at = attrgetter("at")


class _Hit(NamedTuple):
    """What one request met on its way to a gateway."""

    at: int
    fault: str
    manner: str  # reset, silence, late, copy
    let_go_at: int  # when the strike ended; what was silenced is reset then


@dataclass
class Triggers:
    """Hits of the faults that touch single requests, by gateway; and the strikes of all others."""

    told: Told
    _hits: dict[str, list[_Hit]] = field(init=False, default_factory=lambda: defaultdict(list))
    _copies: dict[str, list[tuple[int, str, str]]] = field(init=False, default_factory=lambda: defaultdict(list))
    _others: list[Strike] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        for strike in self.told.strikes:
            if not any("gateway" in detail for _, detail in strike.hits):
                self._others.append(strike)
                continue
            for at, detail in strike.hits:
                hit = _Hit(at, strike.fault, str(detail.get("manner", "")), strike.ended_at or 0)
                self._hits[str(detail.get("gateway"))].append(hit)
                if detail.get("manner") == "copy":
                    copy = (int(detail.get("sent_at", at)), strike.fault, str(detail.get("made", "")))
                    self._copies[str(detail.get("intent"))].append(copy)
        for hits in self._hits.values():
            hits.sort()

    def of_repeat(self, repeat: Repeat) -> str:
        """Why this operation was executed once more."""
        if repeat.cause in REDELIVERIES:
            return self._of_redelivery(repeat)
        if repeat.cause == "network_duplicate":
            return self._of_copy(repeat)
        operation, again = self.told.operations.get(repeat.intent), self.try_of(repeat)
        if operation is None or again is None:
            return "not_known"
        if again.resent_at is not None and again.resent_at <= repeat.asked_at + 2:
            return self._of_reset(again.gateway, again.at, again.resent_at) or "silent_resend"
        return self.of_try(operation, again)

    def _of_copy(self, repeat: Repeat) -> str:
        """The copy that made this very charge, else the one of the same operation that was sent nearest to it."""
        copies = self._copies.get(repeat.intent, [])
        made = [one for one in copies if one[2] and one[2] == repeat.charge_id]
        return min(made or copies, key=lambda one: abs(one[0] - repeat.asked_at), default=(0, "not_known", ""))[1]

    def try_of(self, repeat: Repeat) -> Try | None:
        """The request that was executed once more: the newest when its command was appended."""
        operation = self.told.operations.get(repeat.intent)
        if operation is None or not operation.tries:
            return None
        asked = [one for one in operation.tries if one.at <= repeat.asked_at + 2]
        return max(asked, key=lambda one: (one.at, one.number), default=operation.tries[-1])

    def of_try(self, operation: Operation, again: Try) -> str:
        """Why a customer made this request after an earlier one; not_known for the first."""
        earlier = [one for one in operation.tries if (one.at, one.number) < (again.at, again.number)]
        if not earlier:
            return "not_known"
        before = max(earlier, key=lambda one: (one.at, one.number))
        if before.ended_at is None or before.ended_at > again.at:
            return "double_click"
        if before.end == "ok":
            return "asked_after_answer"
        if before.reason.startswith("the customer's connection"):
            return "own_connection_lost"
        if "reset" in before.reason or "closed" in before.reason:
            return self._of_reset(before.gateway, before.at, before.ended_at) or "connection_reset"
        silenced = self._hit(before.gateway, before.at - 5, before.at + RESET_MS, before.at, "silence")
        return silenced or self._going_on(before.at, before.ended_at) or "slow_answer"

    def _of_reset(self, gateway: str, begin: int, at: int) -> str | None:
        """What can have broken a connection: a reset, the end of a silence on it, or the end of its gateway."""
        silenced = [
            hit
            for hit in self._between(gateway, begin - 5, at)
            if hit.manner == "silence" and abs(hit.let_go_at - at) <= RESET_MS
        ]
        return (
            self._hit(gateway, at - RESET_MS, at + RESET_MS, at, "reset")
            or (silenced[-1].fault if silenced else None)
            or self._going_on(begin, at, of_process=gateway)
        )

    def _hit(self, gateway: str, since: int, until: int, near: int, manner: str) -> str | None:
        there = [hit for hit in self._between(gateway, since, until) if hit.manner == manner]
        return min(there, key=lambda hit: abs(hit.at - near)).fault if there else None

    def _between(self, gateway: str, since: int, until: int) -> list[_Hit]:
        hits = self._hits.get(gateway, [])
        return hits[bisect_left(hits, since, key=_at) : bisect_right(hits, until, key=_at)]

    def _going_on(self, begin: int, end: int, of_process: str = "") -> str | None:
        """The fault that last began of those that disturbed the system, or that process, within [begin, end]."""
        on = [
            strike
            for strike in self._others
            if any(not of_process or detail.get("process") == of_process for _, detail in strike.hits)
            and strike.began_at <= end
            and (strike.ended_at is None or strike.ended_at >= begin)
        ]
        return max(on, key=lambda strike: strike.began_at).fault if on else None

    def _of_redelivery(self, repeat: Repeat) -> str:
        moved = repeat.cause == "rewind"
        for strike in reversed(self._others):
            rewinds = any({"partition", "from", "to"} <= detail.keys() for _, detail in strike.hits)
            until = (strike.ended_at or repeat.at) + AFTERMATH_MS
            if strike.hits and rewinds == moved and strike.began_at <= repeat.at <= until:
                return strike.fault
        return self._going_on(repeat.asked_at, repeat.at) or "not_known"
