"""Exactly once, on the log: what must be so between commands, events, key records and replies.

In:      a Book of a settled namespace.
Out:     for each check what it found wrong, in sentences.
Source:  docs/contract.md, "The log". Pure.
"""

import json
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from tests.support.outside.book import Book, Command, Entry, Place
from tests.support.outside.contract import derived

_EVENTS = {
    "charge.create": {"charge.succeeded", "charge.authorized", "charge.declined"},
    "charge.capture": {"charge.captured"},
    "charge.void": {"charge.voided"},
    "refund.create": {"charge.refunded"},
}


Fate = tuple[int, str, bool]  # status, body, whether replayed


def _problem(status: int, code: str, title: str, detail: str) -> str:
    problem = {
        "code": code,
        "detail": detail,
        "status": status,
        "title": title,
        "type": f"urn:payonce:problem:{code}",
    }
    return json.dumps(problem, separators=(",", ":"))


_REUSED = _problem(
    422,
    "idempotency_key_reused",
    "Idempotency key reused",
    "This idempotency key was used for another request; use a new key for a new request.",
)
EXPIRED: Fate = (
    409,
    _problem(
        409,
        "command_expired",
        "Command expired",
        "The command came too late to be executed; nothing was done. Check what happened before, then use a new key.",
    ),
    False,
)


def one_event_per_executed_command(book: Book) -> Iterator[str]:
    """And under its derived id, by a command that is on the log, in that command's partition, for its money."""
    commands = book.commands_by_id()
    for command_id, events in book.events_by_command().items():
        if len(events) > 1:
            yield f"command {command_id} has {len(events)} events, at {[one.place for one in events]}"
        event = events[0].content
        asked = [one.entry for one in commands.get(command_id, ()) if one.key == _key_of(event)]
        if not asked:
            yield f"event {event['event_id']} was caused by no command"
            continue
        content, payload = asked[0].content, asked[0].content["payload"]
        if event["event_id"] != derived("evt", event["merchant_id"], command_id):
            yield f"event {event['event_id']} is not named after command {command_id}"
        if events[0].place[0] != asked[0].place[0]:
            yield f"event {event['event_id']} is not in the partition of its command"
        if event["type"] not in _EVENTS[content["type"]]:
            yield f"{content['type']} {command_id} came to {event['type']}"
        if payload.get("amount") is not None and payload["amount"] != event["amount"]:
            yield f"command {command_id} asked for {payload['amount']} and moved {event['amount']}"


def one_execution_per_key(book: Book) -> Iterator[str]:
    """However often a key is asked, it has one record and at most one event while its window lasts."""
    for key, entries in book.by_key().items():
        for earlier, later in pairwise(one.content for one in entries):
            if later["completed_at"] < earlier["expires_at"] or later["offset"] <= earlier["offset"]:
                yield f"key {key} was used at {earlier['completed_at']} and again at {later['completed_at']}"
    executions = Counter(_key_of(one.content) for one in book.events)
    records = book.by_key()
    for key, count in executions.items():
        if count > sum(one.content["event_id"] is not None for one in records.get(key, ())):
            yield f"key {key} has {count} events"


def tombstones_are_due(book: Book) -> Iterator[str]:
    """A key is forgotten when the clock has passed its window, not before."""
    records = book.by_key()
    for one in book.tombstones:
        number, offset = one.place
        before = [each.content for each in records.get(one.key, ()) if each.place[1] < offset]
        clock = next((each.content["clock"] for each in book.positions[number] if each.place[1] > offset), 0)
        if not before or clock < before[-1]["expires_at"]:
            yield f"key {one.key} was forgotten at {clock}, and {'was not there' if not before else 'not due'}"


def key_record_is_event(book: Book) -> Iterator[str]:
    """An event for each record that names one and a record for each event, with the same content, at one instant."""
    events = book.events_by_command()
    places = {one.entry.place: one for one in book.commands}
    recorded: set[Place] = set()
    for entry in book.keys:
        record = entry.content
        command = places.get((entry.place[0], record["offset"]))
        if command is None or command.id != record["command_id"] or command.key != entry.key:
            yield f"key record {entry.key} does not stem from the command at its offset {record['offset']}"
            continue
        if (record["fingerprint"], record["completed_at"]) != (command.fingerprint, command.clock):
            yield f"key record {entry.key} has another fingerprint or clock than its command"
        found = events.get(record["command_id"], []) if record["event_id"] is not None else []
        recorded.update(one.place for one in found)
        if record["event_id"] is None:
            if record["status"] < 400 or record["status"] == 402:
                yield f"key record {entry.key} says {record['status']} and names no event"
        elif [one.content["event_id"] for one in found] != [record["event_id"]]:
            yield f"key record {entry.key} names {record['event_id']}, which is not the one event of its command"
        else:
            yield from _differences(entry, found[0])
    yield from (f"event at {one.place} has no key record" for one in book.events if one.place not in recorded)


