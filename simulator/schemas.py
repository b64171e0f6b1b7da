"""What the simulator reads and writes, as JSON Schema: `python -m simulator.schemas docs`.

Out:     one file for each document; a test fails when the committed ones are stale.
"""

import json
import sys
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from simulator.scenario.models import Scenario

DOCUMENTS: Final[dict[str, type[BaseModel]]] = {
    "scenario.schema.json": Scenario,
}


def published() -> dict[str, str]:
    """File name to text."""
    return {name: _written(model) for name, model in DOCUMENTS.items()}


def _written(model: type[BaseModel]) -> str:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **model.model_json_schema(mode="validation", by_alias=True),
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name, text in published().items():
        (Path(sys.argv[1]) / name).write_text(text, encoding="utf-8")
