"""Every anomaly once: what an audit looks for. A new one is its file, its test, and one line here."""

from collections.abc import Callable, Iterable
from typing import Final

from simulator.audit import (
    answer_mismatch,
    duplicate_charge,
    key_conflict_accepted,
    late_reexecution,
    ledger_drift,
    ledger_imbalance,
    lost_charge,
    phantom_charge,
    torn_transaction,
    unanswered,
)
from simulator.audit.books import Books
from simulator.audit.evidence import Evidence
from simulator.audit.finding import Finding

Check = Callable[[Evidence], Iterable[Finding]]
LedgerCheck = Callable[[Evidence, Books], Iterable[Finding]]

# Worst first: the order in which a report tells them.
CHECKS: Final[dict[str, Check]] = {
    duplicate_charge.NAME: duplicate_charge.find,
    lost_charge.NAME: lost_charge.find,
    phantom_charge.NAME: phantom_charge.find,
    late_reexecution.NAME: late_reexecution.find,
    key_conflict_accepted.NAME: key_conflict_accepted.find,
    torn_transaction.NAME: torn_transaction.find,
    answer_mismatch.NAME: answer_mismatch.find,
    unanswered.NAME: unanswered.find,
}

# These need the ledger's database as well.
LEDGER_CHECKS: Final[dict[str, LedgerCheck]] = {
    ledger_drift.NAME: ledger_drift.find,
    ledger_imbalance.NAME: ledger_imbalance.find,
}