def _differences(record: Entry, event: Entry) -> Iterator[str]:
    said, happened = json.loads(record.content["body"]), event.content
    data = happened["data"]
    if happened["type"] == "charge.declined":
        same = (said["status"], said["charge_id"], said["decline_code"]) == (
            402,
            happened["charge_id"],
            data["charge"]["decline_code"],
        )
    elif happened["type"] == "charge.refunded":
        same = said == data["refund"] and said["amount"] == happened["amount"]
    else:
        same = said == data["charge"]
    if not same or record.content["charge_id"] != happened["charge_id"]:
        yield f"key record {record.key} says otherwise than event {happened['event_id']}"
    if happened["occurred_at"] != record.content["completed_at"]:
        yield f"key record {record.key} and event {happened['event_id']} are of different instants"


def nothing_is_lost(book: Book) -> Iterator[str]:
    """Every command has a reply, or is kept as a dead letter: true of every guarantee but at-most-once."""
    replied = {one.content["command_id"] for one in book.replies}
    buried = set(map(_whence, book.dead))
    for one in book.commands:
        if one.id not in replied and one.entry.place not in buried:
            yield f"command {one.id} at {one.entry.place} has no reply"


def every_command_is_answered(book: Book) -> Iterator[str]:
    """Each command on the log, however it came there, has the replies that the key records make it have, no others."""
    replies: dict[str, Counter[Fate]] = {}
    for one in book.replies:
        reply = one.content
        said = (reply["status"], reply["body"], reply["replayed"])
        replies.setdefault(reply["command_id"], Counter())[said] += 1
    fates = _Fates(book)
    for command_id, commands in book.commands_by_id().items():
        wanted = Counter(fate for one in commands if (fate := fates.of(one)) is not None)
        found = replies.pop(command_id, Counter())
        gone = {EXPIRED} if book.tombstones else set()  # delivered again after its key was forgotten
        if set(found) - gone != set(wanted) - gone:
            yield f"command {command_id} was answered {_short(found)} instead of {_short(wanted)}"
        elif any(found[said] < count for said, count in wanted.items()):
            yield f"command {command_id} is on the log {wanted.total()} times and was answered {found.total()} times"
    yield from (f"a reply to {command_id}, which is no command" for command_id in replies)


def unwanted_commands_are_dead_letters(book: Book) -> Iterator[str]:
    """What nobody may run is kept, with its bytes: true of every guarantee but at-most-once."""
    kept = {_whence(one): one.raw for one in book.dead}
    for one in book.unwanted:
        if kept.get(one.place) != one.raw:
            yield f"command at {one.place} is no dead letter, or has other bytes there"


def dead_letters_stand_there_once(book: Book) -> Iterator[str]:
    """And there is none but what nobody may run, and commands under an id that was executed under another key."""
    fates = _Fates(book)
    wanted = {one.place for one in book.unwanted} | {one.entry.place for one in book.commands if fates.of(one) is None}
    found = Counter(map(_whence, book.dead))
    yield from (f"command at {place} is a dead letter {count} times" for place, count in found.items() if count > 1)
    yield from (f"command at {place} is a dead letter" for place in found.keys() - wanted)
    yield from (f"command at {place} is no dead letter" for place in wanted - found.keys())


def positions_only_grow(book: Book) -> Iterator[str]:
    """Position and clock never go back, and end behind the last command."""
    for number, entries in book.positions.items():
        at = [(one.content["position"], one.content["clock"]) for one in entries]
        if any(later[0] < earlier[0] or later[1] < earlier[1] for earlier, later in pairwise(at)):
            yield f"position or clock of partition {number} went back"
    for number, end in book.ends.items():
        last = book.positions[number][-1].content["position"] if book.positions[number] else 0
        if last != end:
            yield f"partition {number} was executed up to {last} of {end}"


class _Fates:
    """What the key records make of each command, when it is read for the first time."""

    def __init__(self, book: Book) -> None:
        self._records = {key: [one.content for one in entries] for key, entries in book.by_key().items()}
        self._executed = {
            one.content["command_id"]: (one.key, one.content["offset"])
            for one in book.keys
            if one.content["event_id"] is not None
        }

    def of(self, command: Command) -> Fate | None:
        """None for a dead letter."""
        under, since = self._executed.get(command.id, (command.key, command.offset))
        if under != command.key and since < command.offset:
            return None  # its id is another key's
        until = [one for one in self._records.get(command.key, ()) if one["offset"] <= command.offset]
        if until and (until[-1]["offset"] == command.offset or command.clock < until[-1]["expires_at"]):
            if until[-1]["fingerprint"] != command.fingerprint:
                return 422, _REUSED, False
            return until[-1]["status"], until[-1]["body"], until[-1]["command_id"] != command.id
        if since < command.offset or command.clock > command.entry.content["deadline_at"]:
            return EXPIRED
        return 0, "what it comes to, kept under its key", False


def _whence(dead_letter: Entry) -> Place:
    """The place of its command, which is its identity."""
    return int(dead_letter.headers["partition"]), int(dead_letter.headers["offset"])


def _key_of(event: dict[str, object]) -> str:
    if event["idempotency_key"] is None:
        return f"@command/{event['merchant_id']}/{event['command_id']}"
    return f"{event['merchant_id']}/{event['idempotency_key']}"


def _short(said: Counter[Fate]) -> list[str]:
    return [f"{status} {body[:90]} replayed={replayed} x{count}" for (status, body, replayed), count in said.items()]
