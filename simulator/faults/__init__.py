"""What can go wrong on purpose: one fault, one file, one line here (CONTRIBUTING, "Add a fault")."""

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BeforeValidator, Field

from simulator.faults.base import Fault
from simulator.faults.kill_processor import KillProcessor
from simulator.faults.lose_request import LoseRequest
from simulator.faults.lose_response import LoseResponse
from simulator.faults.rewind_offsets import RewindOffsets

FAULTS: Final[tuple[type[Fault], ...]] = (
    KillProcessor,
    LoseRequest,
    LoseResponse,
    RewindOffsets,
)

BY_NAME: Final[dict[str, type[Fault]]] = {fault.model_fields["fault"].default: fault for fault in FAULTS}


def _spelled_out(written: Any) -> Any:
    """A bare name is that fault as it comes."""
    return {"fault": written} if isinstance(written, str) else written


if TYPE_CHECKING:
    AnyFault = Fault
else:
    AnyFault = Annotated[reduce(or_, FAULTS), Field(discriminator="fault"), BeforeValidator(_spelled_out)]
