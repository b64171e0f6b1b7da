"""Where a run takes place: a stack of its own, started for it, or one that somebody runs already.

In:      StackOptions, or the stack.json of a running stack.
Out:     `Place`: addresses, API keys, and how faults reach the processes.
Errors:  Failure, one sentence, when it cannot be started or is not there.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from events.connection import KafkaConnection
from events.guarantees import Guarantee
from simulator.faults.base import Processes
from simulator.proxy.kafka import KafkaProxy, listen
from simulator.stack import Stack
from simulator.stack_files import read_target
from simulator.stack_options import StackOptions, kafka_connection
from simulator.vandal_access import OwnProcesses, TargetProcesses

Say = Callable[[str], None]


@dataclass(frozen=True)
class Place:
    connection: KafkaConnection
    namespace: str
    guarantee: Guarantee
    gateway_urls: Sequence[str]
    api_keys: Mapping[str, str]
    ledger_url: str | None
    processes: Processes
    salt: str  # for the names of intents, where earlier runs may have left theirs
    foreign_processor: bool = False  # somebody's own, of which nothing is known
    kafka_proxy: KafkaProxy | None = None  # what the services' Kafka clients come through, if anything


@asynccontextmanager
async def own_place(
    options: StackOptions, progress: Say, report: Say, *, kafka_link: bool = False
) -> AsyncIterator[Place]:
    """A stack for this run alone; stopped at the end. With `kafka_link` its services reach Kafka through a proxy."""
    async with AsyncExitStack() as opened:
        stack: Stack
        proxy: KafkaProxy | None = None
        if kafka_link:
            # The broker advertises the proxy, so the proxy comes first, and learns the broker's port from the stack.
            proxy = KafkaProxy(lambda: stack.proxied_upstream, opened.enter_context(listen()))
            await proxy.start()
            opened.push_async_callback(proxy.close)
            options = replace(options, kafka_proxy=proxy.address)
        stack = Stack(options, progress, report)
        await opened.enter_async_context(stack)
        yield Place(
            connection=stack.connection,
            namespace=stack.namespace,
            guarantee=Guarantee(stack.guarantee),
            gateway_urls=tuple(stack.gateway_urls),
            api_keys=stack.api_keys,
            ledger_url=stack.ledger_url,
            processes=OwnProcesses(stack),
            salt="",
            foreign_processor=bool(options.processor),
            kafka_proxy=proxy,
        )


@asynccontextmanager
async def target_place(stack_file: Path, security: Path | None, salt: str) -> AsyncIterator[Place]:
    """Somebody's running stack; left as it was found."""
    stack = read_target(stack_file)
    yield Place(
        connection=kafka_connection(stack["kafka"]["bootstrap_servers"], security),
        namespace=stack["namespace"],
        guarantee=Guarantee(stack["guarantee"]),
        gateway_urls=tuple(stack["gateway_urls"]),
        api_keys=stack["api_keys"],
        ledger_url=stack["ledger_url"],
        processes=TargetProcesses(stack_file),
        salt=salt,
    )
