"""ledger_drift: the ledger does not say what the events up to its own position say.

Is:      a merchant's balance in a currency that differs from the fold of the charge events below the ledger's
         positions; an event below its position that it has not booked, has booked as something else or with
         other postings than are declared for it; an entry without an event.
Is not:  a ledger that is behind (only events below its position are folded); the same event_id booked twice
         because it is on the log twice; an entry whose postings are lopsided (`ledger_imbalance`).
Money:   the largest difference within a balance; for an entry, its event's amount.
"""

from collections.abc import Iterator

from simulator.audit.books import Balance, Booked, Books, fold, postings
from simulator.audit.evidence import Evidence
from simulator.audit.finding import Finding
from simulator.audit.log import CHARGES
from simulator.audit.records import Event

NAME = "ledger_drift"


def find(evidence: Evidence, books: Books) -> Iterator[Finding]:
    if any(bound.start for (topic, _), bound in evidence.extent.bounds.items() if topic == CHARGES):
        return  # the verdict says that the log is not whole
    applied = [event for event in evidence.events if event.offset < books.positions.get(event.partition, 0)]
    if not books.is_part:
        yield from balances(books, fold(applied))
    known = {(event.partition, event.offset) for event in applied}
    for event in applied:
        booked = books.entries.get((event.partition, event.offset))
        meant = Booked(event.type, event.merchant_id, event.currency, event.amount)
        if booked != meant:
            said = (
                "is not booked"
                if booked is None
                else f"is booked as {booked.event_type} of {booked.amount} {booked.currency}"
            )
            summary = f"{event.type} of {event.amount} {event.currency} {said}."
            yield Finding(f"charges {event.partition}@{event.offset}", summary, (event,), None, event.money)
        elif _elsewhere(books.postings.get((event.partition, event.offset), []), event):
            summary = (
                f"{event.type} of {event.amount} {event.currency} is booked on other accounts or with other amounts."
            )
            yield Finding(f"charges {event.partition}@{event.offset}", summary, (event,), None, event.money)
    for place, entry in books.entries.items():
        if place not in known:
            what = f"{entry.event_type} of {entry.amount} {entry.currency}"
            summary = f"{what} is booked, but no such event is committed."
            yield Finding(f"charges {place[0]}@{place[1]}", summary, (), None, {entry.currency: entry.amount})


def _elsewhere(lines: list[tuple[str, str, int]], event: Event) -> bool:
    """Whether the postings add up, but are not those of the event; if they do not, that is another anomaly."""
    lopsided = sum(amount for _, currency, amount in lines if currency == event.currency) != 0
    return not lopsided and sorted(lines) != sorted(postings(event))


def balances(books: Books, folded: dict[tuple[str, str], Balance]) -> Iterator[Finding]:
    """Against the fold of every event below the ledger's positions."""
    for name in sorted(books.balances.keys() | folded.keys()):
        said, right = books.balances.get(name, Balance()), folded.get(name, Balance())
        if said == right:
            continue
        merchant, currency = name
        wrong = [
            f"{member} is {has}, the events say {should}"
            for member, has, should in zip(Balance._fields, said, right, strict=True)
            if has != should
        ]
        off = max(abs(has - should) for has, should in zip(said, right, strict=True))
        yield Finding(
            f"{merchant} {currency}", f"Balance of {merchant}: {'; '.join(wrong)}.", (), None, {currency: off}
        )
