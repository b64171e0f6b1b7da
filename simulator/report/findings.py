"""What a run shows, in sentences: the headline, and for each plot the title that says what is to be seen in it.

In:      `Finished`.
Out:     text. Every number in it stands in report.json, or is counted from the history (`series`).
Units:   as written in the sentence.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from simulator.report.charged_again import absorbed, redelivered, totals
from simulator.report.finished import Finished
from simulator.report.folding import Operation
from simulator.report.series import percentile
from simulator.report.wording import CAUSES_SHORT, NBSP, amounts, clock, counted, duration, listed, share, spaced

MOST: Final = 0.6  # of the slow ones, from which on a fault is named
TELLING: Final = 1.3  # so much more often than all customers
STALL_S_MIN: Final = 1.0


def headline(finished: Finished) -> str:
    report = finished.report
    counts = report.counts
    meant = counted(counts.intents, "operation")
    repeated = sum(counts.duplicates.values())
    if repeated:
        too_much = amounts(counts.overcharged, "")
        paid = f"customers paid {too_much} too much" if too_much else "no money was taken twice"
        intents = len({repeat.intent for repeat in finished.repeats})
        if not intents:
            return f"{counted(repeated, 'execution')} too many for {meant}; {paid}."
        honoured = counts.duplicates.get("new_key") == repeated
        why = " Every key was honoured: clients asked again under new ones." if honoured else ""
        return f"{intents:,} of {meant} {'was' if intents == 1 else 'were'} executed more than once; {paid}.{why}"
    if counts.lost:
        return (
            f"{counted(counts.lost, 'charge')} that customers were promised {'is' if counts.lost == 1 else 'are'} lost."
        )
    if report.anomalies:
        found = listed([f"{counted(a.count, 'case')} of {spaced(a.name)}" for a in report.anomalies])
        return f"Nothing was executed twice, but there {'is' if report.anomalies[0].count == 1 else 'are'} {found}."
    if report.unknown:
        return "Nothing wrong was found, and that proves nothing: the verdict is unknown."
    return f"Nobody was charged twice: {meant}, each executed at most once."


def cost(finished: Finished) -> str:
    """What stood between the customers and a second charge, and its price as far as one run can tell."""
    run, load = finished.run, finished.summary["load"]
    replays = sum(row["count"] for row in absorbed(finished))
    latency = load["latency_ms"]
    included = ", faults included" if finished.summary["faults"] else ""
    searched = finished.summary.get("find_max")
    held = any(step["held"] for step in searched["steps"]) if searched else False
    where = f"In the {'newest step that held' if held else 'last step'}, " if searched else ""
    price = (
        f"{where}{run['guarantee']} answered {load['throughput_per_s']:g} operations a second, half of them within "
        f"{duration(latency['p50'])}, 99{NBSP}% within {duration(latency['p99'])}{included}"
    )
    rewound, aborted = redelivered(finished), sum(finished.report.counts.aborted_records.values())
    absorbed_ = (
        (replays, f"{counted(replays, 'retry', 'retries')} answered with the first answer"),
        (rewound, f"{counted(rewound, 'redelivered command')} answered again"),
        (aborted, f"{counted(aborted, 'record')} of aborted Kafka transactions"),
    )
    kept = [text for number, text in absorbed_ if number]
    if sum(finished.report.counts.duplicates.values()) or not kept:
        return f"{price}."
    return f"{price}. What could have been a second charge and was not: {listed(kept)}."


def repeats_title(finished: Finished) -> str:
    causes = {name: count for name, count in finished.report.counts.duplicates.items() if count}
    if not causes:
        return "No execution too many, from beginning to end"
    total = sum(causes.values())
    parts = [f"{count:,} by {CAUSES_SHORT.get(name, spaced(name))}" for name, count in causes.items()]
    return f"{counted(total, 'execution')} too many: {listed(parts)}"


def money_title(finished: Finished) -> str:
    counts = finished.report.counts
    if not any(counts.overcharged.values()):
        return "No money was taken beyond what customers meant to pay"
    return f"{amounts(counts.overcharged)} taken beyond what customers meant to pay"


def beside(finished: Finished) -> str:
    """What was repeated and took nobody's money for good; empty for nothing."""
    counts = finished.report.counts
    more = [
        f"{amounts(money)} {what}"
        for money, what in ((counts.overheld, "held once more"), (counts.overrefunded, "refunded once more"))
        if any(money.values())
    ]
    return f"Besides, {', and '.join(more)}." if more else ""


