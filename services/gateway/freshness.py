"""Make a GET wait until the read model shows all that was on the log when it came.

In:      the partition of the merchant, the topics the answer is folded from.
Out:     nothing, once every position has reached the high watermark seen after the request's arrival.
Units:   time limits in seconds; offsets count records of one partition.
Errors:  Problem read_model_behind after 2 s, or when the log or the database cannot be asked.
Source:  CONTRACT: "a GET after an answer shows its effect". An answer is read from `replies`, committed in
         the same Kafka transaction as its charge and key records: the high watermark asked for after it lies
         behind them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

from services.gateway.answers import RETRY_AFTER, Problem
from services.kafka.errors import KafkaFailure
from services.kafka.port import TopicPartition

WAIT_MAX_S: Final = 2.0
# The ledger applies a batch in some milliseconds; asking its database more often would only slow it down.
_FIRST_PAUSE_S: Final = 0.002
_LONGEST_PAUSE_S: Final = 0.05


class Watermarks(Protocol):
    async def high_watermarks(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]: ...


Positions = Callable[[Sequence[TopicPartition]], Awaitable[dict[TopicPartition, int | None]]]


class Freshness:
    def __init__(self, log: Watermarks, positions: Positions, wait_max_s: float = WAIT_MAX_S) -> None:
        self._log = log
        self._positions = positions
        self._wait_max_s = wait_max_s

    async def wait(self, partitions: Sequence[TopicPartition]) -> None:
        """Return when the read model has passed the end of each partition as it is now."""
        try:
            async with asyncio.timeout(self._wait_max_s):
                wanted = await self._log.high_watermarks(partitions)
                pause_s = _FIRST_PAUSE_S
                while behind := await self._behind(wanted):
                    wanted = behind
                    await asyncio.sleep(pause_s)
                    pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)
        except (TimeoutError, KafkaFailure):
            raise Problem("read_model_behind", None, RETRY_AFTER) from None

    async def _behind(self, wanted: dict[TopicPartition, int]) -> dict[TopicPartition, int]:
        # An empty partition asks for nothing: the read model may have no position there yet.
        reached = await self._positions([partition for partition, end in wanted.items() if end > 0])
        return {partition: end for partition, end in wanted.items() if end > 0 and (reached.get(partition) or 0) < end}
