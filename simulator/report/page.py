"""report.html of one run: what the template is filled with.

In:      `Finished`.
Out:     the text of one self-contained page.
Units:   as written on the page.
Source:  templates/run.html.j2. Whatever a customer typed goes through Jinja2's escaping; nothing is put together here.
"""

from typing import Any, Final

from simulator.audit.registry import CHECKS, LEDGER_CHECKS
from simulator.money_text import money_text
from simulator.report import charged_again, findings, rerun, tables
from simulator.report.agreement import agreement
from simulator.report.document import render
from simulator.report.finished import DUPLICATES, Finished
from simulator.report.plots import plot_data
from simulator.report.rates import rates
from simulator.report.recount import recounts
from simulator.report.series import OUTCOMES, STORIES
from simulator.report.stories import stories
from simulator.report.wording import (
    ANOMALIES,
    CAUSE_COLOURS,
    NBSP,
    amounts,
    counted,
    duration,
    fault_words,
    hit_words,
    instant,
    listed,
    share,
    spaced,
)
from simulator.report.wording import (
    OUTCOMES as OUTCOME_WORDS,
)
from simulator.report.wording import (
    STORIES as STORY_WORDS,
)

SECTIONS: Final[tuple[tuple[str, str], ...]] = (
    ("rates", "The highest rate"),
    ("charged", "Who was charged again"),
    ("agree", "Three witnesses"),
    ("latency", "Latency over time"),
    ("percentiles", "Percentiles"),
    ("throughput", "Throughput"),
    ("outcomes", "Outcomes"),
    ("faults", "Faults"),
    ("witnesses", "Witnesses"),
    ("checks", "Verdict"),
    ("again", "Run it again"),
    ("recount", "Counted again"),
)
OUTCOME_COLOURS: Final = {"done": "good", "replayed": "accent", "refused": "quiet", "failed": "warn", "unknown": "bad"}
STORY_COLOURS: Final = {"at_once": "good", "after_asking_again": "bad", "refused": "quiet"}


def run_page(finished: Finished) -> str:
    told = recounts(finished)
    agree = all(one.agrees for one in told)
    report, agree_ = finished.report, agreement(finished)
    left_out = {"witnesses"} if not report.anomalies else set()
    left_out |= {"agree"} if agree_ is None else set()
    searched = rates(finished.summary)
    left_out |= {"rates"} if searched is None else set()
    return render(
        "run.html.j2",
        plot_data(finished),
        sections=[one for one in SECTIONS if one[0] not in left_out],
        sources="report.json, history.jsonl" + (f", {DUPLICATES}" if finished.has_repeats else ""),
        verdict=report.verdict.value,
        run=finished.run,
        started=instant(finished.told.began_at),
        unknown=report.unknown,
        doubts=findings.doubts(finished),
        agreement=agree_,
        rates=searched,
        about=rerun.about(finished),
        interrupted=finished.summary.get("interrupted", False),
        headline=findings.headline(finished),
        cost=findings.cost(finished),
        figures=figures(finished),
        **_charged(finished),
        **_over_time(finished),
        fault_rows=_faults(finished),
        faults_title=findings.faults_title(finished),
        **_verdict(finished),
        commands=rerun.commands(finished),
        scenario=rerun.scenario_text(finished),
        not_fixed=rerun.NOT_FIXED,
        facts=rerun.facts(finished),
        recounts=told,
        all_agree=agree,
        recount_title=f"All {len(told)} figures come out the same when they are counted again"
        if agree
        else f"{listed([one.what for one in told if not one.agrees])}: counted again, not the same",
    )


def figures(finished: Finished) -> list[tuple[str, str, str, bool]]:
    """(what, how much, what beside it, whether it is bad)."""
    counts, load = finished.report.counts, finished.summary["load"]
    repeated, latency = sum(counts.duplicates.values()), load["latency_ms"]
    over = [money_text(amount, currency) for currency, amount in sorted(counts.overcharged.items()) if amount]
    searched = finished.summary.get("find_max")
    asked = f"in {counted(len(searched['steps']), 'step')}" if searched else f"{load['attempts']:,} requests"
    of = f" of one step's {load['intents']:,}" if searched else " operations"
    return [
        ("operations customers meant", f"{counts.intents:,}", asked, False),
        ("answered", share(load["answered"], load["intents"]), f"{load['answered']:,}{of}", False),
        ("executions too many", f"{repeated:,}", "", repeated > 0),
        ("taken too much", over[0] if over else "nothing", ", ".join(over[1:]), bool(over)),
        ("charges lost", f"{counts.lost:,}", "", counts.lost > 0),
        ("wrong answers", f"{counts.wrong_answers:,}", "", counts.wrong_answers > 0),
        ("answered a second", f"{load['throughput_per_s']:,.1f}", "", False),
        ("half within", duration(latency["p50"]), f"99{NBSP}% within {duration(latency['p99'])}", False),
    ]