def latency_title(finished: Finished) -> str:
    values, told = finished.series.of("all"), finished.summary["load"]["latency_ms"]
    if not values:
        return "No customer was answered"
    p50, p99 = (told.get(name) or percentile(values, rank) for name, rank in (("p50", 50), ("p99", 99)))
    title = (
        f"Half of all customers were answered within {duration(p50)}; one in a hundred waited {duration(p99)} or more"
    )
    operations = [one for one in finished.told.operations.values() if one.latency_ms is not None]
    slow = [one for one in operations if (one.latency_ms or 0) >= percentile(values, 99)]
    during, usually = _during(finished, slow), _during(finished, operations)
    if during:
        fault, count = min(during.items(), key=lambda item: (-item[1], item[0]))
        share_of_slow, share_of_all = count / len(slow), usually[fault] / len(operations)
        if share_of_slow >= MOST and share_of_slow >= TELLING * share_of_all:
            title += (
                f". {share(count, len(slow))} of these waited while {spaced(fault)} was on, "
                f"and {share(usually[fault], len(operations))} of all"
            )
    return title


def _during(finished: Finished, operations: Sequence[Operation]) -> Counter[str]:
    """How many of them waited while a fault that disturbs the system was on, by fault."""
    disturbing = [
        strike
        for strike in finished.told.strikes
        if strike.hits and not any("gateway" in detail for _, detail in strike.hits)
    ]
    return Counter(
        fault
        for one in operations
        for fault in {
            strike.fault
            for strike in disturbing
            if strike.began_at <= one.planned_at + (one.latency_ms or 0)
            and (strike.ended_at is None or strike.ended_at >= one.planned_at)
        }
    )


def throughput_title(finished: Finished) -> str:
    series = finished.series
    planned, answered = sum(series.columns["planned"]), sum(series.columns["answered"])
    begin, length = _stall(series.columns["planned"], series.columns["answered"])
    done = "all were answered" if planned == answered else f"{planned - answered:,} were never answered"
    rate = planned / max(1e-9, len([count for count in series.columns["planned"] if count]) * series.width_ms / 1_000.0)
    title = f"{counted(planned, 'operation')}, {rate:,.0f} a second, whatever became of those before; {done}"
    stalled_s = length * series.width_ms / 1_000.0
    if stalled_s >= STALL_S_MIN:
        title += f". The longest silence lasted {stalled_s:g} s, from {clock(series.starts_s[begin])}"
    return title


def _stall(planned: list[int], answered: list[int]) -> tuple[int, int]:
    """Where the longest stretch without an answer begins, while customers came, and how many buckets it has."""
    last = max((i for i, count in enumerate(planned) if count), default=-1)
    best, begin = (0, 0), 0
    for index in range(last + 1):
        if answered[index]:
            begin = index + 1
        elif index + 1 - begin > best[1]:
            best = begin, index + 1 - begin
    return best


def outcomes_title(finished: Finished) -> str:
    columns = finished.series.columns
    totals_ = {name: sum(columns[name]) for name in ("done", "replayed", "refused", "failed", "unknown")}
    all_ = sum(totals_.values())
    title = f"{share(totals_['unknown'], all_)} of {counted(all_, 'request')} left the customer not knowing the outcome"
    if totals_["replayed"]:
        title += f"; {totals_['replayed']:,} got the first answer again instead of a second execution"
    if totals_["failed"]:
        title += f"; {totals_['failed']:,} were provably not sent"
    return title


def percentiles_title(finished: Finished) -> str:
    once, again = finished.series.of("at_once"), finished.series.of("after_asking_again")
    if not (once and again):
        return "How long customers waited, by how it ended for them"
    return (
        f"Having to ask again is what is slow: {duration(percentile(once, 50))} for half of those answered at once, "
        f"{duration(percentile(again, 50))} for half of those who asked again"
    )


def faults_title(finished: Finished) -> str:
    faults = finished.summary["faults"]
    if not faults:
        return "Nothing was broken on purpose"
    strikes = sum(counts["injected"] for counts in faults.values())
    hits = sum(counts["bitten"] for counts in faults.values())
    idle = [spaced(name) for name, counts in faults.items() if not counts["bitten"]]
    never = f"; {listed(idle)} never hit anything" if idle else ", each of them at least once"
    return f"{counted(len(faults), 'fault')} struck {counted(strikes, 'time')} and hit {counted(hits, 'time')}{never}"


def taken(finished: Finished) -> dict[str, int]:
    """Counted anew from duplicates.jsonl: what customers paid beyond the first time."""
    return totals(finished.repeats).get("taken", {})


def doubts(finished: Finished) -> list[str]:
    """What must be known before the latencies mean anything."""
    load, said = finished.summary["load"], []
    generator = load.get("generator") or {}
    if not generator.get("kept_up", True):
        said.append(str(generator["says"]))
    if load["purchases_dropped"]:
        said.append(
            f"{load['purchases_dropped']:,} of {load['purchases_planned']:,} customers did not come, because too many "
            "others were still waiting: the latencies leave them out."
        )
    if load.get("warm_up_s"):
        said.append(
            f"The first {load['warm_up_s']:g} s were for warming up: percentiles and throughput leave out what was "
            "planned in them, plots over time show it."
        )
    return said
