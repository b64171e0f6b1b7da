"""The OpenAPI document of the HTTP API, built from the models: what a client may send, what it can get back.

Out:     `document()`, OpenAPI 3.1, as plain dicts and lists.
Source:  CONTRACT, "HTTP". A test sends what the document allows, and what it forbids, to a gateway
         (schemathesis).

JSON Schema cannot say everything the contract does: duplicate members, a byte order mark, `1.0` for an
integer are refused before any schema is looked at.
"""

from collections.abc import Iterator
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from events.charge_events import CHARGE_EVENTS
from events.charge_events.base import Answers
from events.charges import Charge, Refund
from events.codes import CODES
from events.keys import KeyLife
from events.operations import OPERATIONS
from events.operations.base import Operation

_JSON: Final = "application/json"
_PROBLEM: Final = "application/problem+json"

_BARE: Final = r"[!#-+\--:<-~](?:[ !#-+\--:<-~]{0,253}[!#-+\--:<-~])?"
_QUOTED: Final = r'"(?:[ !#-\[\]-~]|\\["\\]){1,255}"'
_TEXT: Final = r"^[^\u0000]*$"

_REFUSED_FIRST: Final = (400, 401, 413, 415)  # before anything is on the log
_BY_THE_LOG: Final = (409, 422, 500, 503, 504)
_OF_A_READ: Final = (400, 401, 503)

_TITLES: Final = {
    400: "Not valid: the key, the query or the body.",
    401: "No known API key.",
    402: "The card was declined; stored under the key, and replayed as the same decline.",
    404: "No such thing.",
    409: "Not possible in this state, in flight, or expired.",
    413: "The body has more than 32 KiB, or its command more than 64 KiB.",
    415: "The body is not application/json.",
    422: "The idempotency key was used for another request.",
    500: "The command could not be decided; not stored under the key.",
    503: "Nothing was sent, or the read model is behind; try again with the same key.",
    504: "The outcome is unknown; try again with the same key to find it out.",
}


