"""Everything an anomaly is looked for in: the log decoded once, joined by command, key and intent.

In:      entries of the five topics in any order of topics (each partition in offset order), and a history or
         none.
Out:     `Evidence`, built by one pass of a `Collector`; nothing is changed afterwards.
Units:   offsets; Unix milliseconds of the log (`clock`: the highest log timestamp so far, as CONTRACT defines
         it).
Errors:  a record that cannot be decoded is kept without its meaning; on topics the system writes it is
         `unreadable`.

Only committed records count. Aborted and open ones are kept by command, to be shown in a witness.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from simulator.audit import log, rules
from simulator.audit.clients import Clients
from simulator.audit.declared import BEGINNING
from simulator.audit.money import add_money
from simulator.audit.records import Command, Event, KeyRecord, Position, Reply

DEFAULT_KEY_TTL_MS = 24 * 3600 * 1000
Identity = tuple[str, str]  # merchant_id, command_id


class Discarded(NamedTuple):
    """A record that never happened: its Kafka transaction was aborted, or had not ended."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    fate: log.Fate
    identity: Identity  # of the command that caused it
    answer: tuple[int, str] | None = None  # status and body of a reply
    producer: tuple[int, int] | None = None

    def moment(self) -> tuple[int, str]:
        where = f"{self.topic} {self.partition}@{self.offset}"
        return self.timestamp, f"{where}: {self.fate.name.lower()} record of command {self.identity[1]}"


@dataclass(slots=True)
class Waiting:
    """The commands of one partition that the processor has not reached."""

    first: Command
    count: int = 0
    money: dict[str, int] = field(default_factory=dict)

    def take(self, command: Command) -> None:
        self.count += 1
        add_money(self.money, command.money)


@dataclass(slots=True)
class Evidence:
    """The log and the history of one namespace, joined."""

    namespace: str
    guarantee: str
    extent: log.Extent
    clients: Clients | None = None
    key_ttl_ms: int = DEFAULT_KEY_TTL_MS
    commands: list[Command] = field(default_factory=list)  # by partition and offset
    events: list[Event] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    key_state: dict[str, KeyRecord | None] = field(default_factory=dict)  # newest; None is a tombstone
    key_offsets: dict[str, tuple[int, int]] = field(default_factory=dict)
    positions: dict[int, Position] = field(default_factory=dict)
    dead: dict[tuple[int, int], str] = field(default_factory=dict)  # (partition, offset) of the command: reason
    discarded: dict[Identity, list[Discarded]] = field(default_factory=lambda: defaultdict(list))
    discarded_counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    unreadable: list[tuple[str, int, int]] = field(default_factory=list)
    commands_of: dict[Identity, list[Command]] = field(default_factory=lambda: defaultdict(list))
    events_of: dict[Identity, list[Event]] = field(default_factory=lambda: defaultdict(list))
    replies_of: dict[Identity, list[Reply]] = field(default_factory=lambda: defaultdict(list))
    commands_of_key: dict[str, list[Command]] = field(default_factory=lambda: defaultdict(list))
    events_of_charge: dict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))
    events_of_intent: dict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))
    commands_of_intent: dict[str, list[Command]] = field(default_factory=lambda: defaultdict(list))
    clocks: dict[int, int] = field(default_factory=dict)  # after the last command
    last_command: dict[int, int] = field(default_factory=dict)  # its offset
    waiting: dict[int, Waiting] = field(default_factory=dict)  # partitions without any are not in it
    last_output: dict[int, int] = field(default_factory=dict)  # newest timestamp of what was committed about commands
    latest: int = 0  # the newest moment that log (by the brokers' clock) or history know of
    settled: dict[int, bool] = field(default_factory=dict)
    whole: dict[int, bool] = field(default_factory=dict)  # commands, charges and replies from their first record on
    history_complete: bool = False  # every command here was sent by a customer of the history

    @property
    def keys_decide(self) -> bool:
        """Whether this guarantee lets an earlier answer decide a later command."""
        return self.guarantee in ("deduplicated", "exactly-once")

    @property
    def atomic(self) -> bool:
        return self.guarantee == "exactly-once"

    def absent(self, partition: int) -> bool:
        """Whether what is missing here really is missing: the partition is whole, nothing is on its way."""
        return self.settled.get(partition, False) and self.whole.get(partition, False)

    def reached(self, partition: int) -> int:
        """The next command to be executed: the processor's own position where that decides, else the group's offset."""
        position, offset = self.positions.get(partition), self.extent.group_offsets.get(partition, 0)
        if position is None or (offset and not self.atomic):
            return offset
        return position.position

    def clock(self, partition: int) -> int:
        """The highest log timestamp the partition has seen."""
        position = self.positions.get(partition)
        return max(position.clock if position else 0, self.clocks.get(partition, 0))

    def misrouted(self, command: Command) -> bool:
        """Whether the command lies in a partition its merchant does not belong to."""
        return rules.partition_of(command.merchant_id.encode(), self.extent.partitions) != command.partition

    def dead_lettered(self, command: Command) -> bool:
        return (command.partition, command.offset) in self.dead

    def replies_to(self, command: Command) -> list[Reply]:
        """What it was answered under its own key: a producer may have used its id under another one too."""
        replies = self.replies_of.get(command.identity, ())
        return [reply for reply in replies if reply.idempotency_key == command.idempotency_key]

    def buried_copy(self, command: Command) -> bool:
        """Whether it was dead-lettered, while a copy of it (perhaps under another key) was not: that one decides."""
        return self.dead_lettered(command) and not all(map(self.dead_lettered, self.commands_of[command.identity]))

    def slice(self) -> "Evidence":
        """For a part of the log within this outline: what is known of whole partitions, and no record yet."""
        return Evidence(
            self.namespace,
            self.guarantee,
            self.extent,
            key_ttl_ms=self.key_ttl_ms,
            positions=self.positions,
            clocks=self.clocks,
            last_command=self.last_command,
            settled=self.settled,
            whole=self.whole,
        )


