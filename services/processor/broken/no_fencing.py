"""no-fencing: offsets go into the transaction without saying in which generation of the group they were read.

Mistake: TxnOffsetCommit with an empty member id and generation -1, which the broker takes as "do not check". Every
         client older than KIP-447 does so, aiokafka and kafka-python among them (aio-libs/aiokafka#844).
Shows:   when a processor hangs, loses its partitions to another one, wakes up and goes on (SIGSTOP, take-over,
         SIGCONT). The other's transactional id is another one, so nothing else stops it.
Anomaly: duplicate_charge. Both execute the same command.
"""

from collections.abc import Mapping
from typing import Final

from services.kafka.port import Assignment
from services.kafka.writer import TransactionalWriter
from services.processor.parts import Parts

NOBODY: Final = Assignment("", -1, frozenset())


class UnfencedWriter(TransactionalWriter):
    async def send_offsets(self, group: str, topic: str, offsets: Mapping[int, int], member: Assignment) -> None:
        with self._step():
            await self._settled_after_loss()
            await self._send_offsets(group, topic, offsets, NOBODY)
            self._carries_offsets = True


def switch_on(parts: Parts) -> Parts:
    return parts.written_by(UnfencedWriter)
