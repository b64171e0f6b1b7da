"""answer_mismatch: somebody was told something else than what happened, or than what somebody else was told.

Is:      replies to one command that differ; answers to one key, for one request, within its life that differ
         in status or body; an answer a client got that is on the log for nobody; an event that is not what
         its command asked for; a refusal as the only answer to what was executed; a key record that says
         something else than the answer; two "first" answers of one key; under exactly-once also whatever
         differs from the recomputation of every command from the log, and a dead letter for a plainly valid
         command.
Is not:  command_expired after the real answer; 400, 422, 429, 5xx and a 409 of the key in flight beside it
         (never kept under the key); different answers in two lives of a key; `replayed` true on one and false
         on the other.
Money:   the difference between what the wrong answer says was moved and what the right one says.

One case per command or key: the first contradiction found is told, the others follow from it.
"""

from collections import defaultdict
from collections.abc import Iterator

from simulator.audit import rules
from simulator.audit.answers import GATEWAY_CODES, moved
from simulator.audit.clients import Attempt
from simulator.audit.declared import BEGINNING, CAUSED_BY
from simulator.audit.evidence import Evidence
from simulator.audit.expected import COMMAND_EXPIRED, Expected, Recomputation
from simulator.audit.finding import Finding
from simulator.audit.records import Command, Event, Reply, problem_code

NAME = "answer_mismatch"


def find(evidence: Evidence) -> Iterator[Finding]:
    told: set[str] = set()
    for finding in _all(evidence):
        if finding.subject not in told:
            told.add(finding.subject)
            yield finding


def _all(evidence: Evidence) -> Iterator[Finding]:
    yield from _events(evidence)
    yield from _replies_of_one_command(evidence)
    yield from _answers_of_one_key(evidence)
    yield from _key_records(evidence)
    if evidence.atomic:
        yield from _recomputed(evidence)
    else:
        yield from _refused_though_executed(evidence)
    if evidence.clients is not None:
        yield from _heard_by_clients(evidence)


def _subject(command: Command) -> str:
    return f"{command.key_name}#{command.life + 1}" if command.key_name else f"command {command.command_id}"


def _events(evidence: Evidence) -> Iterator[Finding]:
    """Each event against its own command, which holds under every guarantee."""
    for event in evidence.events:
        commands = evidence.commands_of.get(event.identity)
        if not commands:
            continue
        command = commands[0]
        wrong = _wrong_member(command, event)
        if wrong:
            money = {event.currency: abs(event.amount - command.money.get(event.currency, event.amount))}
            summary = f"{event.type} differs from what {command.operation} asked for: {wrong}."
            yield Finding(_subject(command), summary, (command, event), None, _some(money), command.intent)


def _wrong_member(command: Command, event: Event) -> str:
    if not command.readable:
        return "the command cannot be executed at all"
    if event.type not in (kind.name for kind in CAUSED_BY[command.operation]):
        return f"its type is {event.type}"
    if event.event_id != rules.derived("evt", *command.identity):
        return f"its event_id is {event.event_id}"
    if event.idempotency_key != command.idempotency_key:
        return f"its idempotency_key is {event.idempotency_key}"
    payload = command.payload
    if command.operation in BEGINNING:
        meant = rules.execute(
            command.operation, payload, command.merchant_id, command.command_id, event.occurred_at, None
        )
        if (event.type, event.amount, event.currency) != (meant.event, meant.amount, meant.currency):
            said = f"{event.type} {event.amount} {event.currency}"
            return f"{said} instead of {meant.event} {meant.amount} {meant.currency}"
        return "" if event.charge == meant.charge else "its charge is not the one asked for"
    if event.charge_id != payload["charge_id"] or event.charge.get("id") != event.charge_id:
        return f"it is about {event.charge_id}"
    asked = payload.get("amount")
    return "" if asked is None or asked == event.amount else f"its amount is {event.amount} instead of {asked}"


def _replies_of_one_command(evidence: Evidence) -> Iterator[Finding]:
    for identity, replies in evidence.replies_of.items():
        if len(replies) < 2:
            continue
        final = [reply for reply in replies if reply.code != "command_expired"] or replies[:1]
        other = next((reply for reply in final[1:] if not _same(final[0], reply)), None)
        commands = evidence.commands_of.get(identity, [])
        if other is not None and not (len(commands) > 1 and 422 in (final[0].status, other.status)):
            subject = _subject(commands[0]) if commands else f"command {identity[1]}"
            yield _differ(subject, "One command was answered", final[0], other, commands[:1])


def _answers_of_one_key(evidence: Evidence) -> Iterator[Finding]:
    for commands in evidence.commands_of_key.values():
        if len(commands) < 2:
            continue
        answers: dict[tuple[int, str], tuple[Command, Reply]] = {}
        originals: dict[tuple[int, str], Command] = {}
        for command in commands:
            request = command.life, command.fingerprint
            for reply in evidence.replies_of.get(command.identity, ()):
                if not _kept(reply.status, reply.code):
                    continue
                known = answers.setdefault(request, (command, reply))
                if (known[1].status, known[1].body) != (reply.status, reply.body):
                    yield _differ(_subject(command), "One key was answered", known[1], reply, [known[0], command])
                elif evidence.keys_decide and not reply.replayed:
                    first = originals.setdefault(request, command)
                    if first.identity != command.identity:
                        summary = "Two commands of one key both claim to be the one that was executed."
                        yield Finding(_subject(command), summary, (first, command, reply), None, {}, command.intent)


