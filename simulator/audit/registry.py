"""Every anomaly once: what an audit looks for. A new one is its file, its test, and one line here."""

from collections.abc import Callable, Iterable
from typing import Final

from simulator.audit import (
    aborted_read,
    answer_mismatch,
    duplicate_charge,
    illegal_transition,
    key_conflict_accepted,
    late_reexecution,
    ledger_drift,
    ledger_imbalance,
    lost_charge,
    over_capture,
    over_refund,
    phantom_charge,
    stuck,
    torn_transaction,
    unanswered,
)
from simulator.audit.books import Books
from simulator.audit.evidence import Evidence
from simulator.audit.finding import Finding

Check = Callable[[Evidence], Iterable[Finding]]
LedgerCheck = Callable[[Evidence, Books], Iterable[Finding]]

# These look at partitions as a whole, and at no record in it.
OF_PARTITIONS: Final[dict[str, Check]] = {stuck.NAME: stuck.find}

# Worst first: the order in which a report tells them.
CHECKS: Final[dict[str, Check]] = {
    duplicate_charge.NAME: duplicate_charge.find,
    lost_charge.NAME: lost_charge.find,
    phantom_charge.NAME: phantom_charge.find,
    over_capture.NAME: over_capture.find,
    over_refund.NAME: over_refund.find,
    late_reexecution.NAME: late_reexecution.find,
    key_conflict_accepted.NAME: key_conflict_accepted.find,
    illegal_transition.NAME: illegal_transition.find,
    torn_transaction.NAME: torn_transaction.find,
    aborted_read.NAME: aborted_read.find,
    answer_mismatch.NAME: answer_mismatch.find,
    unanswered.NAME: unanswered.find,
    **OF_PARTITIONS,
}

# These need the ledger's database as well; one that stands above too sees more with it, and runs once.
LEDGER_CHECKS: Final[dict[str, LedgerCheck]] = {
    aborted_read.NAME: aborted_read.find_also_in,
    ledger_drift.NAME: ledger_drift.find,
    ledger_imbalance.NAME: ledger_imbalance.find,
}
