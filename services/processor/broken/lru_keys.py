"""lru-keys: only the newest keys are remembered.

Mistake: keys are kept in a cache with a maximum size, which forgets by number and not by the promised time.
Shows:   when a customer retries after more other commands than the cache holds.
Anomaly: duplicate_charge; the second answer contradicts the first, which is answer_mismatch.
"""

from typing import Any, Final

from events.codec import ReceivedCommand
from services.processor.domain.settling import Turn
from services.processor.parts import Parts

NEWEST: Final = 20  # commands of one partition that it looks back


class NewestKeys(Turn):
    def remembers(self, record: dict[str, Any], command: ReceivedCommand) -> bool:
        return command.offset - record["offset"] <= NEWEST and super().remembers(record, command)


def switch_on(parts: Parts) -> Parts:
    return parts.settled_by(NewestKeys)
