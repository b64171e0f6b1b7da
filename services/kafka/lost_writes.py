"""A write to a connection that was reset a moment ago is a lost connection, whichever event loop says so.

In:      aiokafka's connection, for every client in this process.
Out:     the same, which raises KafkaConnectionError also where uvloop raises RuntimeError.
Source:  aio-libs/aiokafka#1038: only OSError is caught, and asyncio raises nothing. Seen with faults on the wire: the
         task that fetches ends for good, the consumer goes on giving nothing, and nobody is told.
"""

from functools import wraps
from typing import Any, Final

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError, KafkaError

_send: Final = AIOKafkaConnection.send


@wraps(_send)
def _send_or_say_broken(self: Any, *arguments: Any, **options: Any) -> Any:
    try:
        return _send(self, *arguments, **options)
    except KafkaError:  # is a RuntimeError too, and says already what it is
        raise
    except RuntimeError as error:
        self.close(reason=CloseReason.CONNECTION_BROKEN)
        raise KafkaConnectionError(f"Connection at {self._host}:{self._port} broken: {error}") from error


def install() -> None:
    AIOKafkaConnection.send = _send_or_say_broken
