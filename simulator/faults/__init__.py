"""What can go wrong on purpose: one fault, one file, one line here (CONTRIBUTING, "Add a fault")."""

from typing import Final

from simulator.faults.base import Fault
from simulator.faults.kill_processor import KillProcessor
from simulator.faults.lose_request import LoseRequest
from simulator.faults.lose_response import LoseResponse
from simulator.faults.rewind_offsets import RewindOffsets

FAULTS: Final[tuple[Fault, ...]] = (
    KillProcessor(),
    LoseRequest(),
    LoseResponse(),
    RewindOffsets(),
)

BY_NAME: Final[dict[str, Fault]] = {fault.name: fault for fault in FAULTS}
