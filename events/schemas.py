"""JSON Schemas of everything the contract says, made from the models: `python -m events.schemas docs/events`.

Out:     one file a model, and asyncapi.json; a test fails when the committed ones are stale.
"""

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from events.asyncapi import asyncapi
from events.charges import Charge, ChargeEvent, Refund
from events.commands import CaptureCharge, Command, CreateCharge, CreateRefund, VoidCharge
from events.keys import KeyLife, KeyRecord, PositionRecord
from events.replies import Reply

MODELS: tuple[type[BaseModel], ...] = (
    CaptureCharge,
    Charge,
    ChargeEvent,
    Command,
    CreateCharge,
    CreateRefund,
    KeyLife,
    KeyRecord,
    PositionRecord,
    Refund,
    Reply,
    VoidCharge,
)


def schemas() -> dict[str, dict[str, Any]]:
    """File name to document."""
    documents = {
        f"{model.__name__}.schema.json": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            **model.model_json_schema(mode="serialization"),
        }
        for model in MODELS
    }
    return {**documents, "asyncapi.json": asyncapi()}


def written(document: dict[str, Any]) -> str:
    """A document as it stands in its file."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, document in schemas().items():
        (folder / name).write_text(written(document), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
