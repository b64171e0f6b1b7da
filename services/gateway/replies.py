"""Match replies on the log with the requests that wait for them.

In:      batches of records from `replies`, read committed; every gateway sees all of them.
Out:     each waiting request's reply, once.
Errors:  a reply of ours that cannot be read is logged; its request runs into its time limit.
Source:  CONTRACT, "The log". Another gateway's reply costs one comparison of bytes, nothing is decoded.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

import structlog
from pydantic import ValidationError

from events.replies import Reply
from services.kafka.port import Record

# A Kafka transaction may answer a thousand, each some fifty microseconds of work; others want to be heard meanwhile.
A_TURN: Final = 64

_log = structlog.get_logger()


class ReplyDesk:
    """Who waits for which command. `reply_to` names this process and is new at each start."""

    def __init__(self, reply_to: str) -> None:
        self.reply_to = reply_to.encode()
        self._waiting: dict[bytes, asyncio.Future[Reply]] = {}  # the oldest first
        self._since_s: dict[bytes, float] = {}  # the same, of the loop's clock

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def oldest_s(self) -> float:
        """For how long the first of those who wait has waited."""
        since_s = next(iter(self._since_s.values()), None)
        return 0.0 if since_s is None else asyncio.get_running_loop().time() - since_s

    def expect(self, command_id: str) -> asyncio.Future[Reply]:
        """The future of this command's reply; to be called before the command is sent."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Reply] = loop.create_future()
        self._waiting[command_id.encode()] = future
        self._since_s[command_id.encode()] = loop.time()
        return future

    def forget(self, command_id: str) -> None:
        self._waiting.pop(command_id.encode(), None)
        self._since_s.pop(command_id.encode(), None)

    def deliver(self, records: Iterable[Record]) -> None:
        """Resolve what these records answer. Repeated replies, and replies nobody waits for, do nothing."""
        for record in records:
            if not self._is_ours(record) or record.key is None:
                continue
            future = self._waiting.get(record.key)
            if future is None or future.done():
                continue
            try:
                reply = Reply.model_validate_json(record.value or b"")
            except ValidationError as error:
                _log.warning("reply_unreadable", offset=record.offset, errors=error.error_count())
                continue
            future.set_result(reply)

    async def deliver_in_turns(self, records: Sequence[Record]) -> None:
        """The same, few in each turn of the loop."""
        for begin in range(0, len(records), A_TURN):
            self.deliver(records[begin : begin + A_TURN])
            await asyncio.sleep(0)

    def give_up(self) -> None:
        """Let every waiting request answer now that the outcome is unknown: this process is about to stop."""
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(TimeoutError("the gateway is stopping"))

    def _is_ours(self, record: Record) -> bool:
        return any(name == "reply_to" and value == self.reply_to for name, value in record.headers)
