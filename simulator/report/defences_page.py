"""The page of `compare --defences`: what each defence was worth before each server, with the evidence.

In:      `DefencesReport`; the folder it lies in, with a finished run for each server.
Out:     the text of one self-contained page.
Units:   as written on the page.
Errors:  UsageFailure, one sentence, where there is no finished comparison.
Source:  templates/defences.html.j2. Every figure is out of defences.json, which is counted from the runs' histories
         and audits; the page holds them against the audits' own totals.
"""

from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from simulator.defences import ADVICE, DEFENCES, KEY_KEPT, NO_ANSWER, SERVERS, WITHOUT_A_KEY, Advice, Server
from simulator.failure import UsageFailure
from simulator.money_text import money_text
from simulator.report import rerun
from simulator.report.defences_model import DefenceCell, DefencesReport
from simulator.report.document import render
from simulator.report.finished import Finished, read_finished
from simulator.report.recount import Recount
from simulator.report.wording import amounts, counted, instant, listed

DEFENCES_FILE: Final = "defences.json"
SECTIONS: Final[tuple[tuple[str, str], ...]] = (
    ("table", "Defence by server"),
    ("advice", "Advice, tried"),
    ("lessons", "What it shows"),
    ("again", "Run it again"),
    ("recount", "Counted again"),
)
HEAT_MAX: Final = 42  # percent of red in a cell where everybody was charged again: words on it stay readable
BAR: Final = 100.0  # units of a cell's bar


def read_defences(path: Path) -> DefencesReport:
    try:
        return DefencesReport.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UsageFailure(f"{path} cannot be read: {error.strerror}.") from None
    except ValidationError as error:
        raise UsageFailure(f"{path} is no defences.json of this version ({error.error_count()} errors).") from None


def defences_page(told: DefencesReport, folder: Path) -> str:
    servers = [server for server in SERVERS if server.name in told.cells]
    if not servers:
        raise UsageFailure(f"No run of the comparison in {folder} was finished.")
    runs = {server.name: read_finished(folder / told.folders[server.name]) for server in servers}
    first = next(iter(runs.values()))
    counted_ = recounts(told, runs)
    return render(
        "defences.html.j2",
        {"end_s": 1, "warm_up_s": 0, "faults": []},  # no plot: the table is the picture
        sections=[one for one in SECTIONS if one[0] != "lessons" or told.lessons],
        sources="defences.json and the report.json and history.jsonl of each run",
        run=first.run,
        started=instant(first.told.began_at),
        headline=headline(told),
        lede=_lede(first),
        cut_short=[server.name for server in SERVERS if server not in servers],
        servers=[_column(server, runs[server.name], told) for server in servers],
        rows=_rows(told, servers),
        advice=[verdict for one in ADVICE if (verdict := judge(one, told))],
        advice_title=_advice_title(told),
        lessons=told.lessons,
        commands=[str(first.run["command"])] if "command" in first.run else [],
        each=[_alone(server, runs[server.name], told) for server in servers],
        facts=[fact for fact in rerun.facts(first) if fact[0] not in ("guarantee", "started")],
        not_fixed=rerun.NOT_FIXED,
        recounts=counted_,
        all_agree=all(one.agrees for one in counted_),
    )


def headline(told: DefencesReport) -> str:
    """The defences that held wherever a server looked at keys, or the plain count."""
    looking = [server.name for server in SERVERS if server.name in told.cells and server.name != "no dedupe"]
    held = [
        defence.advice
        for defence in DEFENCES
        if looking
        and all(
            (cell := told.cells[name][defence.persona]).paid and not cell.customers_charged_again for name in looking
        )
    ]
    again = sum(cell.customers_charged_again for column in told.cells.values() for cell in column.values())
    meant = sum(cell.intents for column in told.cells.values() for cell in column.values())
    first = f"{again:,} of {meant:,} purchases were charged again."
    if not held:
        return f"{first} No defence held before every server that looks at keys."
    where = "before a server that looks at keys" if len(looking) > 1 else f"before the {looking[0]} server"
    return f"{first} {len(held)} of {len(DEFENCES)} defences let customers pay, and once, {where}."


def judge(advice: Advice, told: DefencesReport) -> dict[str, Any] | None:
    """Wrong only where this run shows it; None where that server was not tried."""
    if advice.server not in told.cells:
        return None
    cell = told.cells[advice.server][advice.persona]
    better = None if advice.instead is None else told.cells[advice.server][advice.instead]
    instead = ""
    if better is not None and better.intents and not better.customers_charged_again:
        name = next(defence.advice for defence in DEFENCES if defence.persona == advice.instead)
        instead = f"Instead: {name}. None of {better.intents:,} such customers was charged again."
    elif advice.instead is None:
        instead = "Instead: a server that remembers keys. No client can do it alone."
    wrong = bool(cell.customers_charged_again)
    shown = f"{cell.customers_charged_again:,} of {cell.intents:,} customers were charged again: "
    return {
        "says": advice.says,
        "wrong": wrong,
        "server": advice.server,
        "evidence": shown + f"{amounts(cell.overcharged)}."
        if wrong
        else f"None of {cell.intents:,} customers was charged again this time, which does not prove it right.",
        "beside": DOUBT if wrong and advice.persona == "changed_amount_new_key" else "",
        "instead": instead if wrong else "",
    }


DOUBT: Final = (
    "The first attempt was in doubt and had been executed; under the new key the second one is another payment. The "
    "whole second charge is counted, though the customer wanted the difference."
)


