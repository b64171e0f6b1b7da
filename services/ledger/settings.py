"""What a ledger is told by its environment, checked once.

In:      PAYONCE_<OPTION> variables, as containers and the command line set them.
Errors:  pydantic's ValidationError and InvalidOption; main.py makes one sentence and exit code 2 of them.
Source:  CONTRACT, "The command line".
"""

from typing import Annotated, Any

from pydantic import field_validator
from pydantic_settings import NoDecode
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from events.options import InvalidOption, host_and_port
from services.readmodel.engine import database_url
from services.starting import ServiceSettings


class Settings(ServiceSettings):
    listen: Annotated[tuple[str, int] | None, NoDecode] = None  # health and metrics; nobody listens without it
    ledger_url: str | None = None

    @field_validator("listen", mode="before")
    @classmethod
    def _address(cls, value: Any) -> Any:
        return host_and_port(value) if isinstance(value, str) else value

    @field_validator("ledger_url")
    @classmethod
    def _database(cls, value: str | None) -> str | None:
        try:
            name = database_url(value).get_backend_name() if value is not None else "sqlite"
        except (ArgumentError, NoSuchModuleError):
            name = "nothing known"
        if name not in ("sqlite", "postgresql"):
            raise InvalidOption("The ledger's URL must begin with sqlite:/// or postgresql://.")
        return value

    @property
    def database_url(self) -> str:
        """Without a URL a SQLite file in the directory."""
        return self.ledger_url or f"sqlite:///{self.dir.absolute() / 'ledger.db'}"
