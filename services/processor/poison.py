"""A record on which pure code fails: found one by one, dead-lettered in the transaction, answered if it can be.

In:      a batch that raised where nothing may raise.
Out:     what settling it record by record comes to; the culprits as dead letters, with a 500-class reply that is
         not stored under the key.
Errors:  none: whatever the bug is, the partition goes on, and the bytes are kept.
Source:  DESIGN: "An exception from pure code". Kafka's errors never come here.
"""

from collections.abc import Callable, Mapping, Sequence

import structlog

from events.codec import INTERNAL_ERROR
from services.kafka.port import Record
from services.processor.domain import writing
from services.processor.domain.settling import (
    Rules,
    Settled,
    Standing,
    decode,
    lookups,
    settle,
    settle_failure,
)

Lookup = Callable[[Sequence[bytes]], Mapping[bytes, bytes | None]]

log = structlog.get_logger(__name__)


def noticed(partition: int, error: Exception) -> None:
    log.error("batch_not_decided", partition=partition, exc_info=error)


def settle_singly(rules: Rules, standing: Standing, records: Sequence[Record], lookup: Lookup) -> Settled:
    """As `settle`, one record at a time, each seeing what those before it have done."""
    total = settle(rules, standing, [], {})
    for record in records:
        total.add(_settle_one(rules, total.standing, record, total.writes, lookup))
    return total


def _settle_one(
    rules: Rules, standing: Standing, record: Record, written: Mapping[bytes, bytes | None], lookup: Lookup
) -> Settled:
    command = None
    try:
        (command,) = decode(rules, [record])
        wanted = lookups(rules, [command])
        found: dict[bytes, bytes | None] = {**lookup(wanted)}
        found.update({key: written[key] for key in wanted if key in written})
        return settle(rules, standing, [command], found)
    except Exception as error:  # the culprit, whatever it raises
        log.error("record_dead_lettered", partition=rules.partition, offset=record.offset, exc_info=error)
        try:
            if command is not None:
                return settle_failure(rules, standing, command, error)
        except Exception as again:
            log.error("failure_not_answered", partition=rules.partition, offset=record.offset, exc_info=again)
    return _unanswered(rules, standing, record)


def _unanswered(rules: Rules, standing: Standing, record: Record) -> Settled:
    """The bytes as received, and nothing else: it could not even be read who is to be answered."""
    settled = settle(rules, standing, [], {})
    settled.dead_letters.append(writing.dead_letter(rules, record, INTERNAL_ERROR))
    settled.standing = Standing(max(standing.position, record.offset + 1), max(standing.clock, record.timestamp))
    settled.dead += 1
    return settled
