"""report.xml: a run as JUnit XML, so that whatever shows test results shows a verdict.

In:      `Finished`.
Out:     XML, one suite: a test case for each check, for each fault that was planned, and for each threshold.
Source:  the testmoapp/junitxml description of the format. A check that found something is a failure and carries its
         smallest witness; what could not be judged is an error, never a pass; a ledger check without a ledger is
         skipped, and says so.
"""

import re
from typing import Final
from xml.etree import ElementTree as ET

from simulator.audit.registry import CHECKS, LEDGER_CHECKS
from simulator.audit.report import Anomaly
from simulator.report.finished import Finished
from simulator.report.wording import amounts, counted, fault_words, spaced

# XML 1.0 has no way to write these, not even escaped; what a customer typed may hold them.
FORBIDDEN: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(finished: Finished) -> str:
    run = finished.run
    suite = ET.Element("testsuite", name=_clean(f"payonce {run.get('scenario', '')} {run.get('guarantee', '')}"))
    properties = ET.SubElement(suite, "properties")
    for name in ("seed", "guarantee", "namespace", "command"):
        if name in run:
            ET.SubElement(properties, "property", name=name, value=_clean(str(run[name])))
    _checks(finished, suite)
    _judged(finished, suite)
    _faults(finished, suite)
    for one in finished.summary.get("thresholds", ()):
        case = _case(suite, "thresholds", str(one["threshold"]))
        if not one["held"]:
            value = one.get("value")
            _add(case, "failure", "nothing was measured" if value is None else f"it was {value:,.6g}")
    for kind in ("tests", "failures", "errors", "skipped"):
        tag = {"tests": "testcase", "failures": "failure", "errors": "error", "skipped": "skipped"}[kind]
        suite.set(kind, str(len(suite.findall(f".//{tag}"))))
    suite.set("time", f"{sum(finished.summary.get('took_s', {}).values()):.1f}")
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _checks(finished: Finished, suite: ET.Element) -> None:
    report = finished.report
    for name in dict.fromkeys((*CHECKS, *LEDGER_CHECKS)):
        case = _case(suite, "checks", name)
        found = [anomaly for anomaly in report.anomalies if anomaly.name == name]
        if found:
            _failure(case, found)
        elif name not in CHECKS and not report.with_ledger:
            _add(case, "skipped", "there was no ledger to read")
        elif name not in report.checks:
            _add(case, "error", "the check did not run to its end: nothing is known")


def _judged(finished: Finished, suite: ET.Element) -> None:
    """A reason why nothing found would be no pass is an error of its own."""
    case = _case(suite, "verdict", "everything could be judged")
    if finished.report.unknown:
        _add(case, "error", finished.report.unknown[0], "\n".join(finished.report.unknown))


def _faults(finished: Finished, suite: ET.Element) -> None:
    for name, figures in finished.summary["faults"].items():
        case = _case(suite, "faults", f"{spaced(name)} hit")
        if not figures["bitten"]:
            _add(case, "error", f"{fault_words(name)}: planned, and it never hit anything")


def _failure(case: ET.Element, found: list[Anomaly]) -> None:
    parts = []
    for anomaly in found:
        cause = f" ({spaced(anomaly.cause)})" if anomaly.cause else ""
        parts.append(f"{counted(anomaly.count, 'case')}{cause}, {amounts(anomaly.money, 'no money')}")
    witness = min((w for a in found for w in a.witnesses), key=lambda one: len(one.timeline), default=None)
    text = "" if witness is None else "\n".join([f"{witness.subject}: {witness.summary}", *witness.timeline])
    _add(case, "failure", "; ".join(parts), text)


def _case(suite: ET.Element, group: str, name: str) -> ET.Element:
    return ET.SubElement(suite, "testcase", classname=f"payonce.{group}", name=_clean(name))


def _add(case: ET.Element, kind: str, message: str, text: str = "") -> None:
    ET.SubElement(case, kind, message=_clean(message)).text = _clean(text) or None


def _clean(text: str) -> str:
    return FORBIDDEN.sub("\ufffd", text)
