"""Everything an anomaly is looked for in: the log decoded once, joined by command, key and intent.

Out:     `Evidence`, built by a `Collector` (`simulator.audit.collecting`); nothing is changed afterwards.
Units:   offsets; Unix milliseconds of the log (`clock`: the highest log timestamp so far, as CONTRACT defines
         it).

Only committed records count. Aborted and open ones are kept by command, to be shown in a witness.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

from simulator.audit import log, rules
from simulator.audit.clients import Clients
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
    history_complete: dict[int, bool] = field(default_factory=dict)  # nobody but the history's customers was there

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

    def absent_for(self, merchant_id: str) -> bool:
        """The same of the partition in which a merchant's customers are served."""
        return self.absent(rules.partition_of(merchant_id.encode(), self.extent.partitions))

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
            history_complete=self.history_complete,
        )
