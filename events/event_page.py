"""The page about charge events, made from their declarations: docs/events/charge-events.md.

Out:     Markdown: what each event means, what causes it, what it does, which accounts it moves, and an example.
"""

import json
from collections.abc import Iterator

from events.charge_events import CHARGE_EVENTS
from events.charge_events.base import Answers, EventType, Of
from events.event_examples import example_record

_HEAD = """# Charge events

Made from `events/charge_events` by `make schemas`; not edited by hand. The fields of a record are in
[ChargeEvent.schema.json](ChargeEvent.schema.json), the accounts in [the ledger's page](../ledger.md).

| event | caused by | charge becomes | debit | credit | of |
| --- | --- | --- | --- | --- | --- |
"""
_ANSWERED = {
    Answers.CHARGE: "the charge as it is then",
    Answers.REFUND: "a refund, which stands in the event too",
    Answers.DECLINE: "a problem with the card's decline code",
}


def event_page() -> str:
    rows = "".join(row for kind in CHARGE_EVENTS for row in _rows(kind))
    return _HEAD + rows + "".join(_section(kind) for kind in CHARGE_EVENTS)


def _rows(kind: EventType) -> Iterator[str]:
    first = f"| `{kind.name}` | `{kind.cause.name}` | {_becomes(kind)} |"
    if not kind.moves:
        yield f"{first} | | nothing moves |\n"
    for move in kind.moves:
        what = "the event's amount" if move.of is Of.EVENT else "what the charge was made for"
        yield f"{first} `{move.debit}` | `{move.credit}` | {what} |\n"
        first = "| | | |"


def _becomes(kind: EventType) -> str:
    if kind.status is None:
        return "(as before)"
    if kind.partly is None:
        return f"`{kind.status}`"
    partly = kind.partly
    return f"`{partly.status}` while `{partly.member}` < `{partly.below}`, then `{kind.status}`"


def _section(kind: EventType) -> str:
    record = json.dumps(example_record(kind), indent=2)
    answer = f"{kind.answer_status} and {_ANSWERED[kind.answers]}"
    return f"\n## {kind.name}\n\n{kind.meaning} Answered with {answer}.\n\n```json\n{record}\n```\n"
