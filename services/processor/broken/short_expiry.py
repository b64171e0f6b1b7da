"""short-expiry: a key is forgotten before the time that was promised for it.

Mistake: the memory has an expiry of its own: a cache's TTL, `retention.ms` of the key topic, seconds taken for minutes.
Shows:   when a customer retries after a twentieth of the window (`--key-ttl`).
Anomaly: duplicate_charge; the second answer contradicts the first, which is answer_mismatch.
"""

from typing import Any, Final

from events.codec import ReceivedCommand
from services.processor.domain.settling import Turn
from services.processor.parts import Parts

SHORTER: Final = 20  # times


class ShortMemory(Turn):
    def remembers(self, record: dict[str, Any], command: ReceivedCommand) -> bool:
        age_ms = self.clock - record["completed_at"]
        return age_ms * SHORTER < self.rules.window_ms and super().remembers(record, command)


def switch_on(parts: Parts) -> Parts:
    return parts.settled_by(ShortMemory)
