"""One GET, from a checked request to its answer, out of the ledger's database.

In:      merchant, path parameter, query parameters.
Out:     the resource as JSON; the read model's charges are passed on as they stand there.
Errors:  Problem: 404 for what the merchant does not have, 503 when the read model is behind or away.
Source:  CONTRACT, "HTTP" (resources); docs/adr/0005. The read model is synchronous, so it runs in threads of
         its own, few enough to leave a small database alone.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, TypeVar

import orjson

from events.identifiers import is_charge_id, is_idempotency_key
from events.partitioner import partition_of
from events.topics import topic_name
from services.gateway.answers import RETRY_AFTER, Answer, Problem
from services.gateway.freshness import Freshness, Watermarks
from services.kafka.port import TopicPartition
from services.readmodel.queries import ReadModel, Unavailable

T = TypeVar("T")

THREADS: Final = 4
QUESTIONS_MAX: Final = 256  # that wait for a thread; a few hundred a second are answered, and QUESTION_MAX_S is theirs
QUESTION_MAX_S: Final = 2.0  # a database that is there answers in milliseconds; a connection may hang for longer
_OF_CHARGES: Final = ("charges",)
_OF_A_KEY: Final = ("commands", "keys", "charges")


class Reading:
    def __init__(
        self,
        read_model: ReadModel,
        log: Watermarks,
        *,
        namespace: str,
        partitions: int,
        clock_ms: Callable[[], int],
    ) -> None:
        self._model = read_model
        self._namespace = namespace
        self._partitions = partitions
        self._clock_ms = clock_ms
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="read-model")
        self._questions = 0
        self._freshness = Freshness(log, self._positions)

    async def charge(self, merchant_id: str, charge_id: str) -> Answer:
        # What cannot be an id needs no database, and may hold what a database cannot store.
        if is_charge_id(charge_id):
            await self._wait(merchant_id, _OF_CHARGES)
            charge = await self._in_thread(self._model.charge, merchant_id, charge_id)
            if charge is not None:
                return Answer(200, charge.encode())
        raise Problem("charge_not_found")

    async def charges(self, merchant_id: str, limit: int, cursor: str | None) -> Answer:
        if cursor is not None and not is_charge_id(cursor):
            raise Problem("cursor_not_found")
        await self._wait(merchant_id, _OF_CHARGES)
        page = await self._in_thread(self._model.charges, merchant_id, limit, cursor)
        if page is None:
            raise Problem("cursor_not_found")
        data, has_more = page
        fragments = [orjson.Fragment(charge) for charge in data]
        return _json({"object": "list", "data": fragments, "has_more": has_more})

    async def balance(self, merchant_id: str) -> Answer:
        await self._wait(merchant_id, _OF_CHARGES)
        balances = await self._in_thread(self._model.balances, merchant_id)
        # Sums have no limit here; orjson's integers end at 64 bits.
        return Answer(200, json.dumps({"object": "balance", "balances": balances}, separators=(",", ":")).encode())

    async def key(self, merchant_id: str, key: str) -> Answer:
        if is_idempotency_key(key):
            await self._wait(merchant_id, _OF_A_KEY)
            life = await self._in_thread(self._model.key, merchant_id, key, self._clock_ms())
            if life is not None:
                return _json(life)
        raise Problem("idempotency_key_not_found")

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._model.close()

    async def _wait(self, merchant_id: str, topics: Sequence[str]) -> None:
        partition = partition_of(merchant_id.encode(), self._partitions)
        await self._freshness.wait([TopicPartition(topic_name(self._namespace, topic), partition) for topic in topics])

    async def _positions(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int | None]:
        return await self._in_thread(
            lambda: {each: self._model.position(each.topic, each.partition) for each in partitions}
        )

    async def _in_thread(self, call: Callable[..., T], *arguments: Any) -> T:
        loop = asyncio.get_running_loop()
        if self._questions >= QUESTIONS_MAX:
            raise Problem("read_model_behind", "Too many reads are waiting.", RETRY_AFTER)
        self._questions += 1
        try:
            async with asyncio.timeout(QUESTION_MAX_S):
                return await loop.run_in_executor(self._threads, partial(call, *arguments))
        except (Unavailable, TimeoutError):
            raise Problem("read_model_behind", "The read model cannot be read now.", RETRY_AFTER) from None
        finally:
            self._questions -= 1


def _json(value: dict[str, Any]) -> Answer:
    return Answer(200, orjson.dumps(value))
