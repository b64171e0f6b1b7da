"""The comparison of an audit, out of its evidence: customer, key and charge of every intent; and the retry tail.

In:      Evidence.
Out:     Comparison and KeyWindow. Neither is a verdict: the checks judge, this counts.

Which command an attempt became is not on the log. It is taken to be the newest of the intent's attempts with that
key that began before the command was appended and is not another command's; with clocks that differ, or copies that
nobody asked for, a count may be off, never a verdict.
"""

from collections.abc import Iterator, Sequence

from simulator.audit import rules
from simulator.audit.answers import is_kept
from simulator.audit.clients import Attempt, Clients, Intent
from simulator.audit.comparison import Belief, Comparison, Disagreement, KeySays, Waits, agree, summed
from simulator.audit.declared import BEGINNING
from simulator.audit.evidence import Evidence
from simulator.audit.key_window import KeyWindow, window_of
from simulator.audit.money import add_money
from simulator.audit.records import Command, Event


def compare(evidence: Evidence) -> Comparison:
    return summed(_intents(evidence))


def key_window(evidence: Evidence) -> KeyWindow:
    """By the customers' attempts or, without a history, by the commands that stand on the log."""
    if evidence.clients is None:
        return window_of(_uses_on_the_log(evidence))
    return window_of(_uses_by_customers(evidence.clients))


def _uses_by_customers(clients: Clients) -> Iterator[Sequence[int]]:
    for intent in clients.intents.values():
        by_key: dict[str, list[int]] = {}
        for attempt in intent.attempts.values():
            if attempt.idempotency_key is not None:
                instants = (attempt.invoked_at, *(at for at, _ in attempt.resent))
                by_key.setdefault(attempt.idempotency_key, []).extend(instants)
        yield from (sorted(instants) for instants in by_key.values())


def _uses_on_the_log(evidence: Evidence) -> Iterator[Sequence[int]]:
    """Clocks never go back, so these are in order."""
    for commands in evidence.commands_of_key.values():
        if len(commands) > 1:
            by_request: dict[str, list[int]] = {}
            for command in commands:
                by_request.setdefault(command.fingerprint, []).append(command.clock)
            yield from by_request.values()


def _intents(evidence: Evidence) -> Iterator[tuple[Disagreement, bool]]:
    clients = evidence.clients
    for name in evidence.commands_of_intent if clients is None else clients.intents:
        meant = clients.intents[name] if clients is not None else None
        commands = evidence.commands_of_intent.get(name, [])
        events = [event for event in evidence.events_of_intent.get(name, ()) if event.executed]
        belief = Belief.UNHEARD if meant is None else _belief(list(meant.attempts.values()))
        key = _key_says(evidence, commands)
        agrees = agree(belief, key, len(events), keys_decide=evidence.keys_decide)
        operation = meant.operation if meant is not None else commands[0].operation
        money = {} if agrees else _at_stake(commands, events)
        yield Disagreement(name, operation, belief, key, len(commands), len(events), money), agrees


def _belief(attempts: Sequence[Attempt]) -> Belief:
    answers = [attempt for attempt in attempts if attempt.end == "ok" and attempt.status is not None]
    if any(200 <= (attempt.status or 0) < 300 for attempt in answers):
        return Belief.YES
    if any(_decided(attempt) for attempt in answers):
        return Belief.NO
    if any(attempt.end in ("info", None) for attempt in attempts):
        return Belief.UNKNOWN
    return Belief.NO if answers else Belief.NOT_SENT


def _decided(attempt: Attempt) -> bool:
    return attempt.end == "ok" and attempt.status is not None and is_kept(attempt.status, attempt.body or "")


def _key_says(evidence: Evidence, commands: Sequence[Command]) -> KeySays:
    """The best that any of the intent's keys says of it."""
    found = {_one_key_says(evidence, command) for command in commands}
    return next((says for says in KeySays if says in found), KeySays.NOTHING)


def _one_key_says(evidence: Evidence, command: Command) -> KeySays:
    if command.record_key not in evidence.key_state:
        expired = evidence.keys_decide and evidence.clock(command.partition) >= command.clock + evidence.key_ttl_ms
        return KeySays.EXPIRED if expired else KeySays.NOTHING
    record = evidence.key_state[command.record_key]
    if record is None:
        return KeySays.EXPIRED
    if record.fingerprint != command.fingerprint:
        return KeySays.OTHER
    return KeySays.SUCCESS if 200 <= record.status < 300 else KeySays.REFUSAL


def _at_stake(commands: Sequence[Command], events: Sequence[Event]) -> dict[str, int]:
    """What was moved beyond once; or once, where nobody believes it; or what should have been moved and was not."""
    money: dict[str, int] = {}
    for event in events[1:] or events:
        add_money(money, event.money)
    return money if events or not commands else dict(commands[0].money)


def waits(evidence: Evidence) -> Waits:
    """Of every customer with an unknown outcome: how long it was unknown."""
    found = Waits()
    for intent in evidence.clients.intents.values() if evidence.clients is not None else ():
        unknown = [attempt for attempt in intent.attempts.values() if attempt.end in ("info", None)]
        if not unknown:
            continue
        done = _attempts_that_succeeded(evidence, intent)
        found.attempts += len(unknown)
        found.succeeded += sum(attempt.number in done for attempt in unknown)
        settled = [attempt.ended_at for attempt in intent.attempts.values() if _decided(attempt) and attempt.ended_at]
        began = [attempt.ended_at for attempt in unknown if attempt.ended_at]
        if settled:
            found.settled_ms.append(max(0, min(settled) - min(began, default=min(settled))))
        else:
            found.never_settled += 1
            add_money(found.money_unsettled, _meant(intent))
    return found


def _attempts_that_succeeded(evidence: Evidence, intent: Intent) -> set[int]:
    """The numbers of those attempts whose command was executed, or answered with an earlier one's success."""
    done: set[int] = set()
    became: dict[object, int] = {}  # a command: its attempt
    for command in evidence.commands_of_intent.get(intent.name, ()):
        if command.identity in became:
            continue  # the same command, on the log once more
        taken = set(became.values())
        asked = [
            attempt
            for attempt in intent.attempts.values()
            if attempt.idempotency_key == command.idempotency_key
            and attempt.invoked_at <= command.timestamp
            and attempt.number not in taken
        ]
        if not asked:
            continue
        newest = became[command.identity] = max(asked, key=lambda one: (one.invoked_at, one.number)).number
        replies = evidence.replies_of.get(command.identity, ())
        executed = any(event.executed for event in evidence.events_of.get(command.identity, ()))
        if executed or any(200 <= reply.status < 300 for reply in replies):
            done.add(newest)
    return done


def _meant(intent: Intent) -> dict[str, int]:
    """What a creation was to take; other operations say their amount only together with their charge."""
    if intent.operation in BEGINNING and rules.valid(intent.operation, intent.payload):
        return {intent.payload["currency"]: intent.payload["amount"]}
    return {}
