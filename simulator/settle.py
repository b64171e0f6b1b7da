"""Wait until the system has nothing left to do, so that an audit judges a finished story.

In:      the log, a way to ask the gateways, the merchants.
Out:     why it has not settled; nothing when it has.
Units:   seconds.
Errors:  none: what cannot be asked has not settled.
Source:  settled means: the processors' group is at the end of `commands`, no Kafka transaction is open, and a
         GET, which waits until the ledger is at the high watermark (CONTRACT), answers 200.
"""

import asyncio
import time
from collections.abc import Callable, Mapping

from aiokafka.errors import KafkaError

from simulator.log_watch import LogWatch, LogWatchError
from simulator.workload.http_client import NotSentError, OutcomeUnknownError
from simulator.workload.load import Door

SETTLE_S = 20.0
ASK_EVERY_S = 0.2
OUTPUTS = ("keys", "charges", "replies", "dead-letters")


async def settle(log: LogWatch, door: Door, api_keys: Mapping[str, str], progress: Callable[[str], None]) -> list[str]:
    """Returns as soon as everything has settled, or after SETTLE_S with what has not."""
    deadline = time.monotonic() + SETTLE_S
    while True:
        try:
            reasons = await _unsettled(log) or await _ledger_behind(door, api_keys)
        except (KafkaError, LogWatchError, TimeoutError) as error:
            reasons = [f"the log cannot be asked: {error}"]
        if not reasons or time.monotonic() > deadline:
            return [f"not settled after {SETTLE_S:.0f} s: {reason}" for reason in reasons]
        progress(f"waiting until everything has settled: {reasons[0]}")
        await asyncio.sleep(ASK_EVERY_S)


async def _unsettled(log: LogWatch) -> list[str]:
    commands, outputs = log.spots("commands"), log.spots(*OUTPUTS)
    offsets, ends, stable = await asyncio.gather(
        log.group_offsets(), log.ends([*commands, *outputs]), log.stable_ends(outputs)
    )
    reasons = [
        f"partition {partition}: {ends[topic, partition] - offsets[partition]} commands are waiting"
        for topic, partition in commands
        if offsets[partition] < ends[topic, partition]
    ]
    reasons += [
        f"{topic} {partition}: a Kafka transaction is open"
        for topic, partition in outputs
        if stable[topic, partition] < ends[topic, partition]
    ]
    return reasons


async def _ledger_behind(door: Door, api_keys: Mapping[str, str]) -> list[str]:
    for merchant_id, api_key in api_keys.items():
        try:
            answer = await door.client.request(
                "GET", "/v1/balance", {"Authorization": f"Bearer {api_key}"}, patience_ms=5_000.0
            )
        except (NotSentError, OutcomeUnknownError) as error:
            return [f"the gateway does not answer: {error}"]
        if answer.status != 200:
            return [f"the ledger has not caught up for {merchant_id} ({answer.status})"]
    return []
