"""What a scenario file may say.

In:      plain values, as YAML or JSON gives them.
Out:     `Scenario`, frozen; `model_dump(mode="json", by_alias=True)` is the file again.
Units:   durations are text with a unit (`500ms`, `4s`), seconds once read; rates per second; amounts in minor units.
Errors:  pydantic's ValidationError, each with the place of the field.
Source:  docs/scenario.schema.json is made from these models.
"""

import math
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from events.breaks import BREAKS
from events.enforcement import key_required
from events.guarantees import Guarantee
from events.money import CURRENCIES as KNOWN_CURRENCIES
from events.options import duration_ms
from events.payment_methods import PAYMENT_METHODS
from simulator.durations import Seconds
from simulator.faults import AnyFault
from simulator.scenario.thresholds import Threshold, parse_threshold
from simulator.workload.personas import BY_NAME, PERSONAS

VERSION: Final = 1
RATE_MAX: Final = 1_000_000.0
DURATION_S_MAX: Final = 7 * 86_400.0
FIRST_ACTS: Final = ("pay", "hold")
LATER_ACTS: Final = ("capture", "capture_part", "void", "refund", "refund_part")
# What merchants charge in, by share; jpy has no minor unit and kwd has three digits of it.
CURRENCIES: Final = {"eur": 40, "usd": 30, "gbp": 12, "jpy": 10, "kwd": 8}
# Nine cards in ten are good; the others are declined, each for its own reason.
CARDS: Final = {
    "pm_card_visa": 91,
    "pm_card_insufficient_funds": 4,
    "pm_card_declined": 2,
    "pm_card_expired": 1,
    "pm_card_incorrect_cvc": 1,
    "pm_card_processing_error": 1,
}
# What becomes of a purchase: most are paid at once, some are held first, some are given back.
JOURNEYS: Final = {
    "pay": 66,
    "pay + refund": 9,
    "pay + refund_part": 5,
    "hold + capture": 8,
    "hold + capture_part": 4,
    "hold + void": 5,
    "hold + capture + refund": 3,
}

Weight = Annotated[int, Field(ge=0, le=1_000_000)]
Rate = Annotated[float, Field(ge=0.0, le=RATE_MAX)]


def _some(weights: dict[str, int]) -> dict[str, int]:
    if not any(weights.values()):
        raise ValueError("at least one weight must be above 0")
    return weights


Mix = Annotated[dict[str, Weight], AfterValidator(_some)]


def _can_be_judged(text: str) -> str:
    parse_threshold(text)
    return text


Judged = Annotated[str, AfterValidator(_can_be_judged), Field(examples=["p99 < 250ms", "duplicate_charge == 0"])]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Stage(Part):
    """A stretch of the run at one rate of arrivals, or rising (falling) from `rate` to `to`."""

    for_: Annotated[Seconds, Field(alias="for", gt=0.0, le=DURATION_S_MAX)]
    rate: Rate
    to: Rate | None = None

    @property
    def last_rate(self) -> float:
        return self.rate if self.to is None else self.to


class Amounts(Part):
    """Log-normal around `median`, in minor units; a larger `spread` has more small and more large ones."""

    median: Annotated[int, Field(ge=1, le=99_999_999)] = 2_000
    spread: Annotated[float, Field(ge=0.0, le=5.0)] = 1.0
    least: Annotated[int, Field(ge=1)] = 1
    most: Annotated[int, Field(ge=1, le=999_999_999_999)] = 99_999_999

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.least > self.most:
            raise ValueError("`least` is more than `most`")
        return self


class Merchants(Part):
    """How many, and how unequal: the customers of the n-th merchant are as many as n to the power -`zipf`."""

    count: Annotated[int, Field(ge=1, le=10_000)] = 8
    zipf: Annotated[float, Field(ge=0.0, le=5.0)] = 1.1


class Load(Part):
    """Who comes when, and wants what. Arrivals are open loop: nobody waits for anybody else's answer."""

    via: Annotated[
        Literal["http", "kafka"], Field(description="Through the gateways, or commands straight onto the log.")
    ] = "http"
    stages: Annotated[tuple[Stage, ...], Field(min_length=1, max_length=1_000)] = (Stage(for_="30s", rate=60.0),)
    warm_up: Annotated[Seconds, Field(description="At the start; not in the figures.")] = 0.0
    personas: Mix = {persona.name: persona.weight for persona in PERSONAS if persona.weight}
    amounts: Amounts = Amounts()
    currencies: Mix = CURRENCIES
    merchants: Merchants = Merchants()
    cards: Mix = CARDS
    journeys: Annotated[Mix, Field(description="Acts joined by +: pay or hold, then capture, void, refund.")] = JOURNEYS

    @property
    def duration_s(self) -> float:
        return sum(stage.for_ for stage in self.stages)

    @property
    def highest_rate(self) -> float:
        return max(max(stage.rate, stage.last_rate) for stage in self.stages)

    @field_validator("personas")
    @classmethod
    def _personas_exist(cls, mix: dict[str, int]) -> dict[str, int]:
        return _known(mix, "persona", BY_NAME)

    @field_validator("currencies")
    @classmethod
    def _currencies_exist(cls, mix: dict[str, int]) -> dict[str, int]:
        return _known(mix, "currency", KNOWN_CURRENCIES)

    @field_validator("cards")
    @classmethod
    def _cards_exist(cls, mix: dict[str, int]) -> dict[str, int]:
        return _known(mix, "payment method", PAYMENT_METHODS)

    @field_validator("journeys")
    @classmethod
    def _journeys_make_sense(cls, mix: dict[str, int]) -> dict[str, int]:
        for journey in mix:
            first, *later = acts(journey)
            if first not in FIRST_ACTS or not set(later) <= set(LATER_ACTS):
                raise ValueError(
                    f"{journey!r} is not a journey; it begins with {' or '.join(FIRST_ACTS)}, "
                    f"and goes on with {', '.join(LATER_ACTS)}, joined by +"
                )
        return mix

    @model_validator(mode="after")
    def _brings_somebody(self) -> Self:
        if not self.highest_rate:
            raise ValueError("no stage has a rate above 0: nobody would come")
        if self.duration_s > DURATION_S_MAX:
            raise ValueError("the stages last longer than a week")
        if self.warm_up >= self.duration_s:
            raise ValueError("`warm_up` is as long as the run: no figure would be left")
        return self


