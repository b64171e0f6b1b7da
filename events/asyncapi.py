"""The AsyncAPI document of the log: every topic once, with its key, its cleanup policy and its one kind of writer.

Source:  AsyncAPI 3.0.0, Kafka bindings 0.5.0. Made from `events.topics` and the models, never written by hand.
"""

from typing import Any

from pydantic.json_schema import models_json_schema

from events.charges import ChargeEvent
from events.commands import Command
from events.keys import KeyRecord, PositionRecord
from events.replies import Reply
from events.topics import TOPICS

_VALUES = {
    "commands": (Command,),
    "keys": (KeyRecord, PositionRecord),
    "charges": (ChargeEvent,),
    "replies": (Reply,),
    "dead-letters": (),
}
_HEADERS = {
    "commands": ("reply_to", "traceparent"),
    "replies": ("reply_to", "traceparent"),
    "charges": ("ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "traceparent"),
    "dead-letters": ("topic", "partition", "offset", "reason"),
    "keys": (),
}
_BYTES = {"type": "string", "contentEncoding": "binary", "description": "the bytes as received"}


def asyncapi(namespace: str = "payments") -> dict[str, Any]:
    """The document for one namespace."""
    every = [model for models in _VALUES.values() for model in models]
    _, definitions = models_json_schema(
        [(model, "serialization") for model in every], ref_template="#/components/schemas/{model}"
    )
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Payonce: the log", "version": "1", "license": {"name": "Apache-2.0"}},
        "defaultContentType": "application/json",
        "channels": {name: _channel(namespace, name) for name in TOPICS},
        "operations": {
            f"{topic.written_by}-sends-{name}": {"action": "send", "channel": {"$ref": f"#/channels/{name}"}}
            for name, topic in TOPICS.items()
        },
        "components": {"schemas": definitions["$defs"]},
    }


def _channel(namespace: str, name: str) -> dict[str, Any]:
    topic = TOPICS[name]
    payloads = [{"$ref": f"#/components/schemas/{model.__name__}"} for model in _VALUES[name]] or [_BYTES]
    message = {
        "headers": {"type": "object", "properties": {header: {"type": "string"} for header in _HEADERS[name]}},
        "payload": payloads[0] if len(payloads) == 1 else {"oneOf": payloads},
        "bindings": {"kafka": {"key": {"type": "string", "description": topic.key}, "bindingVersion": "0.5.0"}},
    }
    configuration = {
        "cleanup.policy": topic.required["cleanup.policy"].split(","),
        "max.message.bytes": int(topic.required["max.message.bytes"]),
    }
    return {
        "address": f"{namespace}.{name}",
        "description": f"Written by the {topic.written_by} alone. Read it with isolation.level=read_committed.",
        "messages": {name: message},
        "bindings": {"kafka": {"topicConfiguration": configuration, "bindingVersion": "0.5.0"}},
    }
