"""ledger_imbalance: an entry of the ledger whose postings do not add up to zero.

Is:      any entry, per currency, whose debits and credits differ.
Is not:  an entry without postings (a decline moves nothing); balances that are wrong although every entry is
         balanced (`ledger_drift`).
Money:   the difference.
"""

from collections.abc import Iterator

from simulator.audit.books import Books
from simulator.audit.evidence import Evidence
from simulator.audit.finding import Finding

NAME = "ledger_imbalance"


def find(evidence: Evidence, books: Books) -> Iterator[Finding]:
    events = {(event.partition, event.offset): event for event in evidence.events}
    for place, postings in books.postings.items():
        sums: dict[str, int] = {}
        for _, currency, amount in postings:
            sums[currency] = sums.get(currency, 0) + amount
        money = {currency: abs(total) for currency, total in sums.items() if total}
        if not money:
            continue
        lines = ", ".join(f"{account} {amount:+d} {currency}" for account, currency, amount in postings)
        event = events.get(place)
        yield Finding(
            f"charges {place[0]}@{place[1]}",
            f"The entry's postings do not add up to zero: {lines}.",
            (event,) if event is not None else (),
            None,
            money,
        )
