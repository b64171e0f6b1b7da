"""Every code an error can carry, once: its status, its title, its usual detail.

Out:     `problem`: the members of an `application/problem+json` body; `problem_body`: its exact text (RFC 8785 form).
Source:  RFC 9457; CONTRACT, "Errors". Codes are stable; texts may be improved.
"""

from typing import Any, Final, NamedTuple

from events.canonical import canonical


class Code(NamedTuple):
    status: int
    title: str
    detail: str


CODES: Final[dict[str, Code]] = {
    # refused before anything is put on the log
    "invalid_json": Code(400, "Invalid JSON", "The body is not valid JSON."),
    "invalid_request": Code(400, "Invalid request", "The body does not obey the rules of this operation."),
    "invalid_query": Code(
        400, "Invalid query", "The query string has a parameter that is not known here or not valid."
    ),
    "idempotency_key_missing": Code(
        400,
        "Idempotency key missing",
        "This operation needs an Idempotency-Key header: without one a retry could charge twice.",
    ),
    "idempotency_key_invalid": Code(
        400,
        "Idempotency key invalid",
        "The Idempotency-Key header must be one key of 1 to 255 printable ASCII characters, quoted or bare.",
    ),
    "unauthorized": Code(401, "Unauthorized", "Send a known API key as `Authorization: Bearer <api key>`."),
    "route_not_found": Code(404, "Not found", "There is nothing at this path."),
    "method_not_allowed": Code(
        405, "Method not allowed", "This path does not answer to this method; see the Allow header."
    ),
    "body_too_large": Code(413, "Body too large", "The body may have at most 32 KiB."),
    "command_too_large": Code(413, "Command too large", "The request, written as a command, may have at most 64 KiB."),
    "unsupported_media_type": Code(415, "Unsupported media type", "The body must be application/json."),
    "too_many_requests": Code(429, "Too many requests", "Try again later."),
    "unavailable": Code(503, "Unavailable", "Nothing was sent; try again with the same idempotency key."),
    "read_model_behind": Code(
        503, "Read model behind", "The read model has not caught up with the log yet; try again."
    ),
    # decided by the processor and stored under the key
    "card_declined": Code(402, "Card declined", "The card was declined."),
    "charge_not_found": Code(404, "Charge not found", "There is no such charge."),
    "charge_already_captured": Code(409, "Charge already captured", "The charge has been captured already."),
    "charge_already_voided": Code(409, "Charge already voided", "The charge has been voided."),
    "charge_already_refunded": Code(409, "Charge already refunded", "All that was captured has been refunded already."),
    "charge_declined": Code(
        409, "Charge declined", "The charge was declined: there is nothing to capture, void or refund."
    ),
    "charge_not_captured": Code(
        409, "Charge not captured", "Only what has been captured can be refunded; void the charge instead."
    ),
    "capture_too_large": Code(409, "Capture too large", "The amount is more than was authorized."),
    "refund_too_large": Code(409, "Refund too large", "The amount is more than is left to refund."),
    # decided by the processor, not stored under the key
    "command_expired": Code(
        409,
        "Command expired",
        "The command came too late to be executed; nothing was done. Check what happened before, then use a new key.",
    ),
    "idempotency_key_reused": Code(
        422,
        "Idempotency key reused",
        "This idempotency key was used for another request; use a new key for a new request.",
    ),
    "internal_error": Code(500, "Internal error", "The command could not be decided; nothing was charged."),
    # answered by the gateway about a command on the log or in flight
    "idempotency_key_in_flight": Code(
        409,
        "Idempotency key in flight",
        "A request with this idempotency key is being processed; try again in a moment.",
    ),
    "answer_timeout": Code(
        504,
        "No answer in time",
        "The outcome is not known yet. Try again with the same idempotency key to find it out.",
    ),
    # reads
    "cursor_not_found": Code(404, "Cursor not found", "There is no charge with the id given as starting_after."),
    "idempotency_key_not_found": Code(
        404, "Idempotency key not found", "No command with this idempotency key has been seen."
    ),
}

DECLINES: Final[dict[str, str]] = {
    "card_declined": "The card was declined.",
    "insufficient_funds": "The card was declined: insufficient funds.",
    "expired": "The card was declined: it has expired.",
    "incorrect_cvc": "The card was declined: the security code is wrong.",
    "processing_error": "The card was declined: an error occurred while processing it.",
}

# Answers the processor decides that say nothing final about the key: a corrected or later retry may run.
NOT_STORED: Final = frozenset(
    {"command_expired", "idempotency_key_reused", "internal_error", "invalid_json", "invalid_request"}
)


def problem(code: str, detail: str | None = None, **extra: Any) -> dict[str, Any]:
    """The members of a problem body; `extra` members stand beside the standard ones."""
    known = CODES[code]
    return {
        "type": f"urn:payonce:problem:{code}",
        "title": known.title,
        "status": known.status,
        "detail": detail if detail is not None else known.detail,
        "code": code,
        **extra,
    }


def problem_body(code: str, detail: str | None = None, **extra: Any) -> str:
    """The exact text of a problem body."""
    return canonical(problem(code, detail, **extra)).decode()
