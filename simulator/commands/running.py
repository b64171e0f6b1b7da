"""Find what a command should look at: a stack that runs here, or a cluster that was named.

In:      --dir (a running stack, by its stack.json) or --kafka HOST:PORT with --namespace.
Out:     Target.
Errors:  Failure, one sentence, when nothing runs there; UsageFailure when that is what --target says.
"""

from dataclasses import dataclass, field
from pathlib import Path

from events.connection import KafkaConnection
from simulator.commands.options import Given
from simulator.failure import Failure
from simulator.stack_files import is_stack_running, read_stack, read_target
from simulator.stack_options import kafka_connection


@dataclass(frozen=True)
class Target:
    """What there is to look at; a cluster that was named has no gateways that we know of."""

    connection: KafkaConnection
    namespace: str
    guarantee: str | None = None
    ledger_url: str | None = None
    gateway_urls: list[str] = field(default_factory=list)
    api_keys: dict[str, str] = field(default_factory=dict)


def find_target(given: Given, stack_file: Path | None = None) -> Target:
    """The cluster of --kafka HOST:PORT; otherwise the stack of --target, or the one that runs in DIR."""
    if given.kafka not in ("embedded", "docker") and stack_file is None:
        connection = kafka_connection(given.kafka, given.kafka_security)
        return Target(connection, given.namespace, ledger_url=given.ledger_url)
    stack = read_stack(given.dir) if stack_file is None else read_target(stack_file)
    if stack_file is None and not is_stack_running(given.dir):
        raise Failure(f"The stack in {given.dir} was killed; start it again with `payonce up`.")
    return Target(
        connection=kafka_connection(stack["kafka"]["bootstrap_servers"], given.kafka_security),
        namespace=stack["namespace"],
        guarantee=stack["guarantee"],
        ledger_url=stack["ledger_url"],
        gateway_urls=stack["gateway_urls"],
        api_keys=stack["api_keys"],
    )