@dataclass
class Collector:
    """Decodes entry by entry. `take` the topics, then `finish`.

    `outlined`: the evidence is a slice, and what is said of whole partitions stays as it is.
    """

    evidence: Evidence
    outlined: bool = False

    def take(self, topic: str, entries: Iterable[log.Entry]) -> None:
        decode = {
            log.COMMANDS: self._command,
            log.CHARGES: self._event,
            log.REPLIES: self._reply,
            log.KEYS: self._key,
            log.DEAD_LETTERS: self._dead_letter,
        }[topic]
        for entry in entries:
            if entry.fate is not log.Fate.COMMITTED:
                self._discard(topic, entry)
                continue
            if topic != log.COMMANDS:
                newest = self.evidence.last_output.get(entry.partition, 0)
                self.evidence.last_output[entry.partition] = max(newest, entry.timestamp)
            try:
                decode(entry)
            except (
                orjson.JSONDecodeError,
                UnicodeDecodeError,
                KeyError,
                TypeError,
                ValueError,
                AttributeError,
            ):
                if topic == log.COMMANDS:
                    self.evidence.commands.append(Command.unreadable(entry))
                else:
                    self.evidence.unreadable.append((topic, entry.partition, entry.offset))

    def _command(self, entry: log.Entry) -> None:
        self.evidence.commands.append(Command.decode(entry))

    def _event(self, entry: log.Entry) -> None:
        event = Event.decode(entry)
        self.evidence.events.append(event)
        self.evidence.events_of[event.identity].append(event)
        self.evidence.events_of_charge[event.charge_id].append(event)

    def _reply(self, entry: log.Entry) -> None:
        reply = Reply.decode(entry)
        self.evidence.replies.append(reply)
        self.evidence.replies_of[reply.identity].append(reply)

    def _key(self, entry: log.Entry) -> None:
        name = (entry.key or b"").decode()
        if name == "@position":
            self.evidence.positions[entry.partition] = Position.decode(entry)
            return
        self.evidence.key_state[name] = None if entry.value is None else KeyRecord.decode(entry)
        self.evidence.key_offsets[name] = (entry.partition, entry.offset)

    def _dead_letter(self, entry: log.Entry) -> None:
        headers = dict(entry.headers)
        where = int(headers["partition"]), int(headers["offset"])
        self.evidence.dead[where] = headers.get("reason", b"").decode()

    def _discard(self, topic: str, entry: log.Entry) -> None:
        self.evidence.discarded_counts[topic] += 1
        try:
            value = orjson.loads(entry.value or b"")
            identity = value["merchant_id"], value["command_id"]
            answer = (value.get("status"), value.get("body")) if topic == log.REPLIES else None
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            return
        self.evidence.discarded[identity].append(
            Discarded(
                topic, entry.partition, entry.offset, entry.timestamp, entry.fate, identity, answer, entry.producer
            )
        )

    def finish(self) -> Evidence:
        evidence = self.evidence
        evidence.commands.sort(key=lambda command: (command.partition, command.offset))
        evidence.events.sort(key=lambda event: (event.partition, event.offset))
        _clocks(evidence)
        if not self.outlined:
            for command in evidence.commands:
                evidence.last_command[command.partition] = command.offset
            outline(evidence)
            for command in evidence.commands:
                wait(evidence, command)
        _join(evidence)
        return evidence


