"""Three witnesses side by side, and how long nobody knew: the auditor's comparison and key window, in words.

In:      `Finished`: `audit.comparison` and `audit.key_window` of its report.json, where the audit has them.
Out:     what the page shows of them; None where the audit did not compare.
Units:   milliseconds; money in minor units until it is said.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from simulator.report.finished import Finished
from simulator.report.wording import amounts, counted, duration, share, spaced

BELIEVES: Final = {
    "yes": "it happened",
    "no": "it did not happen",
    "unknown": "does not know",
    "not_sent": "it was never sent",
    "unheard": "was not asked",
}
KEY_SAYS: Final = {
    "success": "it succeeded",
    "refusal": "it was refused",
    "other": "another request",
    "expired": "nothing any more",
    "nothing": "nothing",
}
EXECUTED: Final = ("not at all", "once", "more than once")
LISTED_MAX: Final = 25


def agreement(finished: Finished) -> dict[str, Any] | None:
    audit = finished.summary["audit"]
    compared = audit.get("comparison")
    if not compared or not compared["intents"]:
        return None
    intents, disagree = compared["intents"], compared["disagree"]
    all_ = counted(intents, "operation")
    return {
        "title": f"Customer, key and charge tell the same story of all {all_}"
        if not disagree
        else f"Of {all_}, {disagree:,} have a customer, a key and a charge that cannot all be right",
        "kinds": [_kind(kind) for kind in compared["kinds"]],
        "deliveries": _deliveries(compared["deliveries"]),
        "disagreeing": [_one(one) for one in compared["disagreeing"][:LISTED_MAX]],
        "disagree": f"{disagree:,}",
        "certainty": _certainty(compared["certainty"]),
        "window": _window(audit.get("key_window")),
    }


def _kind(kind: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "believes": BELIEVES.get(kind["belief"], spaced(kind["belief"])),
        "key": KEY_SAYS.get(kind["key"], spaced(kind["key"])),
        "executed": EXECUTED[min(kind["executed"], 2)],
        "mark": "ok" if kind["agrees"] else "no",
        "intents": f"{kind['intents']:,}",
        "money": amounts(kind["money"], "–"),
    }


def _one(one: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "intent": one["intent"],
        "operation": one["operation"],
        "believes": BELIEVES.get(one["belief"], spaced(one["belief"])),
        "key": KEY_SAYS.get(one["key"], spaced(one["key"])),
        "delivered": f"{one['delivered']:,}",
        "executed": f"{one['executed']:,}",
        "money": amounts(one["money"], "–"),
    }


def _deliveries(told: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A grid: so often on the log across, so often executed down."""
    across, down = (sorted({one[name] for one in told}) for name in ("delivered", "executed"))
    number = {(one["delivered"], one["executed"]): one["intents"] for one in told}
    return {
        "head": [f"{times}×" for times in across],
        "rows": [
            (f"{times}×", times > 1, [f"{number[d, times]:,}" if (d, times) in number else "" for d in across])
            for times in down
        ],
    }


def _certainty(told: Mapping[str, Any]) -> str:
    """What became of requests whose outcome nobody knew."""
    if not told["attempts_unknown"]:
        return "Every request ended with an answer."
    said = (
        f"{counted(told['attempts_unknown'], 'request')} ended without an answer; "
        f"{share(told['attempts_succeeded'], told['attempts_unknown'])} of them had in fact succeeded."
    )
    if told["p50_ms"] is not None:
        said += (
            f" Half of the customers knew within {duration(told['p50_ms'])} more, 99 % within "
            f"{duration(told['p99_ms'])}, the last after {duration(told['max_ms'])}."
        )
    if told["never_settled"]:
        said += f" {told['never_settled']:,} never found out ({amounts(told['money_unsettled'], 'no money')})."
    return said


def _window(told: Mapping[str, Any] | None) -> str:
    """How long keys would have had to be remembered."""
    if not told or told["smallest_safe_ms"] is None:
        return ""
    short = [one for one in told["candidates"] if one["late_reexecutions"]]
    said = (
        f"{counted(told['keys_retried'], 'key')} {'was' if told['keys_retried'] == 1 else 'were'} used more than once, "
        f"the last time {duration(told['longest_tail_ms'])} after the first: any key remembered longer than that is "
        "remembered long enough for these customers."
    )
    if short:
        window, late = short[-1]["window_ms"], short[-1]["late_reexecutions"]
        again = counted(late, "retry", "retries")
        said += f" Remembered for {duration(window)} only, {again} would have been executed again."
    return said
