"""What the language declares of operations and events, as the auditor looks it up.

In:      `events/operations` and `events/charge_events`: data, without a line that computes.
Out:     tables by name. What follows from them is computed by the auditor alone (`rules`, `books`).
Source:  ADR 13. Nothing else of `events` is imported in this room (import-linter), and no operation or event named.
"""

from typing import Final

from events.charge_events import CHARGE_EVENTS
from events.charge_events.base import AUTHORIZATIONS, CAPTURES, REFUNDS, Answers, EventType, Of
from events.operations import OPERATIONS as DECLARED_OPERATIONS
from events.operations.base import Operation

__all__ = ["AUTHORIZATIONS", "CAPTURES", "REFUNDS", "Answers", "EventType", "Of", "Operation"]

OPERATIONS: Final[dict[str, Operation]] = {operation.name: operation for operation in DECLARED_OPERATIONS}
EVENTS: Final[dict[str, EventType]] = {kind.name: kind for kind in CHARGE_EVENTS}

BEGINNING: Final = frozenset(name for name, operation in OPERATIONS.items() if operation.begins)
CAUSED_BY: Final[dict[str, tuple[EventType, ...]]] = {
    name: tuple(kind for kind in CHARGE_EVENTS if kind.cause.name == name) for name in OPERATIONS
}  # the first whose `where` fits the payload is what happens

# What each event does with money; one without moves does nothing with it.
TAKES: Final = frozenset(kind.name for kind in CHARGE_EVENTS if any(move.credit == CAPTURES for move in kind.moves))
HOLDS: Final = frozenset(
    kind.name for kind in CHARGE_EVENTS if any(move.credit == AUTHORIZATIONS for move in kind.moves)
)
RELEASES: Final = frozenset(
    kind.name for kind in CHARGE_EVENTS if kind.moves and all(move.debit == AUTHORIZATIONS for move in kind.moves)
)
RETURNS: Final = frozenset(kind.name for kind in CHARGE_EVENTS if any(move.debit == REFUNDS for move in kind.moves))
MOVES: Final = frozenset(kind.name for kind in CHARGE_EVENTS if kind.moves) - RELEASES

DECLINED: Final = frozenset(kind.name for kind in CHARGE_EVENTS if kind.answers is Answers.DECLINE)
EXECUTED: Final = EVENTS.keys() - DECLINED
CHARGING: Final = frozenset(kind.name for kind in CHARGE_EVENTS if kind.cause.name in BEGINNING) - DECLINED


def allowed(operation: Operation, status: str) -> bool:
    """Whether the operation is possible in that status; a status that nobody declared allows nothing."""
    made_by = [kind for kind in CHARGE_EVENTS if status in (kind.status, kind.partly.status if kind.partly else None)]
    if not made_by:
        return False
    return status in operation.allowed_in or any(also.name == operation.name for also in made_by[0].allows)


def shuts(name: str) -> bool:
    """Whether the operation is refused after itself: whatever status it leads to does not allow it again."""
    operation = OPERATIONS[name]
    ends = {kind.status for kind in CAUSED_BY[name]} | {kind.partly.status for kind in CAUSED_BY[name] if kind.partly}
    return not operation.begins and not any(status is None or allowed(operation, status) for status in ends)
