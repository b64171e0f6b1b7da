"""stale-charge: a command is decided on the charge as it was before the batch.

Mistake: everything that a batch is about is read at its beginning, in one query or from a replica, and each command is
         decided on that copy: check, then act, while somebody else acts in between.
Shows:   when two commands about one charge come so close together that they are in one batch: a capture and a void.
Anomaly: illegal_transition. Both are executed, the second one in a status that does not allow it, and with the same
         `sequence`; it was answered with success and not refused, which is answer_mismatch.
"""

from services.processor.domain.settling import Turn
from services.processor.domain.stored import newest_event
from services.processor.parts import Parts


class AsRead(Turn):
    def newest_event(self, charge_id: str) -> bytes | None:
        return newest_event(charge_id, self.found.get) or super().newest_event(charge_id)


def switch_on(parts: Parts) -> Parts:
    return parts.settled_by(AsRead)