def _charged(finished: Finished) -> dict[str, Any]:
    return {
        "money_title": findings.money_title(finished),
        "beside": findings.beside(finished),
        "repeats_title": findings.repeats_title(finished),
        "repeated": sum(finished.report.counts.duplicates.values()),
        "triggers": charged_again.by_trigger(finished),
        "merchants": charged_again.by_merchant(finished),
        "personas": charged_again.by_persona(finished),
        "customers": charged_again.customers(finished),
        "absorbed": charged_again.absorbed(finished),
        "currencies": tables.currencies(finished),
        "money_table": tables.money(finished),
        "repeats_table": tables.repeats(finished),
        "cause_legend": [
            (CAUSE_COLOURS.get(name, "ink"), f"{spaced(name)} {count:,}")
            for name, count in finished.report.counts.duplicates.items()
            if count
        ],
        "duplicates_file": DUPLICATES,
    }


def _over_time(finished: Finished) -> dict[str, Any]:
    series = finished.series
    answered = [(name, STORY_WORDS[name], len(series.of(name))) for name in STORIES[:3] if series.of(name)]
    return {
        "latency_title": findings.latency_title(finished),
        "percentiles_title": findings.percentiles_title(finished),
        "throughput_title": findings.throughput_title(finished),
        "outcomes_title": findings.outcomes_title(finished),
        "stories": [(name, words.capitalize(), counted(count, "operation")) for name, words, count in answered],
        "story_legend": [
            ("ink", "all"),
            *((STORY_COLOURS[name], f"{words} {count:,}") for name, words, count in answered),
        ],
        "outcome_legend": [
            (OUTCOME_COLOURS[name], f"{OUTCOME_WORDS[name]} {sum(series.columns[name]):,}") for name in OUTCOMES
        ],
        "latency_table": tables.latency(finished),
        "percentile_table": tables.percentiles(finished),
        "throughput_table": tables.columns(finished, ("planned", "sent", "answered")),
        "outcome_table": tables.columns(finished, OUTCOMES),
    }


def _faults(finished: Finished) -> list[dict[str, Any]]:
    rows = []
    for name, figures_ in sorted(finished.summary["faults"].items()):
        hits = [detail for strike in finished.told.strikes if strike.fault == name for _, detail in strike.hits]
        example = hit_words(hits[0]) if hits else ""
        rows.append(
            {
                "name": name,
                "words": fault_words(name),
                "struck": f"{figures_['injected']:,}",
                "hit": f"{figures_['bitten']:,}",
                "example": example,
            }
        )
    return rows


def _verdict(finished: Finished) -> dict[str, Any]:
    report = finished.report
    found = {anomaly.name for anomaly in report.anomalies}
    every = [*CHECKS, *LEDGER_CHECKS]
    crashed = [name for name in CHECKS if name not in report.checks]
    checks = [{"name": name, **_check(name, name in found, name in report.checks)} for name in every]
    total = sum(anomaly.count for anomaly in report.anomalies)
    ran = f"{len(report.checks)} checks ran, {len(found) or 'none'} found something"
    ended = f", {listed([spaced(name) for name in crashed])} did not end" if crashed else ""
    return {
        "anomalies": [
            {
                "name": anomaly.name,
                "cause": anomaly.cause,
                "count": f"{anomaly.count:,}",
                "money": amounts(anomaly.money, ""),
                "words": ANOMALIES.get(anomaly.name, spaced(anomaly.name)).capitalize(),
                "stories": stories(finished, anomaly),
            }
            for anomaly in report.anomalies
        ],
        "witnesses_title": f"{counted(total, 'case')}, and the smallest of each kind from its first record to its last",
        "checks": checks,
        "checks_title": f"{report.verdict.value.capitalize()}: {ran}{ended}",
        "thresholds": [_threshold(one) for one in finished.summary.get("thresholds", ())],
    }


def _check(name: str, found: bool, ran: bool) -> dict[str, str]:
    if found:
        return {"mark": "no", "note": ANOMALIES.get(name, "")}
    return {"mark": "ok", "note": ""} if ran else {"mark": "open", "note": "not checked"}


def _threshold(one: dict[str, Any]) -> dict[str, str]:
    value = one.get("value")
    note = "nothing was measured" if value is None else f"it was {value:,.6g}"
    return {"text": str(one["threshold"]), "mark": "ok" if one["held"] else "no", "note": note}
