"""A cluster of a test's own: three brokers, each a controller too, as docker-compose.yml has them.

In:      a folder.
Out:     ThreeBrokers that serve: killed, paused and started again one at a time, or asked to move what they lead.
Units:   _s are seconds.
Errors:  AssertionError where the cluster does not get into the state that a test waits for.

Every record has three copies, of which two must acknowledge. Ports are the kernel's, kept through every restart.
Settings differ from the embedded broker's in what several brokers need, and nowhere else.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from simulator.broker import settings
from simulator.broker.embedded import EmbeddedBroker, _learn_from
from simulator.broker.installation import install
from simulator.broker.jars import MAVEN_CENTRAL, cache_home
from simulator.broker.ports import HOST
from simulator.broker.protocol import silent

NODES: Final = (1, 2, 3)
_HEAP: Final = ("-Xmx192m",)
_REPLICATED: Final = {
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "share.coordinator.state.topic.replication.factor": "3",
    "share.coordinator.state.topic.min.isr": "2",
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    # So many that each broker coordinates something.
    "offsets.topic.num.partitions": "6",
    "transaction.state.log.num.partitions": "6",
    # 128 MB by default, more than half of the heap, for topics that hold a few records.
    "log.cleaner.dedupe.buffer.size": str(8 * 1024 * 1024),
    # A pause of the machine is no death: three virtual machines share two cores with the tests.
    "broker.session.timeout.ms": "2500",
    "broker.heartbeat.interval.ms": "400",
    # A test moves leaders itself; the controller would move them back in the middle of another test.
    "auto.leader.rebalance.enable": "false",
}


class _Node(EmbeddedBroker):
    """One of three: an embedded broker that is told of the other two."""

    @property
    def controller_port(self) -> int:
        return self._ports.numbers[1]

    def join(self, node: int, cluster_id: str, voters: str, extra: Mapping[str, str]) -> None:
        """Before its first start: who it is, and who decides with it."""
        self._extra_settings |= {"node.id": str(node), "controller.quorum.voters": voters, **_REPLICATED, **extra}
        checkpoint = install(cache_home(), MAVEN_CENTRAL, silent, _learn_from).bootstrap_checkpoint
        data = self._directory / "data"
        data.mkdir(parents=True)
        (data / "bootstrap.checkpoint").write_bytes(checkpoint)
        identity = dict(line.split("=", 1) for line in settings.fresh_identity().splitlines())
        identity |= {"cluster.id": cluster_id, "node.id": str(node)}
        (data / "meta.properties").write_text("".join(f"{name}={value}\n" for name, value in identity.items()))


class ThreeBrokers:
    """Node ids are 1, 2, 3."""

    def __init__(self, folder: Path, extra: Mapping[str, str]) -> None:
        self._nodes = {node: _Node(folder / f"broker-{node}", jvm_flags=_HEAP) for node in NODES}
        voters = ",".join(f"{number}@{HOST}:{node.controller_port}" for number, node in self._nodes.items())
        cluster_id = settings.fresh_identity().split("cluster.id=")[1].splitlines()[0]
        for number, node in self._nodes.items():
            node.join(number, cluster_id, voters, extra)

    def __getitem__(self, node: int) -> EmbeddedBroker:
        return self._nodes[node]

    @property
    def bootstrap_servers(self) -> str:
        return ",".join(node.bootstrap_servers for node in self._nodes.values())

    def start(self) -> None:
        """Those that do not run; together, as no one of them serves without another."""
        self._each(lambda node: node.start())

    def kill(self) -> None:
        self._each(lambda node: node.kill())

    def close(self) -> None:
        self._each(lambda node: node.close())

    @contextmanager
    def paused(self, node: int) -> Iterator[None]:
        """One that keeps its connections and says nothing."""
        self._nodes[node].pause()
        try:
            yield
        finally:
            self._nodes[node].resume()

    def _each(self, what: Callable[[EmbeddedBroker], None]) -> None:
        with ThreadPoolExecutor(len(self._nodes)) as pool:
            list(pool.map(what, self._nodes.values()))


@contextmanager
def three_brokers(extra: Mapping[str, str] | None = None) -> Iterator[ThreeBrokers]:
    """A cluster that is gone afterwards with all it wrote."""
    with tempfile.TemporaryDirectory(prefix="payonce-brokers-", ignore_cleanup_errors=True) as name:
        brokers = ThreeBrokers(Path(name), extra or {})
        try:
            brokers.start()
            yield brokers
        finally:
            brokers.kill()
            brokers.close()
