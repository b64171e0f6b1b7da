"""Acquits at a glance what is on the log exactly as it must be, so that only the rest need be examined.

In:      one partition's record batches: its commands in order, the other topics in any order beside them.
Out:     `Walk`s over the records that are to be examined; a `Part` of all others.
Units:   numbers count the committed commands of the partition from 0; bounded by `recent.RECENT` and `matching.LIMIT`.
Errors:  none: what cannot be read is suspect.
Source:  CONTRACT: under exactly-once every answer is a function of the log. So each command is executed once more by
         the auditor's rules, and event, key record and reply are compared as bytes (`simulator.audit.plain`).

Nothing is convicted here. A command is acquitted only if it was executed once and at once, under a key that is used for
nothing else, or is a repetition of such a one that was answered again; and if every record about it, its key and its
charge is one of those it must have left. Then no check can find anything about it. Everything else (a refusal, a
decline, an aborted record, whatever is too far from what it hangs together with) is suspect, and examined in detail.
"""

from array import array
from bisect import bisect_left
from collections import Counter
from typing import Any, Final

import orjson

from simulator.audit import plain, routing, rules
from simulator.audit.declared import BEGINNING, EXECUTED
from simulator.audit.examine import Part
from simulator.audit.key_window import CANDIDATES_MS, late_reexecutions
from simulator.audit.log import CHARGES, COMMANDS, DEAD_LETTERS, KEYS, REPLIES, Batch, Entry, Fate
from simulator.audit.matching import Matching
from simulator.audit.plain import Asked, text
from simulator.audit.recent import Recent
from simulator.audit.stories import ALL_AT_ONCE, STORIES_MAX, Stories, Story
from simulator.audit.walk import Walk

SUSPECTS_SURE: Final = 1_000  # so many suspects are no reason to give up
SUSPECT_NODES_MAX: Final = 500_000
_TAIL_MAX_MS: Final = 2**32 - 1
_SHARDS: Final = 64


class Kept:
    """What a key stands for, and how it was used. `body` is a JSON text."""

    __slots__ = ("body", "command_id", "expires_at", "fingerprint", "instants", "number", "story")

    def __init__(
        self, number: int, command_id: str, fingerprint: str, body: str, expires_at: int, clock: int, story: Story
    ) -> None:
        self.number, self.command_id, self.fingerprint, self.body = number, command_id, fingerprint, body
        self.expires_at, self.instants, self.story = expires_at, [clock], story


