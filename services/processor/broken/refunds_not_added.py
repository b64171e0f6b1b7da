"""refunds-not-added: a refund may be as large as what was captured, whatever has gone back already.

Mistake: each refund is compared with the charge, and not with what is left of it: written when a charge was refunded
         once and whole, and kept when refunds in parts came.
Shows:   when refunds of one charge come to more than was captured, and each of them does not.
Anomaly: over_refund; it was answered with success and not refused, which is answer_mismatch.
"""

from events.codec import ReceivedCommand
from events.operations import BY_NAME
from services.processor.domain.payment import Charge, Fact
from services.processor.domain.settling import Turn
from services.processor.parts import Parts


class EachByItself(Turn):
    def decides(self, charge: Charge | None, command: ReceivedCommand) -> Fact | str:
        limit = BY_NAME[command.type].limit
        if charge is not None and limit is not None and limit.less is not None:
            charge = {**charge, limit.less: 0}
        return super().decides(charge, command)


def switch_on(parts: Parts) -> Parts:
    return parts.settled_by(EachByItself)
