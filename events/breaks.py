"""Named bugs on a switch (`--break NAME`), each with the anomaly it must produce.

They are the classroom, and the auditor's mutation test: a bug the auditor does not convict is a bug of the auditor.
"""

from typing import Final

BREAKS: Final[dict[str, str]] = {
    # the processor
    "no-fingerprint": "key_conflict_accepted",  # the same key with another request gets the first answer
    "lru-keys": "duplicate_charge",  # only the newest keys are remembered
    "offset-before-work": "lost_charge",  # offsets are committed before the charge is
    "trust-group-offset": "late_reexecution",  # the group's offset decides what is new, not the position
    "recompute-answer": "answer_mismatch",  # a replay is answered from today's state, not from the record
    "key-outside-transaction": "torn_transaction",  # the key record is appended by another producer
    "invent-charge": "phantom_charge",  # now and then a charge that no command asked for
    "swallow-reply": "unanswered",  # now and then a command gets no reply
    # the ledger
    "skip-posting": "ledger_drift",  # a balance misses a posting
    "unbalanced-entry": "ledger_imbalance",  # an entry's postings do not add up to zero
}
