"""What operations and events declare, written for the native part.

Out:     one JSON text; None where something is declared that the native part has no word for, so that Python decides.
Source:  events/operations, events/charge_events. No operation or event is named here.
"""

from collections.abc import Iterable
from typing import Any, Final

import orjson
from pydantic import AfterValidator, BeforeValidator, PlainValidator, WrapValidator

from events.charge_events import CHARGE_EVENTS
from events.charge_events.base import EventType
from events.charges import CLOUD_EVENTS_VERSION
from events.codes import CODES, DECLINES, problem_body
from events.commands import COMMAND_BYTES_MAX
from events.operations import OPERATIONS
from events.operations.base import Operation, Payload
from events.payment_methods import PAYMENT_METHODS
from services.processor.domain.payment import refused_in

_A_CHARGE = "{charge_id}"  # a charge's id has no braces


class _NoWord(Exception):
    """The native part cannot be told this."""


def declarations() -> bytes | None:
    try:
        return orjson.dumps(
            {
                "operations": [_operation(one) for one in OPERATIONS],
                "events": [_event(one) for one in CHARGE_EVENTS],
                "problems": [
                    {"code": name, "status": code.status, "body": problem_body(name)} for name, code in CODES.items()
                ],
                "declines": [_decline(method, code) for method, code in PAYMENT_METHODS.items() if code is not None],
                "cloud_events_version": CLOUD_EVENTS_VERSION.decode(),
                "command_bytes_max": COMMAND_BYTES_MAX,
            }
        )
    except _NoWord:
        return None


def _operation(one: Operation) -> dict[str, Any]:
    limit = one.limit
    return {
        "name": one.name,
        "begins": one.begins,
        "members": _members(one.payload),
        "limit": None if limit is None else limit._asdict(),
        "refused_in": refused_in(one),
        "events": [at for at, event in enumerate(CHARGE_EVENTS) if event.cause is one],
    }


def _members(payload: type[Payload]) -> list[dict[str, Any]]:
    schema = payload.model_json_schema()
    found = payload.__pydantic_decorators__
    if schema.get("additionalProperties") is not False or found.model_validators or found.field_validators:
        raise _NoWord
    required = schema.get("required", ())
    members = []
    for name, rules in schema["properties"].items():
        member = _member(rules)
        checked = any(isinstance(one, _CHECKS) for one in payload.model_fields[name].metadata)
        if checked and member["kind"] != "choice":  # a check that the schema cannot say, unless it names every value
            raise _NoWord
        members.append({"name": name, "required": name in required, **member})
    return members


_CHECKS: Final = (AfterValidator, BeforeValidator, PlainValidator, WrapValidator)
# Words of JSON Schema that restrict nothing.
_IDLE: Final = {"title", "default", "description", "examples"}


def _member(rules: dict[str, Any]) -> dict[str, Any]:
    rules = {word: value for word, value in rules.items() if word not in _IDLE}
    choices = rules.get("anyOf")
    if choices is not None:
        some = [one for one in choices if one != {"type": "null"}]
        if len(some) != 1 or len(choices) != 2 or len(rules) != 1:
            raise _NoWord
        return {**_member(some[0]), "nullable": True}
    match rules:
        case {"type": "integer", "minimum": least, "maximum": most} if len(rules) == 3:
            return {"kind": "int", "min": least, "max": most, "nullable": False}
        case {"type": "string", "enum": choices} if len(rules) == 2:
            return {"kind": "choice", "choices": choices, "nullable": False}
        case {"type": "string"} if len(rules) == 1:
            return {"kind": "text", "nullable": False}
        case {"type": "boolean"} if len(rules) == 1:
            return {"kind": "bool", "nullable": False}
        case {"type": "object", "additionalProperties": {"type": "string"}, "maxProperties": most} if len(rules) == 3:
            return {"kind": "texts", "most": most, "nullable": False}
    raise _NoWord


def _event(one: EventType) -> dict[str, Any]:
    wheres = {}
    for name, values in one.where.items():
        if not isinstance(values, Iterable):
            raise _NoWord
        wheres[name] = list(values)
    return {
        "name": one.name,
        "where": wheres,
        "status": one.status,
        "partly": None if one.partly is None else one.partly._asdict(),
        "sets": dict(one.sets),
        "adds": one.adds,
        "answers": one.answers,
        "answer_status": one.answer_status,
    }


def _decline(payment_method: str, code: str) -> dict[str, str]:
    body = problem_body("card_declined", DECLINES[code], decline_code=code, charge_id=_A_CHARGE)
    before, after = body.split(_A_CHARGE)
    return {"payment_method": payment_method, "code": code, "body_before": before, "body_after": after}
