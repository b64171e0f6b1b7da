"""What a processor is told by its environment, checked once.

In:      PAYONCE_<OPTION> variables, as containers and the command line set them.
Units:   milliseconds, where a duration was written with a unit.
Errors:  pydantic's ValidationError and InvalidOption; main.py makes one sentence and exit code 2 of them.
Source:  CONTRACT, "The command line".
"""

from typing import Annotated, Any

from pydantic import field_validator
from pydantic_settings import NoDecode

from events.guarantees import Guarantee
from events.options import duration_ms, host_and_port
from services.processor.terms import Terms
from services.starting import ServiceSettings


class Settings(ServiceSettings):
    guarantee: Guarantee = Guarantee.EXACTLY_ONCE
    key_ttl: Annotated[int, NoDecode] = duration_ms("24h")
    listen: Annotated[tuple[str, int] | None, NoDecode] = None  # health and metrics; nobody listens without it

    @field_validator("key_ttl", mode="before")
    @classmethod
    def _duration(cls, value: Any) -> Any:
        return duration_ms(value) if isinstance(value, str) else value

    @field_validator("listen", mode="before")
    @classmethod
    def _address(cls, value: Any) -> Any:
        return host_and_port(value) if isinstance(value, str) else value

    @property
    def terms(self) -> Terms:
        return Terms(self.namespace, self.partitions, self.key_ttl, self.guarantee)