def _key_records(evidence: Evidence) -> Iterator[Finding]:
    """The newest record of each key against the answer its own command got."""
    if not evidence.keys_decide:
        return
    for record in evidence.key_state.values():
        commands = evidence.commands_of.get(record.identity) if record is not None else None
        if record is None or not commands:
            continue
        command = commands[0]
        replies = [
            reply
            for reply in evidence.replies_of.get(record.identity, ())
            if not reply.replayed and _kept(reply.status, reply.code)
        ]
        wrong = [reply for reply in replies if (reply.status, reply.body) != (record.status, record.body)]
        if replies and len(wrong) == len(replies):
            summary = f"The key record says {record.status}, the answer was {wrong[0].status}, and they differ."
            money = _difference(record.status, record.body, wrong[0].status, wrong[0].body)
            yield Finding(_subject(command), summary, (command, record, wrong[0]), None, money, command.intent)
        elif command.readable and record.fingerprint != command.fingerprint:
            summary = "The key record's fingerprint is not that of its command."
            yield Finding(_subject(command), summary, (command, record), None, {}, command.intent)


def _recomputed(evidence: Evidence) -> Iterator[Finding]:
    again = Recomputation(evidence)
    for command in evidence.commands:
        if evidence.dead_lettered(command):
            if (
                command.sure
                and not evidence.misrouted(command)
                and command is evidence.commands_of[command.identity][0]
            ):
                reason = evidence.dead[command.partition, command.offset]
                summary = f"A valid {command.operation} was dead-lettered ({reason})."
                yield Finding(_subject(command), summary, (command,), None, command.money, command.intent)
            continue
        if command.identity in again.unsure or command.identity not in again.answers:
            continue
        answers = again.answers[command.identity]
        for event in evidence.events_of.get(command.identity, ()):
            if not any(expected.fits_event(event) for expected in answers):
                summary = f"{event.type} {event.amount} {event.currency}; recomputed: {answers[0].say()}."
                yield Finding(_subject(command), summary, (command, event), None, event.money, command.intent)
        for index, reply in enumerate(evidence.replies_of.get(command.identity, ())):
            expired_later = index > 0 and COMMAND_EXPIRED.fits(reply)
            if not expired_later and not any(expected.fits(reply) for expected in answers):
                yield _not_recomputed(command, reply, answers)


def _refused_though_executed(evidence: Evidence) -> Iterator[Finding]:
    """It was executed, died before its answer, and came again when it was no longer possible."""
    for identity, events in evidence.events_of.items():
        done = next((event for event in events if event.executed), None)
        replies, commands = evidence.replies_of.get(identity, ()), evidence.commands_of.get(identity)
        if done is None or not replies or not commands:
            continue
        if all(reply.status >= 300 and _kept(reply.status, reply.code) for reply in replies):
            summary = f"{done.type} was executed, and the only answer is {replies[0].status} {replies[0].code}."
            proof = commands[0], done, replies[0]
            yield Finding(_subject(commands[0]), summary, proof, None, done.money, commands[0].intent)


def _not_recomputed(command: Command, reply: Reply, answers: list[Expected]) -> Finding:
    flag = f", replayed={str(reply.replayed).lower()}"
    summary = f"{command.operation} was answered {reply.status} {reply.code}{flag}; recomputed: {answers[0].say()}."
    money = _difference(reply.status, reply.body, answers[0].status, answers[0].body)
    return Finding(_subject(command), summary, (command, reply), None, money, command.intent)


def _heard_by_clients(evidence: Evidence) -> Iterator[Finding]:
    assert evidence.clients is not None
    said: dict[str, set[tuple[int, str]]] = defaultdict(set)
    for commands in evidence.commands_of.values():
        name = commands[0].key_name or commands[0].intent
        said[name].update((reply.status, reply.body) for reply in evidence.replies_of.get(commands[0].identity, ()))
    for intent in evidence.clients.intents.values():
        if not evidence.absent_for(intent.merchant_id):
            continue
        for attempt in intent.attempts.values():
            if attempt.end != "ok" or attempt.status is None or attempt.body is None:
                continue
            name = (
                f"{attempt.merchant_id}/{attempt.idempotency_key}"
                if attempt.idempotency_key is not None
                else intent.name
            )
            if (attempt.status, attempt.body) in said.get(name, ()) or not _decided(attempt):
                continue
            summary = f"The customer was answered {attempt.status}, which is on the log for no command of {name}."
            proof: list[Command | Reply] = list(evidence.commands_of_intent.get(intent.name, []))
            proof += [reply for command in proof for reply in evidence.replies_of.get(command.identity, ())]
            yield Finding(name, summary, tuple(proof), None, moved(attempt.status, attempt.body), intent.name)


def _decided(attempt: Attempt) -> bool:
    assert attempt.status is not None
    return _kept(attempt.status, problem_code(attempt.status, attempt.body or ""))


def _kept(status: int, code: str) -> bool:
    return status not in rules.NOT_STORED and code not in GATEWAY_CODES


def _same(one: Reply, other: Reply) -> bool:
    return (one.status, one.body, one.replayed) == (other.status, other.body, other.replayed)


def _differ(subject: str, what: str, one: Reply, other: Reply, commands: list[Command]) -> Finding:
    unequal = f"{one.status} and {other.status}" if one.status != other.status else f"{one.status} twice, unequally"
    money = _difference(other.status, other.body, one.status, one.body)
    intent = commands[0].intent if commands else ""
    return Finding(subject, f"{what} {unequal}.", (*commands, one, other), None, money, intent)


def _difference(status: int, body: str | None, right_status: int, right_body: str | None) -> dict[str, int]:
    wrong, right = moved(status, body), moved(right_status, right_body)
    names = wrong.keys() | right.keys()
    return _some({name: abs(wrong.get(name, 0) - right.get(name, 0)) for name in names})


def _some(money: dict[str, int]) -> dict[str, int]:
    return {currency: amount for currency, amount in money.items() if amount}
