"""cache-before-commit: the local store takes the new state before it is committed.

Mistake: the cache is written where the work is decided, and nobody takes it back when the transaction is aborted.
Shows:   when the transaction is aborted after that, and the same cache goes on: the process lives, or its store is on
         a disk.
Anomaly: lost_charge. The command comes back, is found in the cache and answered from it, and was never charged. Its
         answer has neither an event nor a key record: torn_transaction.
"""

from services.kafka.port import Writer
from services.processor.domain.stored import of_events, of_records
from services.processor.parts import Parts
from services.processor.position import as_read
from services.processor.store.port import Change
from services.processor.strategies import BaseOffsets, Work, exactly_once


def switch_on(parts: Parts) -> Parts:
    async def strategy(writer: Writer, work: Work) -> BaseOffsets:
        _, keys = work.keys_parted()  # its position is not cached: the commands do come back
        changes: dict[int, dict[bytes, bytes | None]] = {}
        for where, some in keys.items():
            changes.setdefault(where.partition, {}).update(of_records([as_read(one) for one in some]))
        for where, some in work.charges.items():
            changes.setdefault(where.partition, {}).update(of_events([as_read(one) for one in some], once=True))
        parts.store.apply({one: Change(writes, parts.store.reach(one)) for one, writes in changes.items()})
        parts.store.flush()  # as a store does that takes a disk for the truth
        return await exactly_once(writer, work)

    return parts._replace(strategy=strategy)
