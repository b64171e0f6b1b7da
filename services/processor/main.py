"""Start the processor: read settings, wire, run until SIGTERM.

Out:     exit codes: 0 clean stop, 1 Kafka is away for too long or its log does not fit, 2 usage, 4 fenced.
Errors:  one sentence on stderr for each of them; whatever else is a bug and shows its traceback.
Source:  CONTRACT, "The command line".
"""

import asyncio
import gc
import os
import socket
import sys
from typing import Final

import structlog
import uvloop
from pydantic import ValidationError

from events.connection import InvalidConnection, KafkaConnection, connection
from events.options import InvalidOption, refuse_unknown_environment
from services import logs
from services.kafka.errors import Fenced, KafkaFailure, Unfit
from services.kafka.kafka_log import KafkaLog
from services.named_bugs import switched_on
from services.native import native
from services.processor.allocator import keep_freed_memory
from services.processor.app import make_app
from services.processor.identity import Identity, IdentityTaken
from services.processor.lag import watch_lag
from services.processor.observer import Observer
from services.processor.parts import Parts
from services.processor.settings import Settings
from services.processor.store.rocks import RocksStore, StoreBusy
from services.processor.surroundings import RealSurroundings
from services.processor.takeover import Refused
from services.processor.worker import Worker
from services.starting import address_of, listening_socket, unless_stopped, wrong_setting

# A batch makes some ten thousand tuples, none of them in a cycle: looking at them every 700 costs 7 to 20 % of
# the CPU time (docs/measurements.md). The imports never die and need no looking at.
BROKEN: Final = "services.processor.broken"
GC_THRESHOLDS: Final = (100_000, 20, 20)

log = structlog.get_logger()


def main() -> None:
    logs.configure("processor")
    try:
        refuse_unknown_environment(os.environ)
        settings = Settings()
        kafka = connection(settings.kafka, settings.kafka_properties)
        listener = listening_socket(*settings.listen) if settings.listen is not None else None
        identity = Identity.claim(settings.dir)
    except (InvalidOption, InvalidConnection, IdentityTaken) as error:
        sys.exit(_refuse(str(error), 2))
    except ValidationError as error:
        sys.exit(_refuse(wrong_setting(error), 2))
    except (OSError, UnicodeDecodeError) as error:
        sys.exit(_refuse(str(error), 2))
    log.info("settings_loaded", identity=identity.name, native=native is not None, **settings.model_dump(mode="json"))
    keep_freed_memory()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(_serve(settings, kafka, listener, identity)))


async def _serve(settings: Settings, to: KafkaConnection, listener: socket.socket | None, identity: Identity) -> int:
    surroundings = RealSurroundings()
    observer = Observer(surroundings, lambda: _say_ready(settings, listener))

    async def work(stopped: asyncio.Event) -> None:
        kafka = await unless_stopped(stopped, _connect(settings, to, identity))
        if kafka is None:
            return
        store = RocksStore(settings.dir / "keys.rocksdb")
        parts = Parts(kafka, store, settings.terms, f"{settings.namespace}.processor.{identity.name}")
        worker = Worker(switched_on(BROKEN, settings.breaks, parts), surroundings, observer)
        watching = surroundings.spawn(watch_lag(kafka, settings.terms, observer, surroundings), "lag")
        try:
            await worker.run(identity.predecessor, identity.remember, stopped)
        finally:
            watching.cancel()
            store.close()
            await kafka.close()

    try:
        await make_app(settings.namespace, work, listener, observer).run()
    except Fenced as error:
        return _refuse(f"Another process has taken this one's identity; it must not be started again. ({error})", 4)
    except Refused as error:
        return _refuse(str(error), 2 if error.usage else 1)
    except Unfit as error:
        return _refuse(str(error), 2)
    except (KafkaFailure, StoreBusy) as error:
        return _refuse(str(error), 1)
    log.info("stopped")
    return 0


async def _connect(settings: Settings, to: KafkaConnection, identity: Identity) -> KafkaLog:
    kafka = await KafkaLog.connect(to, client_id=f"payonce-processor-{identity.name[:8]}")
    await kafka.ensure_topics(settings.namespace, settings.partitions)
    return kafka


def _say_ready(settings: Settings, listener: socket.socket | None) -> None:
    where = {} if listener is None else {"listen": address_of(listener)}
    log.info(
        "ready",
        namespace=settings.namespace,
        partitions=settings.partitions,
        guarantee=settings.guarantee,
        pid=os.getpid(),
        **where,
    )


def _refuse(sentence: str, code: int) -> int:
    log.error("processor_refused", why=sentence)
    return code
