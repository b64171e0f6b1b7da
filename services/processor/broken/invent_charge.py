"""invent-charge: now and then a charge that nobody asked for.

Mistake: a loop that runs once too often, a test that writes to the real topic, a retry with a fresh id inside.
Shows:   at each seventh command of a partition that creates a charge, so that a run can be repeated.
Anomaly: phantom_charge. No command on the log has the id that the charge was made of.
"""

from typing import Any, Final

from events.canonical import canonical
from events.codec import ReceivedCommand
from events.identifiers import charge_id, event_id
from events.operations import BY_NAME
from services.kafka.port import Outgoing
from services.processor.domain import writing
from services.processor.domain.payment import Fact, created
from services.processor.domain.settling import Incoming, Turn
from services.processor.domain.stored import of_first
from services.processor.parts import Parts

INVENTED_OF: Final = 7


class Inventive(Turn):
    def append(
        self, incoming: Incoming, command: ReceivedCommand, fact: Fact, charge: dict[str, Any], sequence: int
    ) -> None:
        super().append(incoming, command, fact, charge, sequence)
        if command.offset % INVENTED_OF == INVENTED_OF - 1 and BY_NAME[command.type].begins:
            self._invent(command, fact)

    def _invent(self, command: ReceivedCommand, fact: Fact) -> None:
        invented = command._replace(command_id=command.command_id[:-1] + "x")
        name = charge_id(invented.merchant_id, invented.command_id)
        event = event_id(invented.merchant_id, invented.command_id)
        charge = created(name, invented.merchant_id, invented.payload, fact, self.clock)
        value = writing.event_value(invented, event, fact, charge, canonical(charge), None, 1, self.clock)
        headers = writing.event_headers(self.rules, invented, event, fact, self.clock)
        self.settled.charges.append(Outgoing(name.encode(), value, headers))
        self.writes[of_first(name)] = value


def switch_on(parts: Parts) -> Parts:
    return parts.settled_by(Inventive)
