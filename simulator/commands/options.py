"""Make command-line options from the one table of options, and values from what was typed.

In:      text from the command line or from PAYONCE_ variables.
Out:     `takes(...)`: a decorator that gives a command one `Given` with every option as a checked value.
Units:   `key_ttl` and `answer_timeout` stay text (services read them again), `duration_s` is in seconds.
Errors:  UsageFailure, one sentence that names the option.
Source:  CONTRACT, "Common options"; events.options.OPTIONS.
"""

import functools
import inspect
import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from events.breaks import BREAKS, bugs_named
from events.guarantees import Guarantee
from events.options import OPTIONS, InvalidOption, duration_ms, host_and_port, namespace
from simulator.failure import UsageFailure

SERVICE = (
    "kafka",
    "kafka-security",
    "namespace",
    "guarantee",
    "partitions",
    "api-keys",
    "listen",
    "ledger-url",
    "key-ttl",
    "enforcement",
    "in-flight",
    "answer-timeout",
    "break",
    "dir",
)
STACK = (*SERVICE[:5], "processors", "gateways", "merchants", *SERVICE[5:])
WHERE = ("dir", "kafka", "kafka-security", "namespace", "json")
LOAD = ("seed", "rate", "duration", "via", "load-processes")
SIMULATE = (*LOAD, "find-max")
IN_SCENARIOS = (
    "guarantee",
    "partitions",
    "processors",
    "gateways",
    "merchants",
    "key-ttl",
    "enforcement",
    "in-flight",
    "answer-timeout",
    "break",
    "rate",
    "duration",
    "via",
)
# A zero too many must not take the machine down: every process is some 70 MB, every merchant has a key.
MAX_PROCESSES = 64
MAX_MERCHANTS = 10_000
MAX_PARTITIONS = 10_000


@dataclass(frozen=True)
class Given:
    """Every common option, as typed, as an environment variable said, or as its default."""

    kafka: str
    kafka_security: Path | None
    namespace: str
    guarantee: str  # empty where the command says that it may be found out
    partitions: int
    processors: int
    gateways: int
    merchants: int
    api_keys: Path | None
    listen: str | None
    ledger_url: str | None
    key_ttl: str
    enforcement: str
    in_flight: str
    answer_timeout: str
    breaks: tuple[str, ...]
    seed: int
    rate: float
    duration_s: float
    via: str
    load_processes: int
    find_max: str | None
    dir: Path
    json: bool
    typed: frozenset[str] = frozenset()  # the options that were said, here or in the environment


Value = TypeVar("Value")


