"""What every service does before it serves: settings from the environment, one sentence for a wrong one, a socket.

In:      PAYONCE_ variables (CONTRACT, "The command line").
Out:     the settings all services share, a bound socket, a sentence.
Errors:  InvalidOption and pydantic's ValidationError; `main` turns both into one sentence and exit code 2.
"""

import asyncio
import socket
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from events.breaks import bugs_named
from events.options import ENVIRONMENT_PREFIX, InvalidOption
from events.options import namespace as checked_namespace

Result = TypeVar("Result")


class ServiceSettings(BaseSettings):
    """What each service is told; built only in `main`, passed on as plain values."""

    model_config = SettingsConfigDict(env_prefix=ENVIRONMENT_PREFIX, frozen=True, env_ignore_empty=True)

    kafka: str
    kafka_security: Path | None = None
    namespace: Annotated[str, BeforeValidator(checked_namespace)] = "payments"
    partitions: Annotated[int, Field(ge=1, le=10_000)] = 4
    dir: Path = Path(".payonce")
    breaks: Annotated[frozenset[str], NoDecode, Field(validation_alias="PAYONCE_BREAK")] = frozenset()

    @field_validator("breaks", mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        return frozenset(bugs_named(value)) if isinstance(value, str) else value

    @property
    def kafka_properties(self) -> str | None:
        """The text of the client.properties file; raises OSError when it cannot be read."""
        return self.kafka_security.read_text() if self.kafka_security is not None else None


def wrong_setting(error: ValidationError) -> str:
    """The first complaint about the environment, by the name of its variable."""
    first = error.errors(include_url=False, include_input=False)[0]
    name = ENVIRONMENT_PREFIX + "_".join(map(str, first["loc"])).upper().removeprefix(ENVIRONMENT_PREFIX)
    return f"{name}: {first['msg'].removeprefix('Value error, ').rstrip('.')}."


def listening_socket(host: str, port: int) -> socket.socket:
    """Bound before anything else, so that a taken port is said at once and port 0 is known.

    SO_REUSEADDR lets a successor have the port at once.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise InvalidOption(f"Cannot listen on {host}:{port}: {error.strerror}.") from None
    return listener


def address_of(listener: socket.socket) -> str:
    return "{}:{}".format(*listener.getsockname()[:2])


async def unless_stopped(stopped: asyncio.Event, work: Coroutine[Any, Any, Result]) -> Result | None:
    """What the work comes to; None, and the work is cancelled, when the service is stopped before."""
    working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stopped.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if working.done():
        return working.result()
    working.cancel()
    return None