def document() -> dict[str, Any]:
    """The whole document; a new one each time, so that a caller may change it."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Payonce",
            "version": "1",
            "description": (
                "Payments that happen once. Send every POST with an Idempotency-Key and repeat it, with"
                " the same key, until there is an answer: the first answer is the only one. Amounts are"
                " integers of minor units. Checks come in this order: route, method, authorization, size,"
                " content type, query, key, body."
            ),
        },
        "security": [{"api_key": []}],
        "paths": _paths(),
        "components": {
            "securitySchemes": {"api_key": {"type": "http", "scheme": "bearer"}},
            "schemas": {**_payloads(), **_resources(), **_problems()},
        },
    }


# -- paths -------------------------------------------------------------------------------------------------


def _paths() -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for path, call in (*_payments(), *_reads(), *_of_the_gateway()):
        paths.setdefault(path, {}).update(call)
    return paths


def _payments() -> Iterator[tuple[str, dict[str, Any]]]:
    for operation in OPERATIONS:
        yield operation.path, {"post": _post(operation)}


def _reads() -> Iterator[tuple[str, dict[str, Any]]]:
    listing = [
        _query("limit", {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}),
        _query("starting_after", {"type": "string"}, "The id of the last charge seen."),
    ]
    yield "/v1/charges", _get("list_charges", "List charges, newest first", "ChargeList", listing)
    yield "/v1/charges/{charge_id}", _get("get_charge", "Get a charge", "Charge", [_path("charge_id")])
    yield "/v1/balance", _get("get_balance", "Balances per currency", "Balance", [], errors=_OF_A_READ)
    life = _get("get_idempotency_key", "The life of an idempotency key", "KeyLife", [_path("key")])
    yield "/v1/idempotency-keys/{key}", life


def _of_the_gateway() -> Iterator[tuple[str, dict[str, Any]]]:
    status = {"$ref": "#/components/schemas/Status"}
    yield "/healthz", _open("healthz", "Is the process alive?", _JSON, status)
    yield "/readyz", _open("readyz", "Can it serve?", _JSON, status, (400, 503))
    yield "/metrics", _open("metrics", "Prometheus metrics", "text/plain", {"type": "string"})
    yield "/docs", _open("docs", "This document as a page", "text/html", {"type": "string"})
    yield "/openapi.json", _open("openapi", "This document", _JSON, {"type": "object"})


def _post(operation: Operation) -> dict[str, Any]:
    """The call of an operation; what it may answer is what the events it may cause are answered with."""
    fresh: dict[str, Any] = {}
    more = {*_REFUSED_FIRST, *_BY_THE_LOG} if operation.begins else {*_REFUSED_FIRST, *_BY_THE_LOG, 404}
    for kind in (kind for kind in CHARGE_EVENTS if kind.cause is operation):
        if kind.answers is Answers.DECLINE:
            more.add(kind.answer_status)
        else:
            fresh[str(kind.answer_status)] = _fresh(kind.answer_status, kind.answers.capitalize())
    needs_body = any(
        field.is_required() for name, field in operation.payload.model_fields.items() if name != "charge_id"
    )
    return {
        "operationId": operation.call,
        "summary": operation.summary,
        "parameters": [_key_header()] if operation.begins else [_path("charge_id"), _key_header()],
        "requestBody": {
            "required": needs_body,
            "content": {_JSON: {"schema": _ref(operation.payload.__name__)}},
        },
        "responses": {**fresh, **_errors(sorted(more))},
    }


def _fresh(status: int, resource: str) -> dict[str, Any]:
    answer = _answer(status, "The answer of the command that was executed, or its replay.", resource)
    answer["headers"] = {
        "Idempotent-Replayed": {
            "description": "`true` on every answer but that of the executing command.",
            "schema": {"const": "true"},
        }
    }
    return answer


def _get(
    name: str,
    summary: str,
    resource: str,
    parameters: list[dict[str, Any]],
    errors: tuple[int, ...] = (*_OF_A_READ, 404),
) -> dict[str, Any]:
    call = {
        "operationId": name,
        "summary": summary,
        "description": "Shows the effect of every answer given before it.",
        "parameters": parameters,
        "responses": {"200": _answer(200, "As the ledger has it.", resource), **_errors(sorted(errors))},
    }
    return {"get": call}


def _open(
    name: str, summary: str, media_type: str, schema: dict[str, Any], errors: tuple[int, ...] = (400,)
) -> dict[str, Any]:
    return {
        "get": {
            "operationId": name,
            "summary": summary,
            "security": [],
            "responses": {
                "200": {"description": "Yes.", "content": {media_type: {"schema": schema}}},
                **_errors(errors),
            },
        }
    }


def _answer(status: int, description: str, resource: str) -> dict[str, Any]:
    return {"description": description, "content": {_JSON: {"schema": _ref(resource)}}}


def _errors(statuses: Any) -> dict[str, Any]:
    return {str(status): _error(status) for status in statuses}


def _error(status: int) -> dict[str, Any]:
    schema = _ref("Declined" if status == 402 else "Problem")
    answer: dict[str, Any] = {
        "description": _TITLES[status],
        "content": {_PROBLEM: {"schema": schema}},
    }
    if status in (503, 504):
        answer["headers"] = {"Retry-After": {"schema": {"type": "string", "pattern": "^[0-9]+$"}}}
    if status == 401:
        answer["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    return answer


# -- parameters --------------------------------------------------------------------------------------------


def _key_header() -> dict[str, Any]:
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "required": True,
        "description": 'One key for one intended effect, quoted or bare: `"abc"` and `abc` are the same.',
        "schema": {"type": "string", "pattern": f"^(?:{_BARE}|{_QUOTED})$"},
    }


def _path(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": "Any text; what is unknown is answered 404.",
        "schema": {"type": "string", "minLength": 1, "pattern": r"^[^\u0000]+$"},
    }


def _query(name: str, schema: dict[str, Any], description: str = "") -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


# -- schemas -----------------------------------------------------------------------------------------------


def _payloads() -> dict[str, Any]:
    """Request bodies: the payloads without what the path adds, and without U+0000 in any text."""
    _, generated = models_json_schema(
        [(operation.payload, "validation") for operation in OPERATIONS],
        ref_template="#/components/schemas/{model}",
    )
    schemas: dict[str, Any] = generated["$defs"]
    for schema in schemas.values():
        schema["properties"].pop("charge_id", None)
        schema["required"] = [name for name in schema.get("required", ()) if name != "charge_id"]
        for part in _parts(schema["properties"]):
            if part.get("type") == "string" and not part.keys() & {"enum", "const", "pattern"}:
                part["pattern"] = _TEXT
            if part.get("type") == "object":
                part["propertyNames"] = {"pattern": _TEXT}
    return schemas


def _parts(schema: Any) -> Iterator[dict[str, Any]]:
    """Every schema inside a schema."""
    if isinstance(schema, dict):
        yield schema
        for part in list(schema.values()):
            yield from _parts(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _parts(part)


def _resources() -> dict[str, Any]:
    _, generated = models_json_schema(
        [(model, "serialization") for model in (Charge, Refund, KeyLife)],
        ref_template="#/components/schemas/{model}",
    )
    schemas: dict[str, Any] = generated["$defs"]
    return {
        **schemas,
        "ChargeList": _object(
            object={"const": "list"},
            data={"type": "array", "items": _ref("Charge"), "maxItems": 100},
            has_more={"type": "boolean"},
        ),
        "Balance": _object(
            object={"const": "balance"},
            balances={
                "type": "array",
                "items": _object(
                    currency={"type": "string"},
                    authorized={"type": "integer", "minimum": 0},
                    captured={"type": "integer", "minimum": 0},
                    refunded={"type": "integer", "minimum": 0},
                    net={"type": "integer"},
                ),
            },
        ),
        "Status": _object(status={"type": "string"}),
    }


def _problems() -> dict[str, Any]:
    members: dict[str, Any] = {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"enum": sorted(CODES)},
    }
    declined = {
        **members,
        "code": {"const": "card_declined"},
        "decline_code": {"type": "string"},
        "charge_id": {"type": "string"},
    }
    return {"Problem": _object(**members), "Declined": _object(**declined)}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}
