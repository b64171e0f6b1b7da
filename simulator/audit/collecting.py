"""Decodes the log, record by record, into evidence; once.

In:      entries of the five topics in any order of topics, each partition in offset order.
Out:     `Evidence`, finished; nothing is changed afterwards.
Errors:  a record that cannot be decoded is kept without its meaning; on topics the system writes it is
         `unreadable`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from simulator.audit import log
from simulator.audit.evidence import Discarded, Evidence, Waiting
from simulator.audit.joining import join
from simulator.audit.records import Command, Event, KeyRecord, Position, Reply


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
        join(evidence)
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
