"""Start the ledger: read settings, wire, run until SIGTERM.

Out:     exit codes: 0 clean stop, 1 Kafka or the database is away for too long, 2 usage.
Errors:  one sentence on stderr for each of them; whatever else is a bug and shows its traceback.
Source:  CONTRACT, "The command line".
"""

import asyncio
import os
import socket
import sys
from typing import Final

import structlog
import uvloop
from pydantic import ValidationError

from events.connection import InvalidConnection, KafkaConnection, connection
from events.options import InvalidOption, refuse_unknown_environment
from events.topics import ledger_group
from services import logs
from services.kafka.admin import ensure_topics
from services.kafka.errors import KafkaFailure, Unfit
from services.kafka.kafka_log import KafkaLog
from services.ledger.app import make_app
from services.ledger.metrics import Metrics
from services.ledger.projector import Options, Projector
from services.ledger.settings import Settings
from services.ledger.store import Moved, Refused, Store, StoreLost
from services.named_bugs import switched_on
from services.readmodel.engine import database_url
from services.starting import address_of, listening_socket, unless_stopped, wrong_setting

BROKEN: Final = "services.ledger.broken"

log = structlog.get_logger()


def main() -> None:
    logs.configure("ledger")
    try:
        refuse_unknown_environment(os.environ)
        settings = Settings()
        kafka = connection(settings.kafka, settings.kafka_properties)
        listener = listening_socket(*settings.listen) if settings.listen is not None else None
    except (InvalidOption, InvalidConnection) as error:
        sys.exit(_refuse(str(error), 2))
    except ValidationError as error:
        sys.exit(_refuse(wrong_setting(error), 2))
    except (OSError, UnicodeDecodeError) as error:
        sys.exit(_refuse(str(error), 2))
    log.info("settings_loaded", **_shown(settings))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(_serve(settings, kafka, listener)))


async def _serve(settings: Settings, to: KafkaConnection, listener: socket.socket | None) -> int:
    metrics = Metrics(ledger_group(settings.namespace))
    projectors: list[Projector] = []

    async def work(stopped: asyncio.Event) -> None:
        kafka = await unless_stopped(stopped, _connect(settings, to))
        if kafka is None:
            return
        store = Store(settings.database_url, settings.namespace)
        options = switched_on(BROKEN, settings.breaks, Options(settings.namespace, settings.partitions))
        projectors.append(Projector(kafka, store, metrics, options))
        try:
            await projectors[0].run(stopped, on_ready=lambda: _say_ready(settings, listener))
        finally:
            store.close()
            await kafka.close()

    app = make_app(settings.namespace, work, listener, metrics, lambda: any(each.ready for each in projectors))
    try:
        await app.run()
    except Unfit as error:
        return _refuse(str(error), 2)
    except (KafkaFailure, StoreLost, Moved, Refused) as error:
        return _refuse(str(error), 1)
    log.info("stopped")
    return 0


async def _connect(settings: Settings, to: KafkaConnection) -> KafkaLog:
    kafka = await KafkaLog.connect(to, client_id=f"payonce-ledger-{os.getpid()}")
    await ensure_topics(kafka.cluster, settings.namespace, settings.partitions)
    return kafka


def _say_ready(settings: Settings, listener: socket.socket | None) -> None:
    where = {} if listener is None else {"listen": address_of(listener)}
    log.info("ready", namespace=settings.namespace, partitions=settings.partitions, pid=os.getpid(), **where)


def _shown(settings: Settings) -> dict[str, object]:
    """The settings, the database's password masked."""

    url = database_url(settings.database_url).render_as_string(hide_password=True)
    return {**settings.model_dump(mode="json", exclude={"ledger_url"}), "ledger_url": url}


def _refuse(sentence: str, code: int) -> int:
    log.error("ledger_refused", why=sentence)
    return code
