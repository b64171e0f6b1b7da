"""Named bugs on a switch (`--break NAME`), each with the anomaly it must produce.

They are the classroom, and the auditor's mutation test: a bug the auditor does not convict is a bug of the auditor.
A new one is a line here, a file in the folder `broken` of its service, and a row in tests/faults/test_convictions.py;
what each of them is, and how to see it, is told in docs/breaks.md.
"""

import difflib
from typing import Final

from events.options import InvalidOption

BREAKS: Final[dict[str, str]] = {
    # the processor: deciding
    "no-fingerprint": "key_conflict_accepted",  # the same key with another request gets the first answer
    "lru-keys": "duplicate_charge",  # only the newest keys are remembered
    "recompute-answer": "answer_mismatch",  # a replay is answered from today's state, not from the record
    "invent-charge": "phantom_charge",  # now and then a charge that no command asked for
    "swallow-reply": "unanswered",  # now and then a command gets no reply
    "short-expiry": "duplicate_charge",  # a key is forgotten before the time that was promised
    "trust-group-offset": "late_reexecution",  # the group's offset decides what is new, not the position
    "stale-charge": "illegal_transition",  # decided on the charge as it was before the batch
    "capture-as-asked": "over_capture",  # nobody compares what is captured with what is held
    "refunds-not-added": "over_refund",  # each refund is compared with what was captured, not with what is left of it
    # the processor: order, and what a Kafka transaction holds
    "offset-before-work": "lost_charge",  # offsets are committed before the charge is
    "key-outside-transaction": "torn_transaction",  # the key record is appended by another producer
    "cache-before-commit": "lost_charge",  # the store takes what is not committed yet, and keeps it
    "no-fencing": "duplicate_charge",  # whoever lost its partitions may still commit
    "random-transactional-id": "duplicate_charge",  # whoever was succeeded may still commit
    "old-transaction-protocol": "torn_transaction",  # a late EndTxn ends the next transaction
    "retry-forever": "stuck",  # what cannot be executed is tried again, and all others wait behind it
    # the gateway
    "answer-before-commit": "aborted_read",  # it answers out of a Kafka transaction that is still open
    # the ledger
    "read-uncommitted": "ledger_drift",  # it books what was aborted
    "skip-posting": "ledger_drift",  # a balance misses a posting
    "unbalanced-entry": "ledger_imbalance",  # an entry's postings do not add up to zero
}


def bugs_named(text: str) -> tuple[str, ...]:
    """The bugs of a comma-separated list; raises InvalidOption, one sentence with the nearest name, for another."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if name not in BREAKS:
            near = difflib.get_close_matches(name, BREAKS, n=1, cutoff=0.0)[0]
            raise InvalidOption(
                f"{name!r} is not a bug that can be switched on; the nearest is {near}, of {', '.join(BREAKS)}."
            )
    return names
