"""What the simulator reads and writes as JSON Schema, its customers and its faults: `python -m simulator.schemas docs`.

Out:     one file for each document, personas.md and faults.md; a test fails when the committed ones are stale.
"""

import json
import sys
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from simulator.fault_page import fault_page
from simulator.report.defences_model import DefencesReport
from simulator.report.model import RunReport
from simulator.scenario.models import Scenario
from simulator.workload.persona_page import persona_page

DOCUMENTS: Final[dict[str, type[BaseModel]]] = {
    "defences.schema.json": DefencesReport,
    "report.schema.json": RunReport,
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
    for name, text in (published() | {"personas.md": persona_page(), "faults.md": fault_page()}).items():
        (Path(sys.argv[1]) / name).write_text(text, encoding="utf-8")
