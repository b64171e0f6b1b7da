"""What one broker remembers of a reader, so that a Fetch says only what has changed since the one before.

In:      the partitions that are to be read from one broker, and from where.
Out:     what a Fetch has to say of them.
Units:   offsets.
Source:  KIP-227. Without it every Fetch of 64 partitions names, and its answer describes, all 64 of them.

A broker may refuse a session, or forget it: then everything is said again. Nothing can be lost by that, since it is
always we who say from where to read.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from services.kafka.port import TopicPartition

_NEW: Final = 0  # the epoch that asks for a new session
_EPOCH_MAX: Final = 2**31 - 1


class RequestData(NamedTuple):
    """Of one Fetch."""

    session_id: int
    epoch: int
    positions: Mapping[TopicPartition, int]  # that are new, or have moved
    forgotten: frozenset[TopicPartition]


class FetchSession:
    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Whenever it is not certain what the broker remembers."""
        self._id = 0
        self._epoch = _NEW
        self._said: dict[TopicPartition, int] = {}

    def build(self, wanted: Mapping[TopicPartition, int]) -> RequestData:
        """For the next Fetch; `answered` must follow, or `reset`."""
        moved = {where: at for where, at in wanted.items() if self._said.get(where) != at}
        forgotten = frozenset(self._said.keys() - wanted.keys())
        data = RequestData(self._id, self._epoch, moved, forgotten)
        self._said = dict(wanted)
        return data

    def answered(self, session_id: int) -> None:
        if session_id == 0:
            self.reset()
            return
        self._id = session_id
        self._epoch = self._epoch + 1 if self._epoch < _EPOCH_MAX else 1
