"""Which faults of a scenario fit a run: told before anything strikes, not by a verdict that nobody understands.

In:      the faults of a scenario; the guarantee; whether the run has a Kafka of its own.
Out:     those that can bite, and a sentence for each kind that cannot.
Errors:  UsageFailure, one sentence, for a fault that this run cannot carry out at all.
Source:  Shopify/toxiproxy#171: clients are told a Kafka's address by Kafka, so only a broker that advertises a proxy
         can be put behind one. Pure.
"""

from collections.abc import Sequence
from typing import Final

from events.guarantees import Guarantee
from simulator.failure import UsageFailure
from simulator.faults.base import Fault

NAMED_MOST: Final = 3  # the others are in the scenario


def needs_kafka_link(faults: Sequence[Fault], guarantee: Guarantee) -> bool:
    """Whether the services must reach Kafka through a proxy."""
    return any(fault.needs == "kafka_link" for fault in fitting(faults, guarantee))


def fitting(faults: Sequence[Fault], guarantee: Guarantee) -> tuple[Fault, ...]:
    """Those that have something to bite under this guarantee."""
    return tuple(fault for fault in faults if guarantee in fault.under)


def left_out(faults: Sequence[Fault], guarantee: Guarantee) -> list[str]:
    """One sentence for each kind that has not."""
    kinds = {fault.name: fault for fault in faults if guarantee not in fault.under}
    return [
        f"{name} is left out: what it strikes is there only under {', '.join(sorted(kind.under))}, not {guarantee}."
        for name, kind in kinds.items()
    ]


def refuse_without_own_kafka(faults: Sequence[Fault], where: str) -> None:
    """For a run on a Kafka that is somebody else's; `where` is the option that says so."""
    names = sorted({fault.name for fault in faults if fault.needs == "kafka_link"})
    if names:
        which = ", ".join(names[:NAMED_MOST]) + (", …" if len(names) > NAMED_MOST else "")
        kinds = "1 kind of fault" if len(names) == 1 else f"{len(names)} kinds of faults"
        raise UsageFailure(
            f"{kinds} between services and Kafka ({which}) cannot be done on somebody else's Kafka: "
            f"run it without {where}."
        )


def refuse_without_heirs(faults: Sequence[Fault], processors: int) -> None:
    """For a run of so few processors that nobody could take over: it would only ever end as unknown."""
    for fault in faults:
        if fault.processors > processors:
            raise UsageFailure(
                f"{fault.name} needs {fault.processors} processors, one to take over from the other, and this run has "
                f"{processors}: run it with --processors {fault.processors}, or leave the fault out."
            )
