"""aborted_read: somebody believed a record whose Kafka transaction was aborted.

Is:      an answer that a customer got, which stands on the log for this key only in an aborted reply; the same where
         its committed twin was appended only afterwards; with the ledger, an entry that books an aborted event.
Is not:  an aborted reply beside the committed one that was there when the customer heard it; an answer that stands
         on the log nowhere (`answer_mismatch`); a record of a Kafka transaction that is still open.
Money:   what the answer says was moved; of the ledger, what it booked.

Clocks: the customers' clock and the log's may differ. By how much at least, the history says itself: every answer
was heard after it was appended. Only what lies beyond that, and AFTERWARDS_MS more, counts as afterwards.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from simulator.audit.answers import is_kept, moved
from simulator.audit.books import Books
from simulator.audit.clients import Attempt, Intent
from simulator.audit.evidence import Discarded, Evidence
from simulator.audit.finding import Finding
from simulator.audit.log import CHARGES, REPLIES, Fate

NAME = "aborted_read"
AFTERWARDS_MS: Final = 1_000  # a killed processor's successor needs longer than that to answer again

Answer = tuple[int, str]  # status and body


@dataclass(slots=True)
class _Said:
    """What the log says to one key (or one intent without a key), and since when; and what it took back."""

    committed: dict[Answer, int] = field(default_factory=dict)
    aborted: dict[Answer, Discarded] = field(default_factory=dict)


def find(evidence: Evidence) -> Iterator[Finding]:
    """What hangs on how far the clocks are apart is found on that condition: the rest of the log may know more."""
    if not any(gone.topic == REPLIES for records in evidence.discarded.values() for gone in records):
        return
    told: dict[str, Finding] = {}
    for intent, attempt, of_key in _heard(evidence):
        answer = attempt.status or 0, attempt.body or ""
        gone = of_key.aborted.get(answer)
        if gone is None or not is_kept(*answer) or attempt.ended_at is None:
            continue
        since = of_key.committed.get(answer)
        early_ms = None if since is None else since - attempt.ended_at
        if early_ms is not None and early_ms <= AFTERWARDS_MS:
            continue
        finding = _finding(evidence, intent, answer, gone, early_ms)
        known = told.get(intent.name)
        if known is None or _surer(finding, known):
            told[intent.name] = finding
    yield from told.values()


def _finding(evidence: Evidence, intent: Intent, answer: Answer, gone: Discarded, early_ms: int | None) -> Finding:
    when = "was never committed" if early_ms is None else f"was committed only {early_ms} ms later"
    summary = f"The customer was answered {answer[0]} out of an aborted Kafka transaction; it {when}."
    commands = evidence.commands_of_intent.get(intent.name, ())
    unless = None if early_ms is None else early_ms - AFTERWARDS_MS
    return Finding(intent.name, summary, (*commands, gone), None, moved(*answer), intent.name, unless)


def _surer(one: Finding, other: Finding) -> bool:
    if other.unless_clocks_apart_ms is None:
        return False
    return one.unless_clocks_apart_ms is None or one.unless_clocks_apart_ms > other.unless_clocks_apart_ms


def clocks_apart_ms(evidence: Evidence) -> int:
    """How far the customers' clock is behind the log's, at least: by answers that were never taken back."""
    apart = 0
    for _, attempt, of_key in _heard(evidence):
        answer = attempt.status or 0, attempt.body or ""
        if attempt.ended_at is not None and answer not in of_key.aborted:
            apart = max(apart, of_key.committed.get(answer, 0) - attempt.ended_at)
    return apart


def _heard(evidence: Evidence) -> Iterator[tuple[Intent, Attempt, _Said]]:
    """Every answer that a customer had, beside what the log says to its key."""
    if evidence.clients is None:
        return
    said = _said(evidence)
    for intent in evidence.clients.intents.values():
        if evidence.absent_for(intent.merchant_id):
            for attempt in intent.attempts.values():
                if attempt.end == "ok" and (of_key := said.get(_name(intent, attempt))) is not None:
                    yield intent, attempt, of_key


def find_also_in(evidence: Evidence, books: Books) -> Iterator[Finding]:
    """The same with the ledger's books: what the customers believed, and what the ledger did."""
    yield from find(evidence)
    aborted = {
        (record.partition, record.offset): record
        for records in evidence.discarded.values()
        for record in records
        if record.topic == CHARGES and record.fate is Fate.ABORTED
    }
    for place in sorted(books.entries.keys() & aborted.keys()):
        entry = books.entries[place]
        what = f"{entry.event_type} of {entry.amount} {entry.currency}"
        summary = f"{what} is booked, out of an aborted Kafka transaction."
        yield Finding(
            f"charges {place[0]}@{place[1]}", summary, (aborted[place],), None, {entry.currency: entry.amount}
        )


def _said(evidence: Evidence) -> dict[str, _Said]:
    """Only of those keys for which a reply was ever aborted, and of all others what is needed to tell the clocks."""
    said: dict[str, _Said] = {}
    for identity, commands in evidence.commands_of.items():
        of_key = said.setdefault(commands[0].key_name or commands[0].intent, _Said())
        for reply in evidence.replies_of.get(identity, ()):
            answer = reply.status, reply.body
            of_key.committed[answer] = min(reply.timestamp, of_key.committed.get(answer, reply.timestamp))
        for record in evidence.discarded.get(identity, ()):
            if record.topic == REPLIES and record.fate is Fate.ABORTED and record.answer is not None:
                of_key.aborted.setdefault(record.answer, record)
    return said


def _name(intent: Intent, attempt: Attempt) -> str:
    return intent.name if attempt.idempotency_key is None else f"{attempt.merchant_id}/{attempt.idempotency_key}"
