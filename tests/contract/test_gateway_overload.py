"""More requests than can be answered soon: the rest is told so at once, nobody of them is charged, and it passes."""

import asyncio
import signal
import time
from pathlib import Path

import httpx
import orjson
import psutil

from services.gateway.admission import WAITING_FEW, WAITING_LEAST
from simulator.broker.embedded import EmbeddedBroker
from simulator.workload.http_client import Answer
from simulator.workload.load import Door
from tests.support.gateway_world import API_KEYS, VALID, world
from tests.support.services import service
from tests.support.wait import wait_until

MORE = 60
AT_ONCE_S = 3.0  # a refusal takes a millisecond; this bounds a busy machine, and waiting would take twenty seconds


async def test_a_full_line_refuses_at_once_and_recovers(kafka: EmbeddedBroker, namespace: str, tmp_path: Path) -> None:
    """While the processor stands still: 503 with Retry-After, nothing sent; afterwards all who waited are paid."""
    with (
        world(kafka, namespace, tmp_path, with_services=False) as made,
        service("processor", tmp_path / "processor", made.environment) as processor,
    ):
        client = Door.at("gateway", made.url).client

        async def pay(number: int) -> Answer:
            headers = {
                "authorization": f"Bearer {API_KEYS['acme']}",
                "content-type": "application/json",
                "idempotency-key": f"k{number}",
            }
            return await client.request("POST", "/v1/charges", headers, orjson.dumps(VALID), patience_ms=30_000)

        def waiting() -> int:
            text = httpx.get(f"{made.url}/metrics").text
            return int(float(text.partition("\npayonce_gateway_in_flight ")[2].partition("\n")[0]))

        async def are_too_many() -> bool:
            return await asyncio.to_thread(waiting) >= WAITING_FEW and any(task.done() for task in asking)

        assert (await pay(-1)).status == 201
        stopped = psutil.Process(processor.pid)
        stopped.send_signal(signal.SIGSTOP)
        try:
            asking = [asyncio.create_task(pay(number)) for number in range(WAITING_LEAST + MORE)]
            await wait_until(are_too_many, timeout_s=20.0, message="nobody is refused")
            began = time.monotonic()
            refused = await asyncio.gather(*(pay(WAITING_LEAST + MORE + number) for number in range(MORE)))
            assert time.monotonic() - began < AT_ONCE_S
        finally:
            stopped.send_signal(signal.SIGCONT)
        told = await asyncio.gather(*asking)
        paid = [answer for answer in told if answer.status == 201]
        assert len(paid) >= WAITING_FEW
        for answer in [*refused, *(answer for answer in told if answer.status != 201)]:
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            assert orjson.loads(answer.body)["code"] == "unavailable"
        assert (await pay(WAITING_LEAST + MORE)).status == 201  # whom it refused before
        client.close()
        # The first, those who waited, the one who came again: of the others nothing is on the log.
        assert await asyncio.to_thread(made.commands_on_log) == 1 + len(paid) + 1