def wait(evidence: Evidence, command: Command) -> None:
    """Remember it, if the processor has not reached it; in log order."""
    if command.offset >= evidence.reached(command.partition):
        evidence.waiting.setdefault(command.partition, Waiting(command)).take(command)


def outline(evidence: Evidence) -> None:
    """What follows for whole partitions, once their positions, last commands and clocks are known."""
    bounds = evidence.extent.bounds
    for partition in range(evidence.extent.partitions):
        ended = all(bound.stable >= bound.end for (_, p), bound in bounds.items() if p == partition)
        evidence.settled[partition] = ended and evidence.reached(partition) > evidence.last_command.get(partition, -1)
        evidence.whole[partition] = all(
            bound.start == 0
            for (topic, p), bound in bounds.items()
            if p == partition and topic in (log.COMMANDS, log.CHARGES, log.REPLIES)
        )
    newest_line = evidence.clients.last_at if evidence.clients else 0
    evidence.latest = max(newest_line, *evidence.clocks.values(), 0)
    _ttl(evidence)


def _clocks(evidence: Evidence) -> None:
    """The partition's clock at each command and event, where whoever read the partition has not said it already."""
    clocks = evidence.clocks
    for command in evidence.commands:
        if not command.clock:
            command.clock = clocks[command.partition] = max(clocks.get(command.partition, 0), command.timestamp)
    by_events: dict[int, int] = {}
    for event in evidence.events:
        if not event.clock:
            event.clock = by_events[event.partition] = max(by_events.get(event.partition, 0), event.occurred_at)


def _ttl(evidence: Evidence) -> None:
    windows = {position.window_ms for position in evidence.positions.values()}
    told = evidence.clients.run.get("key_ttl_ms") if evidence.clients else None
    if len(windows) == 1:
        evidence.key_ttl_ms = windows.pop()
    elif told:
        evidence.key_ttl_ms = told


def _join(evidence: Evidence) -> None:
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
        evidence.history_complete = _complete(evidence, evidence.clients)
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


def _complete(evidence: Evidence, clients: Clients) -> bool:
    """Others may use the namespace too: then a command that no customer of ours sent is theirs."""
    started = clients.run.get("started_at")
    merchants = {intent.merchant_id for intent in clients.intents.values()}
    return started is not None and all(
        command.timestamp >= started and command.merchant_id in merchants
        for command in evidence.commands
        if command.command_id
    )


def _intents_by_history(evidence: Evidence, clients: Clients) -> None:
    prints: dict[str, str] = {}
    keyless: dict[tuple[str, str], list[str]] = defaultdict(list)
    for intent in clients.intents.values():
        for attempt in intent.attempts.values():
            if attempt.idempotency_key is None and isinstance(attempt.payload, dict):
                mark = rules.fingerprint(attempt.operation, attempt.payload)
                if intent.name not in keyless[attempt.merchant_id, mark]:
                    keyless[attempt.merchant_id, mark].append(intent.name)
    for identity, commands in evidence.commands_of.items():
        first = commands[0]
        name = _intent_of(first, clients, prints, keyless)
        for command in commands:
            command.intent = name or ""
            command.foreign = name is None
        if name is None:
            for command in commands:
                command.intent = command.key_name or f"@command/{identity[0]}/{identity[1]}"


def _intent_of(
    command: Command, clients: Clients, prints: dict[str, str], keyless: dict[tuple[str, str], list[str]]
) -> str | None:
    payload: Any = command.payload
    if command.operation in BEGINNING and isinstance(payload, dict):
        named = (payload.get("metadata") or {}).get("intent") if isinstance(payload.get("metadata"), dict) else None
        intent = clients.intents.get(named) if isinstance(named, str) else None
        if intent is not None and intent.merchant_id == command.merchant_id and intent.operation in BEGINNING:
            return intent.name
    if command.idempotency_key is None:
        candidates = keyless.get((command.merchant_id, command.fingerprint), [])
        return candidates[0] if candidates else None
    users = clients.by_key.get((command.merchant_id, command.idempotency_key), [])
    if len(users) > 1:
        for user in users:
            if user not in prints:
                prints[user] = rules.fingerprint(clients.intents[user].operation, clients.intents[user].payload)
            if prints[user] == command.fingerprint:
                return user
    return users[0] if users else None
