"""What a processor is told by its environment, checked once.

In:      PAYONCE_<OPTION> variables, as containers and the command line set them.
Units:   milliseconds, where a duration was written with a unit.
Errors:  pydantic's ValidationError and InvalidOption; main.py makes one sentence and exit code 2 of them.
Source:  CONTRACT, "The command line".
"""

from typing import Annotated, Any

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from events.breaks import BREAKS
from events.guarantees import Guarantee
from events.options import InvalidOption, duration_ms, host_and_port
from services.processor.terms import Terms
from services.starting import ServiceSettings

OUR_BREAKS = frozenset(BREAKS) - {"skip-posting", "unbalanced-entry"}


class Settings(ServiceSettings):
    guarantee: Guarantee = Guarantee.EXACTLY_ONCE
    key_ttl: Annotated[int, NoDecode] = duration_ms("24h")
    listen: Annotated[tuple[str, int] | None, NoDecode] = None  # health and metrics; nobody listens without it
    breaks: Annotated[frozenset[str], NoDecode, Field(validation_alias="PAYONCE_BREAK")] = frozenset()

    @field_validator("key_ttl", mode="before")
    @classmethod
    def _duration(cls, value: Any) -> Any:
        return duration_ms(value) if isinstance(value, str) else value

    @field_validator("listen", mode="before")
    @classmethod
    def _address(cls, value: Any) -> Any:
        return host_and_port(value) if isinstance(value, str) else value

    @field_validator("breaks", mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        names = frozenset(name.strip() for name in value.split(",") if name.strip())
        for name in sorted(names - BREAKS.keys()):
            raise InvalidOption(f"{name!r} is not a bug that can be switched on; known are {', '.join(BREAKS)}.")
        return names & OUR_BREAKS

    @property
    def terms(self) -> Terms:
        return Terms(self.namespace, self.partitions, self.key_ttl, self.guarantee, self.breaks)
