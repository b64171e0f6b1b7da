"""A payment processor that charges once: keys, charges, replies and offsets in one Kafka transaction.

    payonce simulate examples/pay.yaml --processor 'python examples/correct_processor.py'

Whoever gets partitions reads their keys to the end first, waits for any transaction of the owner before, and goes on
from the position it finds there, which no offset can move. Whatever goes wrong is answered by one thing: forget all,
take the partitions over again, and let the log tell what happened.
"""

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from events.codec import ReceivedCommand, Rejected, decode_command, passed_on
from events.codes import problem_body
from events.connection import connection
from events.options import duration_ms
from events.topics import processor_group
from paying import pay, reply
from services.kafka.errors import Fenced, KafkaFailure, NotMember
from services.kafka.kafka_log import KafkaLog
from services.kafka.port import Assignment, Membership, Outgoing, Reader, Record, Scope, TopicPartition, Writer

NAMESPACE, PARTITIONS = os.environ["PAYONCE_NAMESPACE"], int(os.environ["PAYONCE_PARTITIONS"])
WINDOW_MS, CLIENT_ID = duration_ms(os.environ["PAYONCE_KEY_TTL"]), os.environ["CLIENT_ID"]
COMMANDS, KEYS = f"{NAMESPACE}.commands", f"{NAMESPACE}.keys"
GROUP, OUTPUTS = processor_group(NAMESPACE), ("keys", "charges", "replies", "dead-letters")
SESSION_MS, TRANSACTION_MS = 6_000, 5_000


