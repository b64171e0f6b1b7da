"""The embedded broker's own configuration: one node, small, quick to come back.

In:      listeners (name, port, advertised address, protocol); it runs beside its folder `data`.
Out:     the texts of server.properties, log4j2.properties and meta.properties.
Units:   times are in milliseconds, as Kafka's names say.
Source:  measured on 4.3.1; each number that is not Kafka's default says why.
"""

import base64
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SMALL_AND_QUICK: Mapping[str, str] = {
    # One node: nothing can be replicated, and a transaction log that wants three replicas makes clients hang.
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    # 50 partitions each make the first transaction and the first group slow, and every restart.
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.num.partitions": "1",
    "num.network.threads": "2",
    "num.io.threads": "4",
    # A topic made by accident has the wrong number of partitions for good.
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    # The next transaction's first request may find the last one's markers unwritten; 20 ms of waiting is its p95.
    "add.partitions.to.txn.retry.backoff.ms": "1",
    # How long a dead processor's transaction blocks readers beyond its time-out; 10 s by default.
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    # After SIGKILL the controller refuses the new incarnation until the old one's session has ended; 9 s by default.
    "broker.session.timeout.ms": "1500",
    "broker.heartbeat.interval.ms": "250",
    # Each log has two index files of this size. The first entry, after 4 KiB of records, makes the kernel read around
    # it as far as its read-ahead goes: 16 MiB of zeros a log where that is 8 MiB and these the 10 by default, and
    # seconds for the first transaction on 64 partitions. 256 KiB index 85 MiB at least; then the next segment begins.
    "log.index.size.max.bytes": "262144",
    # So that compaction and retention can be watched within a test.
    "log.cleaner.backoff.ms": "1000",
    "log.initial.task.delay.ms": "1000",
    "log.retention.check.interval.ms": "5000",
}

LOG4J = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{HH:mm:ss.SSS} %p %c{1} %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
logger.config.name = org.apache.kafka.common.config.AbstractConfig
logger.config.level = warn
logger.metrics.name = org.apache.kafka.common.metrics
logger.metrics.level = warn
logger.appinfo.name = org.apache.kafka.common.utils.AppInfoParser
logger.appinfo.level = warn
"""


@dataclass(frozen=True)
class Listener:
    """One door of the broker: where it listens, and where it tells clients to come."""

    name: str
    port: int
    advertised: str
    protocol: str = "PLAINTEXT"


def server_properties(listeners: Sequence[Listener], controller_port: int, host: str, extra: Mapping[str, str]) -> str:
    """The whole server.properties; `extra` wins."""
    settings = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{host}:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": listeners[0].name,
        "listeners": ",".join(
            [f"{each.name}://{host}:{each.port}" for each in listeners] + [f"CONTROLLER://{host}:{controller_port}"]
        ),
        "advertised.listeners": ",".join(f"{each.name}://{each.advertised}" for each in listeners),
        "listener.security.protocol.map": ",".join(
            [f"{each.name}:{each.protocol}" for each in listeners] + ["CONTROLLER:PLAINTEXT"]
        ),
        "log.dirs": "data",  # below where it runs: Kafka would take a comma in a whole path for two folders
    }
    return "".join(f"{name}={_escaped(value)}\n" for name, value in {**settings, **SMALL_AND_QUICK, **extra}.items())


def _escaped(value: str) -> str:
    """A value as java.util.Properties reads it: it takes bytes for Latin-1, and a backslash for an escape."""
    utf16 = value.replace("\\", "\\\\").encode("utf-16-be")
    units = [int.from_bytes(utf16[at : at + 2]) for at in range(0, len(utf16), 2)]
    return "".join(chr(unit) if 0x20 <= unit < 0x7F else f"\\u{unit:04x}" for unit in units)


def fresh_identity() -> str:
    """A meta.properties of a cluster that never was before."""
    return f"version=1\ncluster.id={_random_uuid()}\nnode.id=1\ndirectory.id={_random_uuid()}\n"


def _random_uuid() -> str:
    while True:
        text = base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")
        if not text.startswith("-"):  # Kafka's own tools would take it for an option, so Kafka makes none like it
            return text
