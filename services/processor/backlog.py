"""What was fetched and not yet decided: handed out in portions, so that no transaction grows beyond a bound.

In:      whole fetches, as large as they came.
Out:     portions, a fair share of each partition, in log order.
Units:   records; offsets.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from services.kafka.port import Reader, Record, TopicPartition

# A transaction must end long before its time-out, and whoever waits for an answer waits for the whole of it.
RECORDS_MOST: Final = 6_000


class Portion(NamedTuple):
    records: Sequence[Record]
    read_to: int  # the next offset to read once these are done


class Backlog:
    """Empty it by `clear` whenever the reader is sent elsewhere."""

    def __init__(self, most: int = RECORDS_MOST) -> None:
        self._most = most
        self._waiting: dict[TopicPartition, Portion] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, fetched: Mapping[TopicPartition, Sequence[Record]], reader: Reader) -> None:
        """Only when empty. The reader's position is past markers too, where the last record is not."""
        self._waiting = {where: Portion(records, reader.position(where)) for where, records in fetched.items()}

    def take(self) -> dict[TopicPartition, Portion]:
        share = max(1, self._most // max(1, len(self._waiting)))
        taken: dict[TopicPartition, Portion] = {}
        for where, (records, read_to) in list(self._waiting.items()):
            if len(records) <= share:
                taken[where] = self._waiting.pop(where)
            else:
                taken[where] = Portion(records[:share], records[share].offset)
                self._waiting[where] = Portion(records[share:], read_to)
        return taken

    def drop(self, where: TopicPartition) -> None:
        self._waiting.pop(where, None)

    def clear(self) -> None:
        self._waiting = {}
