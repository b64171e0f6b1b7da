"""What a seed will do, told before anything is started.

In:      a scenario, a seed.
Out:     plain values (`--json`) and lines for people.
Units:   seconds from the start of the run.
Source:  pure: the plans themselves, counted. What a run adds to them is only how the system answers.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from simulator.faults.fitting import fitting, left_out
from simulator.faults.plan import plan_strikes
from simulator.scenario.models import Scenario
from simulator.workload.plan import merchant_names, plan_purchases

FIRST: Final = 10  # customers told one by one


def preview(scenario: Scenario, seed: int) -> dict[str, Any]:
    purchases = plan_purchases(seed, scenario.load, merchant_names(scenario.load.merchants.count))
    guarantee = scenario.system.guarantee
    strikes = plan_strikes(seed, scenario.duration_s, fitting(scenario.faults, guarantee))
    operations = Counter(step.operation for purchase in purchases for step in purchase.steps)
    return {
        "scenario": scenario.plain(),
        "seed": seed,
        "purchases": len(purchases),
        "operations": dict(sorted(operations.items())),
        "personas": dict(Counter(purchase.persona for purchase in purchases).most_common()),
        "merchants": dict(Counter(purchase.merchant_id for purchase in purchases).most_common()),
        "faults": [
            {"at_s": round(strike.at_s, 3), "fault": strike.fault.name, "lasts_s": round(strike.lasts_s, 3)}
            for strike in strikes
        ],
        "left_out": left_out(scenario.faults, guarantee),
        "first_customers": [
            {
                "at_s": round(purchase.at_ms / 1_000.0, 3),
                "merchant_id": purchase.merchant_id,
                "persona": purchase.persona,
                "amount": purchase.charge.payload["amount"],
                "currency": purchase.charge.payload["currency"],
                "steps": [step.operation for step in purchase.steps],
            }
            for purchase in purchases[:FIRST]
        ],
    }


def lines(told: dict[str, Any]) -> Iterator[str]:
    """The preview for people."""
    scenario = told["scenario"]
    yield f"{scenario['name']}, seed {told['seed']}: {scenario['about']}"
    for stage in scenario["load"]["stages"]:
        to = "" if stage["to"] is None else f" to {stage['to']:g}"
        yield f"  for {stage['for']}: {stage['rate']:g}{to} purchases/s"
    yield f"{told['purchases']:,} purchases: {_counted(told['operations'])}"
    yield f"personas: {_counted(told['personas'])}"
    yield f"merchants: {_counted(told['merchants'])}"
    for strike in told["faults"]:
        lasts = f", for {strike['lasts_s']:g} s" if strike["lasts_s"] else ""
        yield f"  {strike['at_s']:8.3f} s  {strike['fault']}{lasts}"
    yield from told["left_out"]
    for customer in told["first_customers"]:
        yield (
            f"  {customer['at_s']:8.3f} s  {customer['persona']} pays {customer['amount']} {customer['currency']} "
            f"at {customer['merchant_id']}: {', '.join(customer['steps'])}"
        )
    yield "Not fixed by the seed: the system's scheduling, hence which attempt a fault hits and how it is answered."


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())
