"""Joins what the log and the customers said: commands by key and life, intents by history or by key.

In:      Evidence with all its records.
Out:     the same, its commands numbered by the life of their key and named by their intent.
"""

from collections import defaultdict

from simulator.audit import rules
from simulator.audit.clients import Clients
from simulator.audit.declared import BEGINNING
from simulator.audit.evidence import Evidence, Identity
from simulator.audit.records import Command


def join(evidence: Evidence) -> None:
    for command in evidence.commands:
        if command.command_id:
            evidence.commands_of[command.identity].append(command)
            if command.idempotency_key is not None and not evidence.dead_lettered(command):
                evidence.commands_of_key[command.key_name].append(command)
    _lives(evidence)
    if evidence.clients is None:
        _intents_by_key(evidence)
    else:
        _intents_by_history(evidence, evidence.clients)
        if not evidence.history_complete:
            _complete(evidence, evidence.clients)
    for command in evidence.commands:
        if command.intent:
            evidence.commands_of_intent[command.intent].append(command)
    for event in evidence.events:
        caused_by = evidence.commands_of.get(event.identity)
        if caused_by:
            evidence.events_of_intent[caused_by[0].intent].append(event)


def binds(evidence: Evidence, command: Command) -> bool:
    """Whether its key stands for this command's own answer: executed, or refused in a way that is kept."""
    if command.identity in evidence.events_of:
        return True
    return any(
        not reply.replayed and reply.status not in rules.NOT_STORED and reply.code != "command_expired"
        for reply in evidence.replies_to(command)
    )


def _lives(evidence: Evidence) -> None:
    """Number the lives of each key: one begins with the command that binds it and lasts the window."""
    for commands in evidence.commands_of_key.values():
        life, until = 0, None
        bound: dict[Identity, int] = defaultdict(int)
        for command in commands:
            if until is not None and command.clock >= until:
                life, until = life + 1, None
            if until is None and binds(evidence, command):
                executions = len(evidence.events_of.get(command.identity, ()))
                # A copy of what was executed in an earlier life binds nothing, unless it was executed once more.
                command.binding = not executions or bound[command.identity] < executions
                if command.binding:
                    bound[command.identity] += 1
                    until = command.clock + evidence.key_ttl_ms
            command.life = life


def _intents_by_key(evidence: Evidence) -> None:
    """Without a history a key means one thing while it lives, and a command without a key means itself."""
    for identity, commands in evidence.commands_of.items():
        # A copy of an old command belongs to what the original meant, however late it comes.
        first = next((command for command in commands if command.binding), commands[0])
        life = f"#{first.life + 1}" if first.life else ""
        name = f"{first.key_name}{life}" if first.key_name else f"@command/{identity[0]}/{identity[1]}"
        for command in commands:
            command.intent = name


def _complete(evidence: Evidence, clients: Clients) -> None:
    """Others may use a partition too: then a command in it that no customer of ours sent is theirs."""
    evidence.history_complete = dict.fromkeys(range(evidence.extent.partitions), True)
    for command in evidence.commands:
        if command.command_id and not clients.could_have_sent(command.merchant_id, command.timestamp):
            evidence.history_complete[command.partition] = False


def _intents_by_history(evidence: Evidence, clients: Clients) -> None:
    prints: dict[str, str] = {}
    by_key: dict[tuple[str, str], list[str]] = {}  # in the order in which they were meant
    keyless: dict[tuple[str, str], str] = {}
    for intent in clients.intents.values():
        for attempt in intent.attempts.values():
            if attempt.idempotency_key is not None:
                users = by_key.setdefault((attempt.merchant_id, attempt.idempotency_key), [])
                if intent.name not in users:
                    users.append(intent.name)
            elif isinstance(attempt.payload, dict):
                mark = rules.fingerprint(attempt.operation, attempt.payload)
                keyless.setdefault((attempt.merchant_id, mark), intent.name)
    for identity, commands in evidence.commands_of.items():
        first = commands[0]
        name = _intent_of(first, clients, prints, by_key, keyless)
        for command in commands:
            command.intent = name or ""
            command.foreign = name is None
        if name is None:
            for command in commands:
                command.intent = command.key_name or f"@command/{identity[0]}/{identity[1]}"


def _intent_of(
    command: Command,
    clients: Clients,
    prints: dict[str, str],
    by_key: dict[tuple[str, str], list[str]],
    keyless: dict[tuple[str, str], str],
) -> str | None:
    if command.operation in BEGINNING:
        named = rules.intent_named(command.payload)
        intent = clients.intents.get(named) if named is not None else None
        if intent is not None and intent.merchant_id == command.merchant_id and intent.operation in BEGINNING:
            return intent.name
    if command.idempotency_key is None:
        return keyless.get((command.merchant_id, command.fingerprint))
    users = by_key.get((command.merchant_id, command.idempotency_key), [])
    if len(users) > 1:
        for user in users:
            if user not in prints:
                prints[user] = rules.fingerprint(clients.intents[user].operation, clients.intents[user].payload)
            if prints[user] == command.fingerprint:
                return user
    return users[0] if users else None
