"""Start a gateway: read settings, wire, serve until SIGTERM.

Out:     exit codes: 0 clean stop, 1 Kafka is away or not as it must be, 2 usage.
Errors:  one sentence on stderr for each of them; whatever else is a bug and shows its traceback.
Source:  CONTRACT, "The command line".
"""

import asyncio
import gc
import os
import signal
import socket
import sys
from typing import Final

import structlog
import uvloop
from pydantic import ValidationError

from events.connection import InvalidConnection, KafkaConnection, connection
from events.options import InvalidOption, refuse_unknown_environment
from services import logs
from services.gateway.api import Api
from services.gateway.credentials import BadCredentials, Credentials
from services.gateway.gateway import Gateway
from services.gateway.metrics import Metrics
from services.gateway.operations import Operations
from services.gateway.server import allow_connections, make_server
from services.gateway.settings import Settings
from services.kafka.errors import KafkaFailure, Unfit
from services.named_bugs import switched_on
from services.starting import address_of, listening_socket, wrong_setting

_log = structlog.get_logger()

BROKEN: Final = "services.gateway.broken"
# Requests leave nothing behind that is in a cycle. To look through what waits all the same, a hundred objects for each
# request, holds everybody up for tens of milliseconds; so only what is more than they can be is looked through.
GC_THRESHOLDS: Final = (500_000, 10, 10)
ANSWER_WITHIN_S: Final = 5.0  # after SIGTERM; whoever still waits then is told 504
STOP_WITHIN_S: Final = 7  # the server's own limit, for clients that never finish sending


def main() -> None:
    logs.configure("gateway")
    try:
        refuse_unknown_environment(os.environ)
        settings = Settings()
        kafka = connection(settings.kafka, settings.kafka_properties)
        credentials = Credentials.read(settings.api_keys)
        listener = listening_socket(*settings.listen)
    except ValidationError as error:
        sys.exit(_refuse(wrong_setting(error), 2))
    except (InvalidOption, InvalidConnection, BadCredentials, OSError, UnicodeDecodeError) as error:
        sys.exit(_refuse(str(error), 2))
    _log.info("settings_loaded", **_shown(settings))
    allow_connections()
    gc.set_threshold(*GC_THRESHOLDS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(_serve(settings, kafka, credentials, listener)))


async def _serve(settings: Settings, to: KafkaConnection, credentials: Credentials, listener: socket.socket) -> int:
    metrics = Metrics()
    gateway = switched_on(BROKEN, settings.breaks, Gateway)(settings, metrics)
    api = Api(
        credentials,
        Operations(metrics, gateway.unready),
        gateway.posting,
        gateway.reading,
        metrics,
        key_required=settings.enforcement,
    )
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    address = address_of(listener)
    server = make_server(api, STOP_WITHIN_S, gateway.is_overloaded, metrics.answered, gateway.turns)
    serving = asyncio.create_task(server.serve(sockets=[listener]))

    async def work() -> None:
        await gateway.connect(to)
        _log.info("ready", listen=address, namespace=settings.namespace, pid=os.getpid())
        await gateway.run()

    watching = asyncio.create_task(gateway.lag.watch())
    working = asyncio.create_task(work())
    stopping = asyncio.create_task(stopped.wait())
    await asyncio.wait({working, serving, stopping}, return_when=asyncio.FIRST_COMPLETED)

    # Nothing new; what is on the log is answered while replies are still read; then let go.
    gateway.stop_taking()
    server.should_exit = True
    asyncio.get_running_loop().call_later(ANSWER_WITHIN_S, gateway.desk.give_up)
    await serving
    for task in (working, stopping, watching):
        task.cancel()
    outcome, *_ = await asyncio.gather(working, stopping, watching, return_exceptions=True)
    await gateway.close()
    if isinstance(outcome, KafkaFailure):
        return _refuse(str(outcome), 2 if isinstance(outcome, Unfit) else 1)
    if isinstance(outcome, Exception):
        raise outcome
    _log.info("stopped")
    return 0


def _shown(settings: Settings) -> dict[str, object]:
    """The settings, without the database's password."""
    shown = settings.model_dump(mode="json", exclude={"ledger_url"})
    return {**shown, "ledger": settings.database_url.rpartition("@")[2]}


def _refuse(sentence: str, code: int) -> int:
    _log.error("gateway_refused", why=sentence)
    return code
