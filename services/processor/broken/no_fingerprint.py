"""no-fingerprint: the key alone says that two requests are one.

Mistake: what was asked is not kept beside the key, or kept and not compared.
Shows:   when a customer uses a key again for another request.
Anomaly: key_conflict_accepted. The second request gets the first one's answer instead of 422.
"""

from typing import Any

from events.codec import ReceivedCommand
from services.processor.domain.settling import Turn
from services.processor.parts import Parts


class KeyAlone(Turn):
    def is_same_request(self, record: dict[str, Any], command: ReceivedCommand) -> bool:
        return True


def switch_on(parts: Parts) -> Parts:
    return parts.settled_by(KeyAlone)
