"""A processor of a few lines, by the contract of `payonce bench`: `python -m tests.support.bench_peer MODE BOOTSTRAP
NAMESPACE PARTITIONS`.

MODE is `once`, `twice` (every reply again), `dies` (after the first hundred) or `mute` (never answers).
"""

import asyncio
import os
import sys
from dataclasses import dataclass

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from simulator.bench.subjects import Place


@dataclass(frozen=True)
class BenchPeer:
    """It as a subject."""

    mode: str

    @property
    def name(self) -> str:
        return f"peer-{self.mode}"

    @property
    def about(self) -> str:
        return "A processor of a few lines."

    @property
    def does_the_work(self) -> bool:
        return True

    def argv(self, place: Place) -> list[str]:
        where = [place.bootstrap, place.namespace, str(place.partitions)]
        return [sys.executable, "-m", "tests.support.bench_peer", self.mode, *where]

    def environment(self, place: Place) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "PYTHONPATH": "."}

    def is_ready(self, line: bytes) -> bool:
        return line.strip() == b"ready"


async def main(mode: str, bootstrap: str, namespace: str, partitions: int) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=5)
    await consumer.start()
    await producer.start()
    consumer.assign([TopicPartition(f"{namespace}.commands", number) for number in range(partitions)])
    print("ready", flush=True)
    answered = 0
    async for record in consumer:
        asked = orjson.loads(record.value)
        reply = {"command_id": asked["command_id"], "status": 201, "replayed": False, "body": "{}"}
        for _ in range({"twice": 2, "mute": 0}.get(mode, 1)):
            key = asked["command_id"].encode()
            await producer.send(f"{namespace}.replies", orjson.dumps(reply), key=key, partition=record.partition)
        answered += 1
        if mode == "dies" and answered == 100:
            print("no more of this", flush=True)
            os._exit(3)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
