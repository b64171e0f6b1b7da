"""What the customers heard, beside what stands on the log.

Out:     for each check what it found wrong, in sentences.
Source:  docs/contract.md, "HTTP". Pure.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence

from tests.support.outside.book import Book
from tests.support.outside.customers import Answer
from tests.support.outside.plan import Payment


def one_answer_per_request(answers: Sequence[Answer]) -> Iterator[str]:
    """Whoever asked the same under the same key heard the same bytes, and at most one was not told a replay."""
    heard: dict[tuple[str, str, str], list[Answer]] = defaultdict(list)
    for one in answers:
        heard[one.merchant, one.key, one.fingerprint].append(one)
    for (merchant, key, _), same in heard.items():
        if len({(one.status, one.body) for one in same}) > 1:
            yield f"{merchant}/{key} was answered {sorted({(one.status, one.body) for one in same})}"
        if same[0].status != 422 and sum(not one.replayed for one in same) > 1:
            yield f"{merchant}/{key} was told more than once that it was no replay"


def answers_are_the_planned_ones(answers: Sequence[Answer], payments: Sequence[Payment]) -> Iterator[str]:
    """What each step must come to when everything before it happened once; of two rivals one is refused."""
    planned = {payment.number: payment for payment in payments}
    rivals: dict[tuple[int, int], dict[bool, int]] = defaultdict(dict)
    for one in answers:
        step = planned[one.payment].steps[one.step]
        if step.rival is not None:
            rivals[one.payment, one.step][one.is_rival] = one.status
            continue
        code = one.content.get("code") if one.status >= 400 else None
        if (one.status, code) != (step.status, step.code):
            yield f"payment {one.payment} step {one.step}: {one.status} {code} instead of {step.status} {step.code}"
    for where, statuses in rivals.items():
        if sorted(statuses.values()) not in ([201, 422], [201], [422]):
            yield f"payment {where[0]}: two rivals under one key were answered {statuses}"


def answers_are_the_key_records(answers: Sequence[Answer], book: Book) -> Iterator[str]:
    """Every answer is a record of its key, byte for byte, or a refusal because a record is another request's."""
    records = book.by_key()
    for one in answers:
        found = [each.content for each in records.get(f"{one.merchant}/{one.key}", ())]
        same = [each for each in found if each["fingerprint"] == one.fingerprint]
        if (one.status, one.operation, one.body) in [(e["status"], e["operation"], e["body"].encode()) for e in same]:
            continue
        if len(same) == len(found) or (one.status, one.content.get("code")) != (422, "idempotency_key_reused"):
            yield f"{one.merchant}/{one.key} was answered {one.body!r}; its records say {[e['body'] for e in found]}"


def answers_stand_on_the_log(answers: Sequence[Answer], book: Book) -> Iterator[str]:
    """Whatever a customer heard is a committed reply under that key; nothing was answered that can be taken back."""
    said = {(one.content["merchant_id"], one.content["idempotency_key"], one.content["body"]) for one in book.replies}
    for one in answers:
        if (one.merchant, one.key, one.body.decode()) not in said:
            yield f"{one.merchant}/{one.key} was answered {one.body!r}, which is no reply on the log"


def paid_means_one_event(answers: Sequence[Answer], book: Book) -> Iterator[str]:
    """Each 200, 201 and 402 that a customer heard has exactly one event, of the right type, about that charge."""
    events = book.events_by_command()
    commands = {(one.key, one.content["body"]): one.content["command_id"] for one in book.keys}
    for merchant, key, body, status in {(one.merchant, one.key, one.body, one.status) for one in answers}:
        if status not in (200, 201, 402):
            continue
        said = json.loads(body)
        charge = said.get("charge_id") or said["id"]
        if status == 402:
            wanted = "charge.declined"
        else:
            wanted = "charge.refunded" if said["object"] == "refund" else f"charge.{said['status']}"
        found = [one.content for one in events.get(commands.get((f"{merchant}/{key}", body.decode()), ""), ())]
        if [(one["type"], one["charge_id"]) for one in found] != [(wanted, charge)]:
            yield f"{merchant}/{key} was told {wanted} {charge}; on the log: {[one['type'] for one in found]}"
