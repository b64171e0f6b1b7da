"""What a gateway is told by its environment, checked once.

In:      PAYONCE_<OPTION> variables, as containers and the command line set them.
Units:   durations in milliseconds after parsing.
Errors:  pydantic's ValidationError and InvalidOption; main.py makes one sentence and exit code 2 of them.
Source:  CONTRACT, "The command line".
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator
from pydantic_settings import NoDecode

from events.enforcement import key_required
from events.options import InvalidOption, duration_ms, host_and_port
from services.starting import ServiceSettings

Duration = Annotated[int, BeforeValidator(lambda text: duration_ms(text) if isinstance(text, str) else text)]


class Settings(ServiceSettings):
    listen: Annotated[tuple[str, int], NoDecode] = ("127.0.0.1", 0)
    api_keys: Path
    ledger_url: str | None = None
    enforcement: Annotated[dict[str, bool], NoDecode] = Field(default_factory=lambda: key_required("strict"))
    in_flight: Literal["wait", "conflict"] = "wait"
    answer_timeout: Duration = 20_000

    @field_validator("listen", mode="before")
    @classmethod
    def _address(cls, value: Any) -> Any:
        return host_and_port(value) if isinstance(value, str) else value

    @field_validator("enforcement", mode="before")
    @classmethod
    def _enforcement(cls, value: Any) -> Any:
        return key_required(value) if isinstance(value, str) else value

    @field_validator("ledger_url")
    @classmethod
    def _database(cls, value: str | None) -> str | None:
        if value is None or value.startswith("sqlite:///"):
            return value
        # Half a second of imports, which a gateway has behind it only when it is ready already (Gateway.reading).
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError  # noqa: PLC0415

        from services.readmodel.engine import database_url  # noqa: PLC0415

        try:
            name = database_url(value).get_backend_name()
        except (ArgumentError, NoSuchModuleError):
            name = "nothing known"
        if name not in ("sqlite", "postgresql"):
            raise InvalidOption("The ledger's URL must begin with sqlite:/// or postgresql://.")
        return value

    @property
    def database_url(self) -> str:
        """The ledger's database; without a URL, where a ledger with the same directory puts it."""
        return self.ledger_url or f"sqlite:///{self.dir.absolute() / 'ledger.db'}"
