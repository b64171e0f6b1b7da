"""All that is published of the contract, made from models and declarations: `python -m events.schemas docs/events`.

Out:     a JSON Schema for each model, asyncapi.json, and charge-events.md; a test fails when the committed ones are
         stale.
"""

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from events.asyncapi import asyncapi
from events.charges import Charge, ChargeEvent, Refund
from events.commands import Command
from events.event_page import event_page
from events.keys import KeyLife, KeyRecord, PositionRecord
from events.operations import OPERATIONS
from events.replies import Reply

MODELS: tuple[type[BaseModel], ...] = (
    Charge,
    ChargeEvent,
    Command,
    KeyLife,
    KeyRecord,
    PositionRecord,
    Refund,
    Reply,
    *(operation.payload for operation in OPERATIONS),
)


def published() -> dict[str, str]:
    """File name to text."""
    documents = {
        f"{model.__name__}.schema.json": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            **model.model_json_schema(mode="serialization"),
        }
        for model in MODELS
    }
    return {
        **{name: _written(document) for name, document in documents.items()},
        "asyncapi.json": _written(asyncapi()),
        "charge-events.md": event_page(),
    }


def _written(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in published().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
