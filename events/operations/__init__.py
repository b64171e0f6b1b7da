"""What may be asked for: one operation, one file, one line here (CONTRIBUTING, "Add an operation")."""

from typing import TYPE_CHECKING, Final, Literal

from events.operations.base import Operation
from events.operations.capture_charge import CAPTURE_CHARGE
from events.operations.create_charge import CREATE_CHARGE
from events.operations.create_refund import CREATE_REFUND
from events.operations.void_charge import VOID_CHARGE

OPERATIONS: Final[tuple[Operation, ...]] = (
    CREATE_CHARGE,
    CAPTURE_CHARGE,
    VOID_CHARGE,
    CREATE_REFUND,
)

BY_NAME: Final[dict[str, Operation]] = {operation.name: operation for operation in OPERATIONS}

if TYPE_CHECKING:
    OperationName = str
else:
    OperationName = Literal[tuple(BY_NAME)]  # an enumeration in the published schemas
