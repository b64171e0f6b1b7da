"""What a run under each guarantee must have shown, so that a comparison proves something.

In:      a guarantee, the audit's report, how often each fault struck and bit.
Out:     what is missing, in sentences; nothing when the guarantee showed what it promises.
Source:  DESIGN, "The ladder of guarantees". Pure.
"""

from collections.abc import Mapping
from typing import Final

from events.guarantees import Guarantee
from simulator.audit.report import Report, Verdict

Faults = Mapping[str, Mapping[str, int]]

KILLS_MIN: Final = 2
LONG_ENOUGH_S: Final = 15.0
BITES_MIN: Final = {"kill_processor": KILLS_MIN, "lose_request": 1, "lose_response": 1, "rewind_offsets": 1}
DUPLICATE: Final = "duplicate_charge"
NAMES: Final = {
    "client_retry": "a customer's retry",
    "crash_redelivery": "a redelivery after a crash",
    "rewind": "rewound offsets",
}


def kills_to_expect(duration_s: float) -> int:
    """A run of a few seconds has time for one kill, its take-over and its proof."""
    return KILLS_MIN if duration_s >= LONG_ENOUGH_S else 1


def missing(guarantee: str, report: Report, faults: Faults, kills_min: int = KILLS_MIN) -> list[str]:
    """Why this run proves less than it should; `kills_min` is lower for a run too short for two kills."""
    wanted = {**BITES_MIN, "kill_processor": kills_min}
    reasons = [
        f"{name} bit {faults[name]['bitten']} times instead of {least}"
        for name, asked in wanted.items()
        if name in faults and faults[name]["bitten"] < (least := min(asked, faults[name]["injected"]))
    ]
    match Guarantee(guarantee):
        case Guarantee.EXACTLY_ONCE:
            if report.verdict is not Verdict.VALID and not _only_the_clients_doing(report):
                reasons.append(f"the verdict is {report.verdict.value}")
            if "kill_processor" in faults and not sum(report.counts.aborted_records.values()):
                reasons.append("the log has no aborted record")
        case Guarantee.AT_LEAST_ONCE:
            reasons += [
                f"no charge was repeated by {NAMES[cause]}"
                for cause in _causes_to_expect(faults)
                if not report.found(DUPLICATE, cause)
            ]
        case Guarantee.DEDUPLICATED:
            if report.found(DUPLICATE, "client_retry"):
                reasons.append("a customer's retry was charged again in spite of its key")
            if "kill_processor" in faults and not report.found(DUPLICATE, "crash_redelivery"):
                reasons.append("no charge was repeated by a crash between charge and key")
        case Guarantee.AT_MOST_ONCE:
            if report.found(DUPLICATE, "crash_redelivery"):
                reasons.append("a crash repeated a charge")
    return reasons


def _only_the_clients_doing(report: Report) -> bool:
    """Whether all that was found are payments sent under two keys, each of which was honoured."""
    found = {(anomaly.name, anomaly.cause) for anomaly in report.anomalies}
    return found == {(DUPLICATE, "new_key")} and not report.unknown


def _causes_to_expect(faults: Faults) -> list[str]:
    causes = ["client_retry"]
    if "kill_processor" in faults:
        causes.append("crash_redelivery")
    if "rewind_offsets" in faults:
        causes.append("rewind")
    return causes