class Acquittal:
    """One partition: `commands` and `outputs` as they are read, then `finish`."""

    def __init__(self, partition: int, partitions: int, ttl_ms: int) -> None:
        self._partition, self._partitions, self._ttl_ms = partition, partitions, ttl_ms
        self._clock = 0
        self._keys: Recent[Kept] = Recent()
        self._charges: Recent[tuple[str, int, str, int]] = Recent()  # canonical, sequence, merchant, number
        self._merchants: dict[bytes, str] = {}
        self._records, self._events, self._replies = Matching(), Matching(), Matching()
        self._matching = {KEYS: self._records, CHARGES: self._events, REPLIES: self._replies}
        self._stories = Stories()
        self._told = array("I")  # by number: the story that begins with this command, or 0
        self._tails = array("I")  # by number: from the first to the last use of the key, in ms
        self._offsets = array("q")
        self._places = {topic: array("q") for topic in self._matching}  # offsets of what was found
        self._clocks = array("q")
        self._links = array("I")  # by number: an earlier command that this one hangs together with, or itself
        self._seen = [(array("q"), array("I")) for _ in range(_SHARDS)]  # nodes of acquitted commands; their numbers
        self._suspects: set[int] = set()
        self._nodes: set[int] = set()  # what hangs together with these is suspect
        self._dead: list[int] = []  # offsets of commands that were dead-lettered
        self._strays = False  # there are records besides commands that are to be examined
        self._is_suspect = bytearray()  # by number, once it is finished

    @property
    def is_hopeless(self) -> bool:
        """Whether so much is suspect that looking at a glance saves nothing."""
        too_many = len(self._suspects) > SUSPECTS_SURE + len(self._told) // 2
        return too_many or len(self._nodes) > SUSPECT_NODES_MAX

    # -- commands ----------------------------------------

    def commands(self, batch: Batch) -> None:
        if batch.fate is not Fate.COMMITTED:
            self._suspect_records(COMMANDS, batch)
            return
        for at, (offset, timestamp) in enumerate(zip(batch.offsets, batch.timestamps, strict=True)):
            self._clock = max(self._clock, timestamp)
            number = len(self._told)
            self._told.append(0)
            self._tails.append(0)
            self._offsets.append(offset)
            self._clocks.append(self._clock)
            self._links.append(number)
            key, raw = batch.keys[at], batch.values[at]
            try:
                is_plain = self._command(number, offset, key, raw)
            except (ValueError, KeyError, TypeError, AttributeError):
                is_plain = False
            if not is_plain:
                self._suspects.add(number)
                entry = Entry(self._partition, offset, timestamp, key, raw)
                self._nodes.update(routing.nodes(COMMANDS, entry, routing.value_of(entry)))

    def _command(self, number: int, offset: int, record_key: bytes | None, raw: bytes | None) -> bool:
        value = orjson.loads(raw or b"")
        merchant, command_id, key = value["merchant_id"], value["command_id"], value["idempotency_key"]
        if type(command_id) is not str or not self._is_at_home(record_key, merchant):
            return False
        name = f"{merchant}/{key}" if key is not None else f"@command/{merchant}/{command_id}"
        self._once(hash((merchant, command_id)), number)
        kept = self._keys.get(name)
        if kept is None:
            self._once(routing.key_node(name.encode()), number)
        operation, payload, deadline_at = value["type"], value["payload"], value["deadline_at"]
        if type(deadline_at) is not int or not (key is None or type(key) is str):
            return False
        if self._clock > deadline_at or not rules.valid(operation, payload):
            return False
        asked = Asked(merchant, text(command_id), text(key), operation, offset, self._clock)
        fingerprint = rules.fingerprint(operation, payload)
        if kept is not None:
            return key is not None and self._repeated(number, kept, asked, command_id, fingerprint)
        return self._executed(number, asked, command_id, name, payload, fingerprint)

    def _is_at_home(self, record_key: bytes | None, merchant: Any) -> bool:
        if record_key is None or self._merchants.get(record_key) == merchant:
            return record_key is not None
        if not rules.is_merchant(merchant) or merchant.encode() != record_key:
            return False
        if rules.partition_of(record_key, self._partitions) != self._partition:
            return False
        self._merchants[record_key] = merchant
        return True

    def _once(self, node: int, number: int) -> None:
        """Whatever comes here twice was too far apart to be seen beside each other, or should not be there twice."""
        nodes, numbers = self._seen[node % _SHARDS]
        nodes.append(node)
        numbers.append(number)

    def _executed(
        self, number: int, asked: Asked, command_id: str, name: str, payload: dict[str, Any], fingerprint: str
    ) -> bool:
        merchant, operation, clock = asked.merchant, asked.operation, asked.clock
        before, sequence, beginning = None, 1, number
        if operation not in BEGINNING:
            known = self._charges.get(payload["charge_id"])
            if known is None or known[2] != merchant:
                return False
            before, sequence, beginning = orjson.loads(known[0]), known[1] + 1, known[3]
            self._links[number] = beginning
        outcome = rules.execute(operation, payload, merchant, command_id, clock, before)
        charge, status = outcome.charge, outcome.status
        if outcome.body is None or charge is None or outcome.event not in EXECUTED:
            return False
        canonical = rules.canonical(charge)
        body = text(canonical if outcome.body is charge else rules.canonical(outcome.body))
        charge_id, event_id = charge["id"], rules.derived("evt", merchant, command_id)
        record = plain.key_record(asked, event_id, fingerprint, status, body, charge_id, self._ttl_ms)
        self._records.due(name.encode(), record, number)
        self._events.due(charge_id.encode(), plain.event(asked, event_id, outcome, canonical, sequence), number)
        self._replies.due(command_id.encode(), plain.reply(asked, status, body, replayed=False), number)
        if beginning == number:
            self._once(routing.charge_node(charge_id), number)
        self._charges.put(charge_id, (canonical, sequence, merchant, beginning))
        story = Story(operation, outcome.event, status)
        self._keys.put(name, Kept(number, command_id, fingerprint, body, clock + self._ttl_ms, clock, story))
        return self._tell(number, story)

    def _repeated(self, number: int, kept: Kept, asked: Asked, command_id: str, fingerprint: str) -> bool:
        is_repetition = fingerprint == kept.fingerprint and command_id != kept.command_id
        if not is_repetition or self._clock >= kept.expires_at:
            return False
        reply = plain.reply(asked, kept.story.status, kept.body, replayed=True)
        self._replies.due(command_id.encode(), reply, kept.number)
        self._links[number] = kept.number
        kept.instants.append(self._clock)
        tail = self._clock - kept.instants[0]
        if tail > _TAIL_MAX_MS:
            return False
        self._tails[kept.number] = tail
        late = ALL_AT_ONCE
        if tail >= CANDIDATES_MS[0]:
            late = tuple(late_reexecutions(kept.instants, window_ms) for window_ms in CANDIDATES_MS)
        kept.story = kept.story._replace(delivered=len(kept.instants), late=late)
        return self._tell(kept.number, kept.story)

    def _tell(self, number: int, story: Story) -> bool:
        self._told[number] = code = self._stories.code(story)
        return code <= STORIES_MAX

    # -- what they caused ----------------------------------------

    def wants(self, topic: str) -> bool:
        """Whether records of this topic are due and have not come."""
        return self._matching[topic].waits

    def outputs(self, topic: str, batch: Batch) -> None:
        """Of `keys` without the positions."""
        if batch.fate is not Fate.COMMITTED or topic == DEAD_LETTERS:
            self._suspect_records(topic, batch)
            return
        matching = self._matching[topic]
        self._places[topic].extend(batch.offsets)
        matching.found(batch.keys, batch.values)
        self._settle(topic, matching)

    def _settle(self, topic: str, matching: Matching) -> None:
        if matching.late:
            self._suspects.update(matching.late)
            matching.late = []
        if matching.strays:
            for key, value in matching.strays:
                self._suspect(topic, Entry(self._partition, 0, 0, key, value))
            matching.strays = []

    def _suspect_records(self, topic: str, batch: Batch) -> None:
        for entry in batch.entries():
            self._suspect(topic, entry)

    def _suspect(self, topic: str, entry: Entry) -> None:
        self._strays = True
        place = routing.command_of(entry) if topic == DEAD_LETTERS else None
        if place is not None and place[0] == self._partition:
            self._dead.append(place[1])
        value = routing.value_of(entry)
        self._nodes.update(routing.nodes(topic, entry, value))
        if topic == REPLIES and value is not None and isinstance(value.get("body"), str):
            # It may name a charge that is not its command's; whether that exists is asked where the reply is.
            self._nodes.update(routing.charges_told(value["body"]))

    # -- the verdict ----------------------------------------

    def finish(self, reached: int) -> None:
        """`reached`: whatever was asked from this offset on is still on its way, and suspect."""
        for topic, matching in self._matching.items():
            matching.finish()
            self._settle(topic, matching)
        suspects = self._suspects
        suspects.update(range(bisect_left(self._offsets, reached), len(self._offsets)))
        for offset in self._dead:
            number = bisect_left(self._offsets, offset)
            if number < len(self._offsets) and self._offsets[number] == offset:
                suspects.add(number)
        for nodes, numbers in self._seen:
            often: set[int] = set()
            if len(set(nodes)) < len(nodes):
                often = {node for node, times in Counter(nodes).items() if times > 1}
            if often or self._nodes:
                named = self._nodes | often
                suspects.update(number for node, number in zip(nodes, numbers, strict=True) if node in named)
        self._seen = []
        self._is_suspect = self._with_what_hangs_together(suspects)

    def _with_what_hangs_together(self, suspects: set[int]) -> bytearray:
        """Links lead to earlier commands only, so that one pass finds the first of each."""
        flags = bytearray(len(self._links))
        if not suspects:
            return flags
        first = array("I", self._links)
        for number, link in enumerate(first):
            first[number] = first[link]
        for number in suspects:
            flags[first[number]] = 1
        for number, root in enumerate(first):
            flags[number] = flags[root]
        return flags

    @property
    def has_suspects(self) -> bool:
        return self._strays or bool(self._suspects)

    def walk(self, topic: str) -> Walk:
        if topic == COMMANDS:
            return Walk(self._offsets, range(len(self._offsets)), self._is_suspect, self._clocks)
        if topic in self._matching:
            return Walk(self._places[topic], self._matching[topic].owners, self._is_suspect, self._clocks)
        return Walk((), (), self._is_suspect, self._clocks)

    def part(self) -> Part:
        """What the acquitted commands count for."""
        return self._stories.part(self._told, self._tails, self._is_suspect)
