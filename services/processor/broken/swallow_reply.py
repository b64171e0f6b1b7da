"""swallow-reply: now and then nobody is answered.

Mistake: a code path that returns without an answer: an early return, a caught and forgotten exception.
Shows:   at each seventh command of a partition, so that a run can be repeated.
Anomaly: unanswered where the command was executed, since the missing reply was to be in the same Kafka transaction
         also torn_transaction.
"""

from typing import Any, Final

from events.codec import ReceivedCommand, Rejected
from services.processor.domain.settling import Turn
from services.processor.parts import Parts

SWALLOWED_OF: Final = 7


class Silent(Turn):
    def reply(self, command: ReceivedCommand | Rejected, *answer: Any, replayed: bool) -> None:
        if command.offset % SWALLOWED_OF != SWALLOWED_OF - 1:
            super().reply(command, *answer, replayed=replayed)


def switch_on(parts: Parts) -> Parts:
    return parts.settled_by(Silent)
