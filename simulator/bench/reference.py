"""A fixed unit of work like a command's: JSON in, a digest, JSON out, and some plain Python between.

Out:     CPU microseconds a unit on this machine, now.
Units:   microseconds of this process's CPU.
Source:  it makes figures of two machines comparable, roughly; it has no Kafka in it, and must never be made faster.
"""

import hashlib
import time
from typing import Final

import orjson

from simulator.workload.prepared import prepared_commands

UNITS: Final = 2_000
ROUNDS: Final = 5


def unit_us() -> float:
    """The quickest of a few rounds: whatever disturbs one makes it slower."""
    commands = [command.value for command in prepared_commands(0, UNITS)]
    return min(_round(commands) for _ in range(ROUNDS)) / UNITS * 1e6


def _round(commands: list[bytes]) -> float:
    seen: dict[str, str] = {}
    began = time.process_time()
    for value in commands:
        _unit(value, seen)
    return time.process_time() - began


def _unit(value: bytes, seen: dict[str, str]) -> bytes:
    asked = orjson.loads(value)
    canonical = orjson.dumps(asked["payload"], option=orjson.OPT_SORT_KEYS)
    fingerprint = hashlib.sha256(canonical).hexdigest()
    name = hashlib.sha256(f"ch\0{asked['merchant_id']}\0{asked['command_id']}".encode()).hexdigest()[:32]
    key = f"{asked['merchant_id']}/{asked['idempotency_key']}"
    is_first = seen.setdefault(key, fingerprint) == fingerprint
    amounts = [amount * 3 % 97 for amount in range(20)]
    reply = {"command_id": asked["command_id"], "status": 201 if is_first else 422, "id": name, "sum": sum(amounts)}
    return orjson.dumps(reply)