class Partition:
    """What is known of one partition: its keys, and what is executed already."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.keys: dict[bytes, dict[str, Any]] = {}
        self.position, self.clock = 0, 0

    def restore(self, record: Record) -> None:
        if record.key == b"@position":
            told = json.loads(record.value or b"{}")
            self.position, self.clock = told["position"], told["clock"]
        elif record.key is not None and record.value is None:
            self.keys.pop(record.key, None)
        elif record.key is not None:
            self.keys[record.key] = json.loads(record.value or b"{}")

    def handle(self, records: Sequence[Record]) -> dict[str, list[Outgoing]]:
        """The records that these commands cause, in the order of the log."""
        out: dict[str, list[Outgoing]] = {topic: [] for topic in OUTPUTS}
        for record in records:
            self.clock = max(self.clock, record.timestamp)
            command = decode_command(
                record.offset, record.timestamp, record.key, record.value, record.headers, self.number, PARTITIONS
            )
            if isinstance(command, ReceivedCommand):
                self._decide(command, out)
            elif record.offset >= self.position:
                self._bury(command, record, out)
            self.position = max(self.position, record.offset + 1)
        position = {"position": self.position, "clock": self.clock, "window_ms": WINDOW_MS}
        out["keys"].append(Outgoing(b"@position", json.dumps(position).encode()))
        return out

    def _decide(self, command: ReceivedCommand, out: dict[str, list[Outgoing]]) -> None:
        known = self.keys.get(command.key)
        if known is not None and known["expires_at"] <= self.clock:
            known = None
        if known is None:
            if command.offset < self.position or self.clock > command.deadline_at:
                return self._answer(command, problem("command_expired", command), out)
            paid = pay(command, NAMESPACE, self.clock, WINDOW_MS)
            known = self.keys[command.key] = json.loads(paid.key)
            out["keys"].append(Outgoing(command.key, paid.key))
            out["charges"].append(Outgoing(paid.charge_id, paid.event, paid.headers))
        return self._answer(command, reply(command, known), out)

    def _answer(self, command: ReceivedCommand | Rejected, value: bytes, out: dict[str, list[Outgoing]]) -> None:
        out["replies"].append(Outgoing((command.command_id or "").encode(), value, passed_on(command.headers)))

    def _bury(self, rejected: Rejected, record: Record, out: dict[str, list[Outgoing]]) -> None:
        identity = {"topic": COMMANDS, "partition": self.number, "offset": record.offset, "reason": rejected.reason}
        headers = [(name, str(value).encode()) for name, value in identity.items()]
        out["dead-letters"].append(Outgoing(record.key, record.value, headers))
        if rejected.command_id is not None:
            self._answer(rejected, problem(rejected.code, rejected, rejected.detail), out)


def problem(code: str, command: ReceivedCommand | Rejected, detail: str | None = None) -> bytes:
    name = {"command_id": command.command_id, "merchant_id": command.merchant_id}
    body = problem_body(code, detail)
    answer = {"status": json.loads(body)["status"], "replayed": False, "body": body}
    return json.dumps({**name, "idempotency_key": command.idempotency_key, **answer}).encode()


async def take_over(log: KafkaLog, commands: Reader, mine: Assignment) -> dict[int, Partition]:
    """First the offsets (which waits for any open transaction), then the ends, then everything up to them."""
    numbers = sorted(mine.partitions)
    partitions = {number: Partition(number) for number in numbers}
    offsets = await log.stable_offsets(GROUP, COMMANDS, numbers)
    spots = [TopicPartition(KEYS, number) for number in numbers]
    starts, ends = await log.log_starts(spots), await log.high_watermarks(spots)
    if behind := {spot for spot in spots if starts[spot] < ends[spot]}:
        reader = await log.reader()
        try:
            reader.assign({spot: starts[spot] for spot in behind})
            while behind:
                for spot, records in (await reader.fetch(100)).items():
                    for record in records:
                        partitions[spot.partition].restore(record)
                behind -= {spot for spot in behind if reader.position(spot) >= ends[spot]}
        finally:
            await reader.close()
    commands.assign(
        {
            TopicPartition(COMMANDS, number): min(partition.position, offsets[number] or 0)
            for number, partition in partitions.items()
        }
    )
    return partitions


async def main() -> None:
    log = await KafkaLog.connect(connection(os.environ["PAYONCE_KAFKA"]), client_id=CLIENT_ID.removesuffix("-member"))
    await log.ensure_topics(NAMESPACE, PARTITIONS)
    scope = Scope(tuple(f"{NAMESPACE}.{topic}" for topic in OUTPUTS), GROUP)
    writer = await log.writer(f"{NAMESPACE}.processor.{CLIENT_ID}", TRANSACTION_MS, scope)
    membership = await log.membership(GROUP, COMMANDS, SESSION_MS)
    commands = await log.reader()
    await writer.start()
    await membership.start(None)
    mine: Assignment | None = None
    partitions: dict[int, Partition] = {}
    while True:
        try:
            current = await membership.changed(mine, 0)
            if current != mine:
                partitions = await take_over(log, commands, current) if current else {}
                mine = current
            if not partitions:
                await membership.changed(mine, 200)
            elif fetched := await commands.fetch(200):
                await transact(writer, mine, partitions, fetched)
        except Fenced:
            raise SystemExit(4) from None
        except KafkaFailure as failure:
            mine, partitions = None, {}
            await recover(writer, membership, failure)


async def transact(
    writer: Writer,
    mine: Assignment | None,
    partitions: Mapping[int, Partition],
    fetched: Mapping[TopicPartition, Sequence[Record]],
) -> None:
    assert mine is not None, "who has partitions has an assignment"
    out: dict[TopicPartition, list[Outgoing]] = {}
    for spot, records in fetched.items():
        for topic, made in partitions[spot.partition].handle(records).items():
            if made:
                out[TopicPartition(f"{NAMESPACE}.{topic}", spot.partition)] = made
    await writer.produce(out)
    offsets = {spot.partition: records[-1].offset + 1 for spot, records in fetched.items()}
    await writer.send_offsets(GROUP, COMMANDS, offsets, mine)
    await writer.commit()


async def recover(writer: Writer, membership: Membership, failure: KafkaFailure) -> None:
    while True:
        try:
            if isinstance(failure, NotMember):
                await membership.rejoin()
            await writer.recover()
        except Fenced:
            raise SystemExit(4) from None
        except KafkaFailure:
            await asyncio.sleep(0.2)
        else:
            return


if __name__ == "__main__":
    asyncio.run(main())
