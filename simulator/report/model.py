"""What report.json says, version 1: the models its published JSON Schema is made from.

In:      the plain values of a report.json.
Out:     `RunReport`; docs/report.schema.json.
Units:   in each description; money in integer minor units by lower-case currency code, instants in Unix milliseconds.
Errors:  pydantic's ValidationError for what is no report of this version.

Readers ignore members that they do not know: what is added later does not change the version, what is taken away or
means something else does. The dataclasses of simulator/audit/report.py and the run itself write the file; a test holds
real runs against these models, and finds members that are not described here.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0)]
Money = Annotated[dict[str, int], Field(description="Minor units by lower-case ISO 4217 code.")]
Percentiles = Annotated[
    dict[str, float | None], Field(description="Milliseconds by percentile; null where nothing was measured.")
]
Numbers = dict[str, float | int | None]


class Part(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class Run(Part):
    """What was run, on what."""

    seed: int
    guarantee: Literal["at-most-once", "at-least-once", "deduplicated", "exactly-once"]
    namespace: str
    scenario: str
    scenario_file: Annotated[dict[str, Any], Field(description="The scenario, whole; docs/scenario.schema.json.")]
    rate_per_s: Annotated[float, Field(description="Purchases planned a second, at the most.")]
    duration_s: float
    faults: list[str]
    key_ttl_ms: int
    partitions: Count
    processor: Annotated[str | None, Field(description="The command of a processor that is not Payonce's own.")] = None
    processors: Count
    gateways: Count
    command: Annotated[str, Field(description="As it was typed, without passwords.")]
    versions: dict[str, str]
    machine: dict[str, Any]
    started_at: int


class Load(Part):
    """What the customers did and heard."""

    purchases_planned: Count
    purchases_begun: Count
    purchases_dropped: Annotated[int, Field(ge=0, description="Did not come: too many others were waiting.")]
    intents: Annotated[int, Field(ge=0, description="Operations meant to happen once.")]
    answered: Annotated[int, Field(ge=0, description="Of these, answered in the end.")]
    unanswered: Count
    attempts: Annotated[int, Field(ge=0, description="HTTP requests.")]
    outcomes: Annotated[dict[str, Count], Field(description="Requests by how they ended: ok, fail, info (unknown).")]
    statuses: Annotated[dict[str, Count], Field(description="Answers by HTTP status.")]
    replays: Annotated[int, Field(ge=0, description="Answers marked Idempotent-Replayed.")]
    throughput_per_s: float
    latency_ms: Annotated[
        Percentiles, Field(description="Of operations, from the planned instant to the answer that settled them.")
    ]
    warm_up_s: Annotated[float | None, Field(description="Latencies leave out what was planned in it.")] = None
    began_at: Annotated[int | None, Field(description="The instant that the plan of the load counts from.")] = None
    latency_ms_by_outcome: Annotated[dict[str, Numbers] | None, Field(description="Of single requests.")] = None
    service_ms_by_outcome: Annotated[dict[str, Numbers] | None, Field(description="The same, from the send.")] = None
    backlog: Annotated[dict[str, Any] | None, Field(description="How long commands waited, and to be drained.")] = None
    arrivals: Annotated[dict[str, Any] | None, Field(description="How punctually customers came.")] = None
    generator: Annotated[dict[str, Any] | None, Field(description="Whether the load generator kept up.")] = None


class FaultCounts(Part):
    injected: Annotated[int, Field(ge=0, description="How often it struck.")]
    bitten: Annotated[int, Field(ge=0, description="How often it demonstrably hit something.")]


class Place(Part):
    """One record on the log."""

    topic: str
    partition: int
    offset: int


class Row(Part):
    """One moment of a witness, in the column of whoever it happened to."""

    at: int
    client: Annotated[str, Field(description="What a customer did, or was told.")]
    gateway: Annotated[str, Field(description="Through which gateway.")]
    offsets: Annotated[str, Field(description="The record that was appended, by its place.")]
    epoch: Annotated[str, Field(description="Producer id/epoch of its batch.")]
    broker: Annotated[str, Field(description="A fault that bit in the time of the witness.")]


class Witness(Part):
    """One case, told from its first record to its last."""

    subject: Annotated[str, Field(description="The intent, key, command or entry it is about.")]
    summary: str
    cause: str | None
    money: Money
    places: list[Place]
    timeline: list[str]
    rows: Annotated[list[Row], Field(description="The timeline in columns.")] = []


class Anomaly(Part):
    """All cases of one anomaly with one cause; `witnesses` are the smallest."""

    name: str
    cause: str | None
    count: Count
    money: Money
    witnesses: list[Witness]


class Counts(Part):
    """What was there to judge, and what was found."""

    intents: Count
    payment_intents: Count
    attempts: Count
    commands: Count
    events: Annotated[dict[str, Count], Field(description="Charge events by type.")]
    charges: Annotated[int, Field(ge=0, description="Events that took or held a customer's money.")]
    replies: Count
    dead_letters: Count
    duplicates: Annotated[dict[str, Count], Field(description="Executions beyond the first of an intent, by cause.")]
    lost: Count
    wrong_answers: Count
    overcharged: Annotated[Money, Field(description="Taken beyond the first execution of an intent.")]
    overheld: Annotated[Money, Field(description="Held beyond it.")]
    overrefunded: Annotated[Money, Field(description="Given back beyond it.")]
    aborted_records: Annotated[dict[str, Count], Field(description="By topic.")]
    left_unknown: Annotated[int, Field(ge=0, description="Customers who went away without an answer.")]


class Audit(Part):
    """The verdict, and what it rests on."""

    schema_: Annotated[Literal[1, 2], Field(alias="schema", description="2 has comparison and key_window.")]
    verdict: Literal["valid", "unknown", "invalid"]
    guarantee: str
    namespace: str
    counts: Counts
    anomalies: list[Anomaly]
    unknown: Annotated[list[str], Field(description="Why nothing found would be no pass.")]
    checks: Annotated[list[str], Field(description="That ran to their end.")]
    money_at_stake: Money
    fault_hits: dict[str, Count]
    with_history: bool
    with_ledger: bool
    reproduce: Annotated[str, Field(description="The command that makes the run again; empty without a history.")] = ""
    comparison: Annotated[
        dict[str, Any] | None, Field(description="What customer, key and charge say of each operation, side by side.")
    ] = None
    key_window: Annotated[
        dict[str, Any] | None, Field(description="How long keys would have had to be remembered.")
    ] = None


class Judged(Part):
    """One threshold of the scenario."""

    threshold: str
    value: Annotated[float | None, Field(description="As seen; null where nothing was measured.")]
    held: bool


class Step(Part):
    """One rate that a search tried, for a while of its own."""

    step: Annotated[int, Field(ge=1, description="In the order in which they were tried.")]
    rate_per_s: Annotated[float, Field(description="Purchases planned a second.")]
    held: bool
    why: Annotated[list[str], Field(description="Why it did not hold; empty where it did.")]
    value: Annotated[float | None, Field(description="Of the threshold's metric: ms, percent or a second.")]
    requests_per_s: float
    latency_ms: Percentiles
    backlog: Annotated[dict[str, Any], Field(description="How long commands waited, and to be drained.")]
    generator: Annotated[dict[str, Any], Field(description="Whether the load generator kept up.")]


class FindMax(Part):
    """A search for the highest rate at which a threshold holds."""

    threshold: str
    rate_per_s: Annotated[float | None, Field(description="It held each time; null where no rate did.")]
    fails_at_per_s: Annotated[float | None, Field(description="The lowest that did not; null where all held.")]
    confirmed: Annotated[bool, Field(description="It held as often as was asked for.")]
    values: Annotated[list[float], Field(description="As seen at that rate.")]
    steps: list[Step]
    says: Annotated[str, Field(description="The answer in a sentence.")]


class RunReport(Part):
    """report.json of one run."""

    schema_: Annotated[Literal[1], Field(alias="schema", description="The version of this format.")]
    run: Run
    load: Load
    faults: dict[str, FaultCounts]
    unsettled: Annotated[list[str], Field(description="What had not come to rest when the audit began.")]
    interrupted: bool
    took_s: Annotated[dict[str, float], Field(description="Seconds by phase.")]
    audit: Audit
    thresholds: list[Judged]
    find_max: Annotated[
        FindMax | None, Field(description="A search for the highest rate; `load` is then of one step of it.")
    ] = None
