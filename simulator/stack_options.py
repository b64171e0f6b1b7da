"""The options of a stack as values, and what they mean for each service: its environment.

In:      StackOptions; the environment of this process.
Out:     one environment per service, with exactly the PAYONCE_ variables that were decided.
Errors:  UsageFailure for security settings that cannot be read.
Source:  CONTRACT, "Common options"; events.options has names, defaults and help.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from events.connection import InvalidConnection, KafkaConnection, connection
from events.options import ENVIRONMENT_PREFIX, OPTIONS, duration_ms
from simulator.failure import UsageFailure

DEADLINE_AFTER_MS = 60_000  # CONTRACT: a command's deadline is the answer time-out + 60 s


@dataclass(frozen=True)
class StackOptions:
    """The common options of CONTRACT, as values."""

    dir: Path = Path(".payonce")
    kafka: str = "embedded"
    kafka_security: Path | None = None
    kafka_proxy: str | None = None  # HOST:PORT of a fault proxy that the services go through
    namespace: str = "payments"
    guarantee: str = "exactly-once"
    partitions: int = 4
    processors: int = 1
    gateways: int = 1
    ledgers: int = 1
    merchants: int = 8
    api_keys: Path | None = None
    listen: str | None = None  # of the first gateway; the others take the ports after it
    ledger_url: str | None = None  # SQLite in `dir` when absent
    key_ttl: str = "24h"
    enforcement: str = "strict"
    in_flight: str = "wait"
    answer_timeout: str = "20s"
    breaks: tuple[str, ...] = ()
    processor: tuple[str, ...] = ()  # the command of somebody's own processor; ours when empty
    environment: Mapping[str, str] = field(default_factory=dict)  # more for every service


def cautions(options: StackOptions) -> list[str]:
    """What is allowed and yet may surprise, one sentence each."""
    window_ms, in_doubt_ms = duration_ms(options.key_ttl), duration_ms(options.answer_timeout) + DEADLINE_AFTER_MS
    if window_ms >= in_doubt_ms:
        return []
    sentence = (
        f"Keys live {options.key_ttl}, shorter than the {in_doubt_ms // 1_000} s in which a late copy of a command may "
        "still be executed: a copy that comes after the key's life charges again."
    )
    return [sentence]


def service_environment(
    options: StackOptions,
    *,
    kafka: str,
    directory: Path,
    listen: str | None,
    api_keys: Path | None,
    ledger_url: str | None,
) -> dict[str, str]:
    """The environment of one service: ours without any PAYONCE_ variable, then exactly what was decided."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ENVIRONMENT_PREFIX)}
    decided = {
        "kafka": kafka,
        "kafka-security": _absolute(options.kafka_security),
        "namespace": options.namespace,
        "guarantee": options.guarantee,
        "partitions": str(options.partitions),
        "key-ttl": options.key_ttl,
        "dir": str(directory),
        "listen": listen,
        "api-keys": _absolute(api_keys),
        "ledger-url": ledger_url,
        "enforcement": options.enforcement,
        "in-flight": options.in_flight,
        "answer-timeout": options.answer_timeout,
        "break": ",".join(options.breaks) or None,
    }
    ours = {OPTIONS[name].environment: value for name, value in decided.items() if value is not None}
    return inherited | ours | dict(options.environment)


def _absolute(path: Path | None) -> str | None:
    return None if path is None else str(path.absolute())


def kafka_connection(bootstrap_servers: str, security: Path | None) -> KafkaConnection:
    """How to reach a cluster, with the settings of a client.properties file where there is one."""
    try:
        return connection(bootstrap_servers, security.read_text() if security else None)
    except (InvalidConnection, UnicodeDecodeError) as error:
        raise UsageFailure(str(error)) from None
    except OSError as error:
        raise UsageFailure(f"The Kafka security settings {security} cannot be read: {error.strerror}.") from None
