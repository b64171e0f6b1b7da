"""read-uncommitted: the ledger reads what was never committed.

Mistake: a consumer without `isolation.level=read_committed`. The default is to read everything.
Shows:   when a processor's Kafka transaction is aborted after the ledger has read of it.
Anomaly: ledger_drift. Charges are booked that did not happen.
"""

from services.ledger.projector import Options


def switch_on(options: Options) -> Options:
    return options._replace(committed=False)