class System(Part):
    """The stack the customers meet; the command line's options of the same names come before these."""

    guarantee: Guarantee = Guarantee.EXACTLY_ONCE
    partitions: Annotated[int, Field(ge=1, le=10_000)] = 4
    processors: Annotated[int, Field(ge=0, le=64)] = 2
    gateways: Annotated[int, Field(ge=1, le=64)] = 2
    key_ttl: str = "24h"
    enforcement: str = "strict"
    in_flight: Literal["wait", "conflict"] = "wait"
    answer_timeout: str = "20s"
    breaks: Annotated[tuple[str, ...], Field(alias="break")] = ()

    @field_validator("key_ttl", "answer_timeout", mode="before")
    @classmethod
    def _is_a_duration(cls, written: object) -> object:
        if not isinstance(written, str):
            raise ValueError(f"{written!r} has no unit; write for example 500ms, 4s or 15m")
        duration_ms(written)
        return written

    @field_validator("enforcement")
    @classmethod
    def _is_enforcement(cls, text: str) -> str:
        key_required(text)
        return text

    @field_validator("breaks")
    @classmethod
    def _bugs_exist(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        _known(dict.fromkeys(names, 1), "bug", BREAKS)
        return names


class Scenario(Part):
    """One scenario file."""

    version: Annotated[Literal[1], Field(description="Of this format.")] = VERSION
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    about: Annotated[str, Field(max_length=200, description="One line: what it shows.")] = ""
    system: System = System()
    load: Load = Load()
    faults: Annotated[tuple[AnyFault, ...], Field(max_length=100)] = ()
    thresholds: Annotated[tuple[Judged, ...], Field(max_length=100)] = ()

    @model_validator(mode="after")
    def _strikes_while_customers_come(self) -> Self:
        for fault in self.faults:
            for moment_s in (*fault.at, fault.first or 0.0):
                if moment_s >= self.load.duration_s:
                    raise ValueError(f"{fault.name} would strike at {moment_s:g} s, after the last customer has come")
        return self

    @property
    def judged(self) -> tuple[Threshold, ...]:
        return tuple(parse_threshold(text) for text in self.thresholds)

    @property
    def duration_s(self) -> float:
        return self.load.duration_s

    def plain(self) -> dict[str, Any]:
        """The whole scenario, defaults filled in, as JSON has it."""
        return self.model_dump(mode="json", by_alias=True)

    def at_rate(self, rate_per_s: float) -> "Scenario":
        """The same shape with this highest rate."""
        factor = rate_per_s / self.load.highest_rate
        stages = tuple(
            stage.model_copy(
                update={"rate": stage.rate * factor, "to": None if stage.to is None else stage.to * factor}
            )
            for stage in self.load.stages
        )
        return self.model_copy(update={"load": self.load.model_copy(update={"stages": stages})})

    def lasting(self, duration_s: float) -> "Scenario":
        """The same shape in this time: stages and the instants of faults move, how long a fault lasts does not."""
        factor = duration_s / self.duration_s
        stages = tuple(stage.model_copy(update={"for_": stage.for_ * factor}) for stage in self.load.stages)
        load = self.load.model_copy(update={"stages": stages, "warm_up": self.load.warm_up * factor})
        faults = tuple(
            fault.model_copy(
                update={
                    "at": tuple(moment_s * factor for moment_s in fault.at),
                    "first": None if fault.first is None else fault.first * factor,
                }
            )
            for fault in self.faults
        )
        return self.model_copy(update={"load": load, "faults": faults})


def acts(journey: str) -> list[str]:
    """`hold + capture` as its acts, in order."""
    return [act.strip() for act in journey.split("+")]


def mu(amounts: Amounts) -> float:
    """The mean of the logarithm of the amounts."""
    return math.log(amounts.median)


def _known(mix: dict[str, int], what: str, known: Any) -> dict[str, int]:
    for name in mix:
        if name not in known:
            raise ValueError(f"there is no {what} {name!r}; there is {', '.join(sorted(known))}")
    return mix
