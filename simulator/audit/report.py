"""The verdict and all it rests on: the stable shape of the audit in `report.json` and on a terminal.

Out:     `Report` and its parts, frozen; `to_json` writes plain values, `from_json` reads them back.
Units:   money in integer minor units per currency; offsets are Kafka's; durations in milliseconds, in fields
         ending _ms.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, Final

from pydantic import TypeAdapter

from simulator.audit.comparison import Comparison
from simulator.audit.key_window import KeyWindow
from simulator.audit.money import Money

SCHEMA_VERSION: Final = 2  # 2: comparison, key_window, rows of a witness, reproduce


class Verdict(StrEnum):
    VALID = "valid"
    UNKNOWN = "unknown"
    INVALID = "invalid"


@dataclass(frozen=True)
class Place:
    """One record that a witness points to."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True)
class Row:
    """One moment of a witness, in the column of whoever it happened to; the others are empty."""

    at: int  # Unix milliseconds
    client: str = ""  # what a customer did, or was told
    gateway: str = ""  # through which gateway
    offsets: str = ""  # the record that was appended, by its place: `charges 0@1: …`
    epoch: str = ""  # who appended it: producer id/epoch of its batch
    broker: str = ""  # the faults that bit in the time of the witness


@dataclass(frozen=True)
class Witness:
    """One case of an anomaly, told from its first record to its last."""

    subject: str  # the intent, key, command or entry it is about
    summary: str
    cause: str | None
    money: Money
    places: tuple[Place, ...]
    timeline: tuple[str, ...]  # a line for each row
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True)
class Anomaly:
    """All cases of one anomaly with one cause; the smallest witnesses come first."""

    name: str
    cause: str | None
    count: int
    money: Money
    witnesses: tuple[Witness, ...]


@dataclass(frozen=True)
class Counts:
    """What was there to judge."""

    intents: int = 0  # things customers meant to do once
    payment_intents: int = 0  # those of them that were to create a charge
    attempts: int = 0  # HTTP requests in the history; 0 without one
    commands: int = 0
    events: Mapping[str, int] = field(default_factory=dict)  # by type
    charges: int = 0  # events that took or held a customer's money: charge.succeeded, charge.authorized
    replies: int = 0
    dead_letters: int = 0
    duplicates: Mapping[str, int] = field(default_factory=dict)  # by cause
    lost: int = 0
    wrong_answers: int = 0
    overcharged: Money = field(default_factory=dict)  # taken beyond the first execution of an intent
    overheld: Money = field(default_factory=dict)  # held beyond it
    overrefunded: Money = field(default_factory=dict)  # given back beyond it
    aborted_records: Mapping[str, int] = field(default_factory=dict)  # by topic
    left_unknown: int = 0  # customers who went away without an answer

    def __add__(self, other: "Counts") -> "Counts":
        """Of two parts that have nothing in common."""
        total: dict[str, Any] = {}
        for member in fields(self):
            one, two = getattr(self, member.name), getattr(other, member.name)
            if isinstance(one, int):
                total[member.name] = one + two
            else:
                total[member.name] = {name: one.get(name, 0) + two.get(name, 0) for name in sorted({**one, **two})}
        return Counts(**total)


@dataclass(frozen=True)
class Repeat:
    """One execution beyond the first of what a customer meant to do once: the second charge, and each after it."""

    at: int  # when it was appended to `charges`
    asked_at: int  # when the command that caused it was appended to `commands`; 0 where that is not known
    intent: str
    merchant_id: str
    type: str  # of the charge event
    charge_id: str
    cause: str
    effect: str  # what it did with the customer's money: taken, held, returned; none
    amount: int
    currency: str
    partition: int  # of `charges`
    offset: int
    first_offset: int  # of the execution that was meant


@dataclass(frozen=True)
class Report:
    """One audit."""

    verdict: Verdict
    guarantee: str
    namespace: str
    counts: Counts
    anomalies: tuple[Anomaly, ...]
    unknown: tuple[str, ...]  # why the verdict cannot be valid although nothing may have been found
    checks: tuple[str, ...]  # that ran to their end
    money_at_stake: Money
    fault_hits: Mapping[str, int] = field(default_factory=dict)
    with_history: bool = False
    with_ledger: bool = False
    repeats: tuple[Repeat, ...] = field(default=(), repr=False, compare=False)  # 100,000 at most; not in the JSON
    comparison: Comparison = field(default_factory=Comparison)
    key_window: KeyWindow = field(default_factory=KeyWindow)
    reproduce: str = ""  # the command that makes the run again; empty without a history

    def to_json(self) -> dict[str, Any]:
        plain = asdict(replace(self, repeats=()))
        del plain["repeats"]
        plain["verdict"] = self.verdict.value
        return {"schema": SCHEMA_VERSION, **plain}

    def found(self, name: str, cause: str | None = None) -> int:
        """How many cases of an anomaly (and cause) there are."""
        return sum(
            anomaly.count
            for anomaly in self.anomalies
            if anomaly.name == name and (cause is None or anomaly.cause == cause)
        )

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Report":
        """Raises ValueError where it is no report, or of another version."""
        if plain.get("schema") != SCHEMA_VERSION:
            raise ValueError(f"this audit report has schema {plain.get('schema')!r}, not {SCHEMA_VERSION}")
        return _REPORT.validate_python({name: value for name, value in plain.items() if name != "schema"})


_REPORT: Final = TypeAdapter(Report)