def meaning(persona: str, server: Server, cell: DefenceCell) -> str:
    """One cell in one sentence."""
    if not cell.intents:
        return "Nobody of this kind came."
    if cell.customers_charged_again:
        return f"{_why(persona, server)} {counted(cell.charged_again, 'charge')} too many."
    if not cell.paid:
        return f"Refused ({_heard(cell)}): nobody could pay, and nobody was charged." + (
            " This server wants a key." if persona in WITHOUT_A_KEY and server.enforcement == "strict" else ""
        )
    without = f"; the others heard {_heard(cell)}" if cell.paid < cell.intents else ""
    if persona in KEY_KEPT and server.name != "no dedupe":
        return f"All attempts had one key, and the server knew them for one payment{without}."
    return f"Nobody was charged again this time; nothing here would have prevented it{without}."


def _why(persona: str, server: Server) -> str:
    if server.name == "no dedupe" and persona not in WITHOUT_A_KEY:
        return "This server looks at no key: every attempt that arrived was executed."
    if persona in WITHOUT_A_KEY:
        return "Without a key a second attempt is a second payment."
    if persona in KEY_KEPT:
        return "The key was kept, and the server charged again all the same: it is broken."
    return "Every key was honoured, and the second attempt had another."


def _heard(cell: DefenceCell) -> str:
    """`400` or `422 (28) and no answer (1)`."""
    parts = [("no answer" if status == NO_ANSWER else status, count) for status, count in cell.not_paid.items()]
    return listed([status if len(parts) == 1 else f"{status} ({count:,})" for status, count in parts]) or "no 201"


def _rows(told: DefencesReport, servers: list[Server]) -> list[dict[str, Any]]:
    wrong = {one.persona for one in ADVICE if (verdict := judge(one, told)) and verdict["wrong"] and one.instead}
    return [
        {
            "advice": defence.advice,
            "persona": defence.persona,
            "wrong": defence.persona in wrong,
            "cells": [_cell(defence.persona, server, told) for server in servers],
        }
        for defence in DEFENCES
    ]


def _cell(persona: str, server: Server, told: DefencesReport) -> dict[str, Any]:
    cell = told.cells[server.name][persona]
    part = cell.customers_charged_again / cell.intents if cell.intents else 0.0
    kind = "again" if part else "once" if cell.paid else "refused" if cell.intents else "none"
    number = {"again": cell.customers_charged_again, "once": cell.paid, "refused": cell.intents, "none": 0}[kind]
    return {
        "kind": kind,
        "number": f"{number:,}",
        "of": "" if kind == "refused" else f"{cell.intents:,}",
        "words": {"again": "charged again", "once": "paid, once", "refused": "could not pay", "none": "came"}[kind],
        "moneys": [money_text(amount, currency) for currency, amount in sorted(cell.overcharged.items()) if amount],
        "meaning": meaning(persona, server, cell),
        "heat": round(HEAT_MAX * part),
        "bar": round(BAR * part, 1),
        "server": server.name,
        "link": f"{told.folders[server.name]}/report.html{'#personas' if part else ''}",
    }


def _column(server: Server, finished: Finished, told: DefencesReport) -> dict[str, Any]:
    column = told.cells[server.name].values()
    again, meant = sum(cell.customers_charged_again for cell in column), sum(cell.intents for cell in column)
    return {
        "name": server.name,
        "means": server.means,
        "link": f"{told.folders[server.name]}/report.html",
        "verdict": finished.report.verdict.value,
        "says": f"{again:,} of {meant:,} charged again",
    }


def _alone(server: Server, finished: Finished, told: DefencesReport) -> dict[str, str]:
    """How to run one server's part without the others."""
    folder = told.folders[server.name]
    return {
        "name": server.name,
        "folder": folder,
        "command": rerun.commands(finished)[-1].replace(" scenario.json ", f" {folder}.json "),
        "scenario": rerun.scenario_text(finished),
    }


def _lede(first: Finished) -> str:
    faults = {one["fault"]: one.get("share") for one in first.run.get("scenario_file", {}).get("faults", ())}
    lost = [
        f"{100 * share:g}\u00a0% of {what}"
        for what, share in (("answers", faults.get("lose_response")), ("requests", faults.get("lose_request")))
        if share
    ]
    losing = f" while {listed(lost)} are lost" if lost else ""
    return (
        f"The same customers, {len(DEFENCES)} kinds of them, come to three servers{losing}. "
        "Each means every purchase once; whatever is executed beyond the first is charged again."
    )


def _advice_title(told: DefencesReport) -> str:
    verdicts = [verdict for one in ADVICE if (verdict := judge(one, told))]
    wrong = sum(verdict["wrong"] for verdict in verdicts)
    return f"{wrong} of {len(verdicts)} pieces of advice that sound right charged customers again in this run"


def recounts(told: DefencesReport, runs: dict[str, Finished]) -> list[Recount]:
    """The sums of the table against what each run's auditor and history say of the whole run."""
    found = []
    for name, finished in runs.items():
        column, counts = told.cells[name].values(), finished.report.counts
        money: dict[str, int] = {}
        for cell in column:
            money = {c: money.get(c, 0) + cell.overcharged.get(c, 0) for c in {*money, *cell.overcharged}}
        audited = {currency: amount for currency, amount in counts.overcharged.items() if amount}
        totals = {member: sum(getattr(one, member) for one in column) for member in ("intents", "charged_again")}
        for what, said, seen, source in (
            ("purchases", totals["intents"], len(finished.told.operations), "history.jsonl"),
            ("charges too many", totals["charged_again"], sum(counts.duplicates.values()), "the audit"),
            ("taken too much", amounts(money), amounts(audited), "the audit"),
        ):
            found.append(Recount(f"{name}: {what}", said, seen, source, said == seen))
    return found
