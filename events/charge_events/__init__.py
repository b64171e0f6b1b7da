"""What may happen to a charge: one event, one file, one line here (CONTRIBUTING, "Add an event").

Of the events that one operation may cause, the first whose `where` fits the payload is what happens.
"""

from typing import TYPE_CHECKING, Final, Literal

from events.charge_events.authorized import AUTHORIZED
from events.charge_events.base import EventType
from events.charge_events.captured import CAPTURED
from events.charge_events.declined import DECLINED
from events.charge_events.refunded import REFUNDED
from events.charge_events.succeeded import SUCCEEDED
from events.charge_events.voided import VOIDED

CHARGE_EVENTS: Final[tuple[EventType, ...]] = (
    DECLINED,
    AUTHORIZED,
    SUCCEEDED,
    CAPTURED,
    VOIDED,
    REFUNDED,
)

BY_NAME: Final[dict[str, EventType]] = {kind.name: kind for kind in CHARGE_EVENTS}

# Which event makes a status, by status; the first one where several do.
MADE_BY: Final[dict[str, EventType]] = {
    status: kind
    for kind in reversed(CHARGE_EVENTS)
    for status in (kind.status, kind.partly.status if kind.partly else None)
    if status is not None
}

if TYPE_CHECKING:
    EventName = str
    ChargeStatus = str
else:
    EventName = Literal[tuple(BY_NAME)]  # enumerations in the published schemas
    ChargeStatus = Literal[tuple(sorted(MADE_BY))]
