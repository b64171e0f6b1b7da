"""unbalanced-entry: now and then an entry is written without its last posting.

Mistake: debit and credit are two statements, and one of them fails or is forgotten.
Shows:   at the first entry that moves money.
Anomaly: ledger_imbalance. The entry's postings do not add up to zero.
"""

from services.ledger.broken import now_and_then
from services.ledger.projector import Options


def switch_on(options: Options) -> Options:
    return options._replace(book=now_and_then(options.book, lambda written, counted: (written[:-1], counted)))
