"""Where a partition stands, as it is kept: a record of `keys` on the log, and its copy in the store."""

from typing import Final, NamedTuple

from services.kafka.port import Headers, Outgoing, Record
from services.processor.domain.settling import Standing
from services.processor.domain.stored import of_records, position_record


class _AsRead(NamedTuple):
    """A record of ours, looked at as if it had been read back."""

    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    offset: int = -1
    timestamp: int = -1


def as_read(record: Outgoing) -> Record:
    return _AsRead(record.key, record.value)


def position_entry(standing: Standing, window_ms: int) -> tuple[Outgoing, bytes, bytes | None]:
    """The record to append, and under which key with which value the store holds it."""
    record = position_record(standing, window_ms)
    ((key, value),) = of_records((as_read(record),)).items()
    return record, key, value


POSITION_STORED_AS: Final = position_entry(Standing(0, 0), 1)[1]
