"""What an operation declares: how it is called, what it may carry, when it is possible, how much it may move.

A declaration is data. The gateway, the processor and the auditor each read it with code of their own, and none of
them names an operation (CONTRIBUTING, "Add an operation").
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict


class Payload(BaseModel):
    """The HTTP body as received, plus `charge_id` where the path has it."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Limit(NamedTuple):
    """How much may be asked for, and what is meant when nothing is: the charge's member `of`, without its `less`."""

    of: str
    less: str | None = None
    beyond: str | None = None  # the code of a refusal; None where the payload cannot ask for an amount


@dataclass(frozen=True, kw_only=True)
class Operation:
    name: str  # the command's type on the log
    call: str  # in OpenAPI, metrics and logs
    summary: str
    path: str  # of its POST; without {charge_id} it begins a charge
    payload: type[Payload]
    limit: Limit | None = None  # None for one that begins a charge: its payload says the amount
    allowed_in: tuple[str, ...] = ()  # statuses of the charge; in all others it is refused ...
    refusals: Mapping[str, str] = field(default_factory=dict)  # ... with this code, or with the status's own

    @property
    def begins(self) -> bool:
        """Whether it makes a charge, rather than being about one."""
        return "{charge_id}" not in self.path
