"""The options of the command line, once: the command line and every service's environment are made from this table.

In:      text, as a person or a container writes it.
Out:     values; durations in milliseconds.
Errors:  InvalidOption, one sentence.
Source:  CONTRACT, "The command line": each option has an environment variable PAYONCE_<OPTION>; an unknown one is an
         error.
"""

import difflib
import re
from collections.abc import Iterable
from typing import Final, NamedTuple

ENVIRONMENT_PREFIX: Final = "PAYONCE_"


class Option(NamedTuple):
    name: str  # as on the command line, without the dashes
    default: str | None
    metavar: str
    help: str

    @property
    def environment(self) -> str:
        return ENVIRONMENT_PREFIX + self.name.upper().replace("-", "_")


OPTIONS: Final[dict[str, Option]] = {
    option.name: option
    for option in (
        Option("kafka", "embedded", "embedded|docker|HOST:PORT", "Where Kafka comes from."),
        Option("kafka-security", None, "FILE", "TLS and SASL settings (client.properties) for HOST:PORT."),
        Option("namespace", "payments", "NAME", "The topics are NAME.commands, NAME.keys, and so on."),
        Option(
            "guarantee",
            "exactly-once",
            "GUARANTEE",
            "at-most-once, at-least-once, deduplicated or exactly-once.",
        ),
        Option("partitions", "4", "N", "Partitions of every topic; fixed when the namespace is created."),
        Option("processors", "1", "N", "Processor processes."),
        Option("gateways", "1", "N", "Gateway processes."),
        Option("merchants", "8", "N", "Merchants with an API key, where no key file is given."),
        Option("api-keys", None, "FILE", "JSON object of merchant id to API key."),
        Option("listen", None, "HOST:PORT", "Where the (first) gateway listens."),
        Option("ledger-url", None, "URL", "SQLAlchemy URL of the ledger's database (default: SQLite in DIR)."),
        Option(
            "key-ttl",
            "24h",
            "DURATION",
            "How long an idempotency key is valid; fixed when the namespace is created.",
        ),
        Option(
            "enforcement",
            "strict",
            "strict|optional",
            "Whether a call without a key is refused; per operation: strict,OPERATION=optional.",
        ),
        Option(
            "in-flight",
            "wait",
            "wait|conflict",
            "What a duplicate gets while the first is in flight: its answer, or 409.",
        ),
        Option("answer-timeout", "20s", "DURATION", "How long a call waits for its answer before 504."),
        Option("break", None, "NAME", "Switch a named bug on, to see it convicted."),
        Option("seed", "1", "N", "Fixes customers, amounts and faults."),
        Option("rate", "60", "N", "Payment intents per second."),
        Option("duration", "30s", "DURATION", "How long customers come."),
        Option("via", "http", "http|kafka", "How customers come: through the gateways, or commands onto the log."),
        Option("find-max", None, "THRESHOLD", "Find the highest rate at which it holds: 'p99<100ms'."),
        Option("load-processes", "1", "N", "Processes that make the load; each plans and measures its part."),
        Option("dir", ".payonce", "DIR", "Holds everything a run leaves; never shared by two."),
        Option("json", None, "", "Machine-readable output."),
    )
}
ENVIRONMENT: Final = frozenset(option.environment for option in OPTIONS.values())

_UNITS_MS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(\d{1,12})(ms|s|m|h|d)\Z")
_NAMESPACE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,199}\Z")  # what Kafka allows, and room for the topic's own name


class InvalidOption(ValueError):
    """A value, or a variable, that cannot be meant."""


def duration_ms(text: str) -> int:
    """`1500ms`, `20s`, `15m`, `24h`, `7d` in milliseconds; raises InvalidOption."""
    match = _DURATION.match(text.strip())
    if match is None or int(match[1]) == 0:
        raise InvalidOption(f"{text!r} is not a duration; write for example 1500ms, 20s, 15m, 24h or 7d.")
    return int(match[1]) * _UNITS_MS[match[2]]


def namespace(text: str) -> str:
    """A namespace that can begin topic names; raises InvalidOption."""
    if _NAMESPACE.match(text) is None:
        raise InvalidOption(f"{text!r} cannot be a namespace; use letters, digits, dot, dash and underscore.")
    return text


def host_and_port(text: str) -> tuple[str, int]:
    """`127.0.0.1:8080`; port 0 lets the system choose; raises InvalidOption."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise InvalidOption(f"{text!r} is not HOST:PORT; write for example 127.0.0.1:8080.")
    return host.strip("[]"), int(port)


def refuse_unknown_environment(names: Iterable[str]) -> None:
    """Raise InvalidOption when a variable under our prefix is not an option: a typo must not be a silent default."""
    for name in sorted(names):
        if name.startswith(ENVIRONMENT_PREFIX) and name not in ENVIRONMENT:
            near = difflib.get_close_matches(name, ENVIRONMENT, n=1)
            hint = f"; did you mean {near[0]}?" if near else "."
            raise InvalidOption(f"The environment variable {name} is not an option of payonce{hint}")