def takes(
    *names: str, left_open: Collection[str] = (), **defaults: str
) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """The command's first argument becomes a Given of these options; its others stay its own.

    `defaults` are those of this command where they differ from the table's. What is `left_open` has none: when
    it is not typed the command finds its value elsewhere, in a scenario.
    """

    def decorate(command: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(command)
        def run(**typed: Any) -> int:
            texts = {name: typed.pop(_parameter(name)) for name in names}
            return command(given(texts, defaults), **typed)

        own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
        own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
        options = [_typer_parameter(name, defaults, name in left_open) for name in names]
        signature = inspect.Signature([*own, *options])
        run.__signature__ = signature  # type: ignore[attr-defined]
        run.__annotations__ = {}
        return run

    return decorate


def given(texts: Mapping[str, Any], defaults: Mapping[str, str] | None = None) -> Given:
    """Values from texts; what was not typed has its default. Raises UsageFailure."""
    known = {name: option.default for name, option in OPTIONS.items()}
    known |= {name.replace("_", "-"): value for name, value in (defaults or {}).items()}
    typed = {name: text for name, text in texts.items() if text not in (None, (), False)}
    merged: dict[str, Any] = known | typed
    try:
        return Given(
            kafka=_named("kafka", _kafka, merged["kafka"]),
            kafka_security=_file("kafka-security", merged["kafka-security"]),
            namespace=_named("namespace", namespace, merged["namespace"]),
            guarantee=_one_of("guarantee", merged["guarantee"], list(Guarantee)) if merged["guarantee"] else "",
            partitions=_count("partitions", merged["partitions"], at_least=1, at_most=MAX_PARTITIONS),
            processors=_count("processors", merged["processors"], at_least=0, at_most=MAX_PROCESSES),
            gateways=_count("gateways", merged["gateways"], at_least=1, at_most=MAX_PROCESSES),
            merchants=_count("merchants", merged["merchants"], at_least=1, at_most=MAX_MERCHANTS),
            api_keys=_file("api-keys", merged["api-keys"]),
            listen=_named("listen", _address, merged["listen"]),
            ledger_url=_named("ledger-url", _ledger_url, merged["ledger-url"]),
            key_ttl=_duration("key-ttl", merged["key-ttl"]),
            enforcement=_named("enforcement", _enforcement, merged["enforcement"]),
            in_flight=_one_of("in-flight", merged["in-flight"], ["wait", "conflict"]),
            answer_timeout=_duration("answer-timeout", merged["answer-timeout"]),
            breaks=_named("break", _breaks, merged["break"]),
            seed=_count("seed", merged["seed"], at_least=0),
            rate=_rate(merged["rate"]),
            duration_s=duration_ms(_duration("duration", merged["duration"])) / 1000,
            via=_one_of("via", merged["via"], ["http", "kafka"]),
            load_processes=_count("load-processes", merged["load-processes"], at_least=1, at_most=MAX_PROCESSES),
            find_max=merged["find-max"],
            dir=_named("dir", _directory, merged["dir"]),
            json=bool(merged["json"]),
            typed=frozenset(typed),
        )
    except InvalidOption as error:
        raise UsageFailure(str(error)) from None


def _parameter(name: str) -> str:
    return f"{name.replace('-', '_')}_"  # `break` and `json` are taken


def _typer_parameter(name: str, defaults: Mapping[str, str], is_open: bool) -> inspect.Parameter:
    option = OPTIONS[name]
    default: Any = defaults.get(name.replace("-", "_"), option.default)
    kind: Any = str | None
    if name == "json":
        kind, default = bool, False
    elif name == "break":
        kind, default = list[str] | None, None
    elif is_open:
        default = None
    text = f"{option.help} [default: the scenario's]" if is_open else option.help
    if name == "break":
        text = f"{text} There are {', '.join(BREAKS)}."
    info = typer.Option(f"--{name}", envvar=option.environment, metavar=option.metavar or None, help=text)
    return inspect.Parameter(
        _parameter(name), inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, info]
    )


def _named(name: str, read: Callable[[Any], Value], text: str | None) -> Value:
    """What `read` makes of a text; what it objects to begins with the option's name."""
    try:
        return read(text)
    except InvalidOption as error:
        raise UsageFailure(f"--{name}: {error}") from None


def _kafka(text: str) -> str:
    if text in ("embedded", "docker"):
        return text
    for server in text.split(","):
        try:
            host_and_port(server.strip())
        except InvalidOption:
            raise InvalidOption(f"{server!r} is neither embedded nor docker nor HOST:PORT.") from None
    return text


def _ledger_url(text: str | None) -> str | None:
    if text is not None and re.match(r"(sqlite|postgresql|postgres)(\+\w+)?://", text) is None:
        raise InvalidOption("The ledger's URL must begin with sqlite:/// or postgresql://.")
    return text


def _enforcement(text: str) -> str:
    if text not in ("strict", "optional"):
        from events.enforcement import key_required  # noqa: PLC0415  its table of operations needs pydantic

        key_required(text)
    return text


def _directory(text: str) -> Path:
    if not text:
        raise InvalidOption("a directory has a name.")
    return Path(text)


def _file(name: str, text: str | None) -> Path | None:
    if text is None:
        return None
    path = Path(text)
    if not path.is_file():
        raise UsageFailure(f"--{name}: there is no file {text}.")
    return path


def _one_of(name: str, text: str, allowed: list[str]) -> str:
    if text not in allowed:
        raise UsageFailure(f"--{name} must be one of {', '.join(allowed)}, not {text!r}.")
    return text


def _count(name: str, text: str, at_least: int, at_most: int | None = None) -> int:
    try:
        number = int(text)
    except ValueError:
        number = at_least - 1
    if number < at_least or (at_most is not None and number > at_most):
        allowed = f"{at_least} or more" if at_most is None else f"{at_least} to {at_most}"
        raise UsageFailure(f"--{name} must be a whole number, {allowed}, not {text!r}.")
    return number


def _rate(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not math.isfinite(number) or number <= 0:
        raise UsageFailure(f"--rate must be a number above 0, not {text!r}.")
    return number


def _duration(name: str, text: str) -> str:
    _named(name, duration_ms, text)
    return text


def _address(text: str | None) -> str | None:
    if text is not None:
        host_and_port(text)
    return text


def _breaks(texts: list[str] | None) -> tuple[str, ...]:
    return bugs_named(",".join(texts or ()))
