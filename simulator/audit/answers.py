"""What an answer says: whether its key keeps it, and how much money it claims was moved.

In:      the status and body of an answer, as a reply or a customer has it.
Out:     `is_kept`, `moved`.
Source:  CONTRACT, "Not stored under the key".
"""

import orjson

from simulator.audit import rules
from simulator.audit.records import problem_code

# Codes a gateway answers without asking the log, beside those statuses that are never kept.
GATEWAY_CODES = frozenset({"idempotency_key_in_flight", "route_not_found", "command_expired", "internal_error"})


def is_kept(status: int, body: str) -> bool:
    """Whether an answer like this is kept under its key."""
    return status not in rules.NOT_STORED and problem_code(status, body) not in GATEWAY_CODES


def moved(status: int, body: str | None) -> dict[str, int]:
    """What an answer says was moved: nothing, unless it is a 2xx about a charge or a refund."""
    if not 200 <= status < 300:
        return {}
    try:
        value = orjson.loads(body or "")
        return {str(value["currency"]): int(value["amount"])}
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return {}
