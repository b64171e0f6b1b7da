"""capture-as-asked: whoever captures says how much, and nobody compares it with what is held.

Mistake: the final amount (with the tip, the postage, after weighing) is taken from the request; the form is believed to
         have checked it, or the bank to do so.
Shows:   when more is captured than was authorized.
Anomaly: over_capture; it was answered with success and not refused, which is answer_mismatch.
"""

from events.codec import ReceivedCommand
from events.operations import BY_NAME
from services.processor.domain.payment import Charge, Fact
from services.processor.domain.settling import Turn
from services.processor.parts import Parts


class AsAsked(Turn):
    def decides(self, charge: Charge | None, command: ReceivedCommand) -> Fact | str:
        limit, asked = BY_NAME[command.type].limit, command.payload.get("amount")
        if charge is not None and asked is not None and limit is not None and limit.of == "amount":
            charge = {**charge, limit.of: asked}
        return super().decides(charge, command)


def switch_on(parts: Parts) -> Parts:
    return parts.settled_by(AsAsked)
