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
    if evidence.clients is None or not all(map(evidence.absent, range(evidence.extent.partitions))):
        return
    said = _said(evidence)
    heard = [
        (intent, attempt, said[name])
        for intent in evidence.clients.intents.values()
        for attempt in intent.attempts.values()
        if attempt.end == "ok" and (name := _name(intent, attempt)) in said
    ]
    apart_ms = _clocks_apart(heard) + AFTERWARDS_MS
    told: set[str] = set()
    for intent, attempt, of_key in heard:
        assert attempt.status is not None
        answer = attempt.status, attempt.body or ""
        gone = of_key.aborted.get(answer)
        if gone is None or intent.name in told or not is_kept(*answer) or attempt.ended_at is None:
            continue
        since = of_key.committed.get(answer)
        if since is not None and attempt.ended_at + apart_ms >= since:
            continue
        told.add(intent.name)
        when = "was never committed" if since is None else f"was committed only {since - attempt.ended_at} ms later"
        summary = f"The customer was answered {attempt.status} out of an aborted Kafka transaction; it {when}."
        commands = evidence.commands_of_intent.get(intent.name, ())
        yield Finding(intent.name, summary, (*commands, gone), None, moved(*answer), intent.name)


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


def _clocks_apart(heard: list[tuple[Intent, Attempt, _Said]]) -> int:
    """How far the customers' clock is behind the log's, at least: by answers that were never taken back."""
    behind = [
        of_key.committed[answer] - attempt.ended_at
        for _, attempt, of_key in heard
        if attempt.ended_at is not None
        and attempt.status is not None
        and (answer := (attempt.status, attempt.body or "")) in of_key.committed
        and answer not in of_key.aborted
    ]
    return max([0, *behind])
