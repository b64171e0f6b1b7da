"""One trial: customers and vandals at the same stack, then everything is read and every check made.

In:      a running stack's directory, a seed, how many payments, for how many seconds it may be disturbed.
Out:     a Trial: one Verdict a check, duplicates by cause, what the vandals did.
Units:   seconds.
Errors:  AssertionError where the stack does not settle or a GET is not answered.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.outside import heard, ledger, once
from tests.support.outside.book import Book
from tests.support.outside.customers import Customers
from tests.support.outside.duplicates import duplicates
from tests.support.outside.kafka import Kafka
from tests.support.outside.plan import Payment, last_round, payments
from tests.support.outside.settled import read_all, wait_settled
from tests.support.outside.stack import Stack
from tests.support.outside.vandals import EVERY_ANSWERS, WEIGHTS, Vandals

LIVES_ASKED = 40
OF_KEYS_THAT_LAST = ("one answer per request", "answers are the planned ones", "keys have one life")
SHOWN = 5


@dataclass(frozen=True)
class Verdict:
    """What one check looked at, and what it found wrong."""

    check: str
    looked_at: int
    wrong: tuple[str, ...]

    def __str__(self) -> str:
        told = "".join(f"\n    {one}" for one in self.wrong[:SHOWN])
        more = f"\n    and {len(self.wrong) - SHOWN} more" if len(self.wrong) > SHOWN else ""
        return f"{'WRONG' if self.wrong else 'ok':5} {self.check} ({self.looked_at} looked at){told}{more}"


@dataclass
class Trial:
    seed: int
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    duplicates: Counter[str] = field(default_factory=Counter)
    chaos: Counter[str] = field(default_factory=Counter)
    failed_strikes: Counter[str] = field(default_factory=Counter)
    not_struck: list[str] = field(default_factory=list)
    hitches: Counter[str] = field(default_factory=Counter)
    counts: dict[str, int] = field(default_factory=dict)
    took_s: dict[str, float] = field(default_factory=dict)

    def wrong(self) -> list[str]:
        return [str(one) for one in self.verdicts.values() if one.wrong]

    def __str__(self) -> str:
        lines = [str(one) for one in self.verdicts.values()]
        facts: dict[str, Mapping[str, float]]
        facts = {"duplicates": self.duplicates, "vandals": self.chaos, "failed strikes": self.failed_strikes}
        facts |= {"hitches": self.hitches, "counts": self.counts, "seconds": self.took_s}
        lines += [f"{name}: " + ", ".join(f"{what} {n}" for what, n in one.items()) for name, one in facts.items()]
        return "\n".join([f"seed {self.seed}", *lines])


async def run_trial(
    directory: Path,
    seed: int,
    count: int,
    for_s: float,
    *,
    weights: dict[str, int] | None = None,
    every_answers: tuple[int, int] = EVERY_ANSWERS,
    keys_expire: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> Trial:
    """Vandals strike while payments begin, but no longer than `for_s` seconds; the stack must be fresh."""
    stack = Stack(directory)
    kafka = Kafka(stack)
    partitions = await kafka.partitions()
    trial = Trial(seed)
    planned = payments(seed, count, sorted(stack.api_keys))
    last = last_round(count, sorted(stack.api_keys))
    customers = Customers(stack, seed)
    vandals = Vandals(stack, kafka, seed, partitions, lambda what: tell(f"{customers} {what}"))
    vandals.weights, vandals.every_answers = dict(weights or WEIGHTS), every_answers
    if stack.guarantee != "exactly-once":
        vandals.weights["forward"] = 0  # would lose commands, as it may
    clock = time.monotonic()

    def lap(name: str) -> None:
        nonlocal clock
        trial.took_s[name] = round(time.monotonic() - clock, 1)
        clock = time.monotonic()

    async with asyncio.TaskGroup() as group:
        group.create_task(vandals.run(for_s, lambda: len(customers.answers), lambda: customers.begun >= 0.97 * count))
        group.create_task(customers.run(planned, tell))
    lap("payments")
    trial.took_s["own CPU"] = round(time.process_time(), 1)
    tell(f"{customers} everybody is through; one more sale each")
    await customers.run(last)
    ends = await wait_settled(kafka, partitions)
    lap("settling")
    book, aborted = await read_all(kafka, partitions, ends)
    records = {one.key for one in book.keys}
    asked = sorted({(one.merchant, one.key) for one in customers.answers if f"{one.merchant}/{one.key}" in records})
    told = await ledger.ask(stack, random.Random(seed).sample(asked, min(LIVES_ASKED, len(asked))))
    lap("reading")
    _judge(trial, book, told, customers, [*planned, *last])
    if keys_expire:  # what is asked again after its window is a new request
        for name in OF_KEYS_THAT_LAST:
            del trial.verdicts[name]
    lap("judging")
    trial.duplicates = duplicates(book, vandals.minted, vandals.rewound)
    trial.chaos = vandals.done + vandals.appended
    trial.failed_strikes = vandals.failed
    trial.not_struck = [what for what, weight in vandals.weights.items() if weight and not vandals.done[what]]
    trial.hitches = customers.hitches
    trial.counts = {
        "payments": len(planned) + len(last),
        "posts": customers.posts,
        "answers": len(customers.answers),
        "commands": len(book.commands),
        "events": len(book.events),
        "aborted records": aborted,
        "replies": len(book.replies),
        "repeated replies": len(book.replies) - len(book.commands),
    }
    return trial


def _judge(trial: Trial, book: Book, told: ledger.Told, customers: Customers, planned: list[Payment]) -> None:
    answers = customers.answers

    def check(name: str, looked_at: int, wrong: Iterable[str]) -> None:
        trial.verdicts[name] = Verdict(name, looked_at, _all(wrong))

    check("every request was answered", len(answers), customers.unanswered)
    check("answers stand on the log", len(answers), heard.answers_stand_on_the_log(answers, book))
    check("nothing is lost", len(book.commands), once.nothing_is_lost(book))
    check("one answer per request", len(answers), heard.one_answer_per_request(answers))
    check("answers are the planned ones", len(answers), heard.answers_are_the_planned_ones(answers, planned))
    check("answers are the key records", len(answers), heard.answers_are_the_key_records(answers, book))
    check("paid means one event", len(answers), heard.paid_means_one_event(answers, book))
    check("one event per executed command", len(book.events), once.one_event_per_executed_command(book))
    check("one execution per key", len(book.keys), once.one_execution_per_key(book))
    check("key record is event", len(book.keys), once.key_record_is_event(book))
    check("every command is answered", len(book.commands), once.every_command_is_answered(book))
    check("unwanted commands are dead letters", len(book.dead), once.unwanted_commands_are_dead_letters(book))
    check("dead letters stand there once", len(book.dead), once.dead_letters_stand_there_once(book))
    check("positions only grow", sum(map(len, book.positions.values())), once.positions_only_grow(book))
    check("tombstones are due", len(book.tombstones), once.tombstones_are_due(book))
    check("events fold", len(book.events), ledger.events_fold(book))
    check("charges are the fold", sum(map(len, told.charges.values())), ledger.charges_are_the_fold(book, told))
    check("balances are the fold", sum(map(len, told.balances.values())), ledger.balances_are_the_fold(book, told))
    check("keys have one life", len(told.keys), ledger.keys_have_one_life(book, told))


def _all(wrong: Iterable[str]) -> tuple[str, ...]:
    """What a check found, and what it stumbled over: a log that breaks the reader is wrong too."""
    found: list[str] = []
    try:
        found.extend(wrong)
    except (KeyError, TypeError, ValueError, AssertionError, IndexError) as error:
        found.append(f"the check ended with {error!r}")
    return tuple(found)
