"""torn_transaction: of what one command causes, only a part is committed.

Is:      under exactly-once and deduplicated, an executed command without its key record or without its reply;
         a key record of an execution without its event; a key record without any reply.
Is not:  a key record that compaction or a later life of the key has replaced (its newest record is of a later
         command), or that has expired (a tombstone, or nothing at all after the window); an aborted record
         beside its committed twin; anything under at-least-once and at-most-once, which promise nothing of
         the kind (there it is lost or twice).
Money:   what the event, or the answer without one, moves.
"""

from collections.abc import Iterator

from simulator.audit import rules
from simulator.audit.evidence import Evidence
from simulator.audit.finding import Finding, Telling
from simulator.audit.records import Command, KeyRecord, Reply

NAME = "torn_transaction"


def find(evidence: Evidence) -> Iterator[Finding]:
    if not evidence.keys_decide:
        return
    told: set[tuple[str, str]] = set()
    for command in evidence.commands:
        if not command.command_id or command.identity in told or evidence.buried_copy(command):
            continue
        if evidence.absent(command.partition):
            finding = _command(evidence, command)
            if finding is not None:
                told.add(command.identity)
                yield finding
    for record in evidence.key_state.values():
        if record is not None and record.identity not in told and evidence.absent(record.partition):
            finding = _record(evidence, record)
            if finding is not None:
                yield finding


def _command(evidence: Evidence, command: Command) -> Finding | None:
    events = evidence.events_of.get(command.identity, [])
    own = [reply for reply in evidence.replies_to(command) if _kept(reply)]
    remembered = _remembered(evidence, command)
    missing = []
    if events and not evidence.replies_of.get(command.identity):
        missing.append("reply")
    if (events or own) and not remembered:
        missing.append("key record")
    if not events and any(reply.status in (200, 201, 402) for reply in own):
        missing.append("event")
    if not missing:
        return None
    proof: list[Telling] = [command, *events, *own]
    there = [name for name, found in (("event", events), ("reply", own), ("key record", remembered)) if found]
    return _finding(command.intent, command.operation, there, missing, proof, events[0].money if events else {})


def _record(evidence: Evidence, record: KeyRecord) -> Finding | None:
    commands = evidence.commands_of.get(record.identity)
    if not commands:
        return None
    missing = []
    if record.event_id is not None and record.identity not in evidence.events_of:
        missing.append("event")
    if record.identity not in evidence.replies_of:
        missing.append("reply")
    if not missing:
        return None
    proof = (commands[0], record, *evidence.replies_of.get(record.identity, ()))
    there = ["key record"] + (["reply"] if "reply" not in missing else [])
    money = commands[0].money if "event" in missing else {}
    return _finding(commands[0].intent, commands[0].operation, there, missing, proof, money)


def _finding(
    intent: str, operation: str, there: list[str], missing: list[str], proof: object, money: dict[str, int]
) -> Finding:
    summary = f"{operation} committed its {' and '.join(there)}, but not its {' and '.join(missing)}."
    assert isinstance(proof, (list, tuple))
    return Finding(intent, summary, tuple(proof), None, money, intent)


def _kept(reply: Reply) -> bool:
    """Whether this answer must be kept under its key by this very command."""
    return (
        not reply.replayed
        and reply.status not in rules.NOT_STORED
        and reply.code not in ("command_expired", "internal_error")
    )


def _remembered(evidence: Evidence, command: Command) -> bool:
    """Whether `keys` holds this command, or may have held it: only its newest record per key is evidence."""
    if command.record_key not in evidence.key_state:
        return evidence.clock(command.partition) >= command.clock + evidence.key_ttl_ms
    record = evidence.key_state[command.record_key]
    if record is None:
        return True
    copies = evidence.commands_of.get(command.identity, [command])
    return record.identity == command.identity or record.offset > copies[0].offset
