"""The brokers of one cluster: who leads a partition, who coordinates a group or a transactional id.

In:      a KafkaConnection.
Out:     answers of the broker that is responsible, by node id.
Units:   milliseconds.
Errors:  as services.kafka.wire; Fatal for an unknown topic or a refusal to tell.

What is known of the cluster is a cache: whoever is answered "not me" forgets it and asks again.
FindCoordinator comes before anything else of a group or a transactional id: it creates the internal topics,
without which InitProducerId answers 16 for ever.
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import Final, TypeVar

from kio.schema.find_coordinator.v4 import FindCoordinatorRequest, FindCoordinatorResponse
from kio.schema.metadata.v12 import MetadataRequest, MetadataResponse
from kio.schema.metadata.v12.request import MetadataRequestTopic
from kio.schema.metadata.v12.response import MetadataResponseTopic
from kio.schema.types import TopicName
from kio.static.primitive import i8, i32
from kio.static.protocol import RequestPayload, ResponsePayload

from events.connection import KafkaConnection
from services.kafka.codes import Code, Request, failure
from services.kafka.errors import Fatal, Indefinite, Retriable
from services.kafka.patience import ask_again
from services.kafka.port import TopicPartition
from services.kafka.question import ByKio, Question
from services.kafka.wire import Wire

A = TypeVar("A")
R = TypeVar("R", bound=ResponsePayload)

REQUEST_TIMEOUT_MS: Final = 3_000
ASKING_MS: Final = 15_000  # a broker that was killed is back within five seconds


class CoordinatorOf(IntEnum):
    GROUP = 0
    TRANSACTION = 1


class Lane(IntEnum):
    """One connection each: a broker serves one request of a connection at a time, and Produce waits long."""

    DATA = 0
    COORDINATION = 1
    QUESTIONS = 2


class Cluster:
    """Connections to every broker, opened when first needed."""

    def __init__(
        self, connection: KafkaConnection, client_id: str, request_timeout_ms: int = REQUEST_TIMEOUT_MS
    ) -> None:
        self.connection = connection
        self.client_id = client_id
        self._request_timeout_ms = request_timeout_ms
        self._addresses: dict[int, tuple[str, int]] = {}
        self._wires: dict[tuple[int, Lane], Wire] = {}
        self._bootstrap = [
            self._wire(host, int(port))
            for host, _, port in (server.rpartition(":") for server in connection.bootstrap_servers)
        ]
        self._answering: int | None = None  # the broker that answered the last question put to anybody
        self._leaders: dict[TopicPartition, int] = {}
        self._coordinators: dict[tuple[CoordinatorOf, str], int] = {}

    async def call(self, node: int, lane: Lane, request: RequestPayload, response_type: type[R]) -> R:
        """As `put`, of any request that kio knows."""
        return await self.put(node, lane, ByKio[R](request, response_type))

    async def put(self, node: int, lane: Lane, question: Question[A]) -> A:
        """Ask this very broker; raises Retriable where nothing was sent, Indefinite where no answer came."""
        return await self._wire_to(node, lane).call(question)

    async def ask(self, request: RequestPayload, response_type: type[R]) -> R:
        """Ask whichever broker answers first: those known, then those we were told of at the start.

        The one that answered last comes first: one that hangs costs its time-out once, and not each question.
        """
        trouble: Retriable | Indefinite = Retriable("no broker is known")
        for node in self._likeliest_first():
            try:
                answer = await self.call(node, Lane.QUESTIONS, request, response_type)
            except (Retriable, Indefinite) as error:
                trouble = error
            else:
                self._answering = node
                return answer
        for wire in list(self._bootstrap):
            try:
                answer = await wire.call(ByKio[R](request, response_type))
            except (Retriable, Indefinite) as error:
                trouble = error
            else:
                self._bootstrap.remove(wire)
                self._bootstrap.insert(0, wire)
                return answer
        raise trouble

    async def describe(self, topics: Iterable[str]) -> dict[str, MetadataResponseTopic]:
        """What the cluster says of these topics, an error code in each; remembers brokers and leaders."""
        request = MetadataRequest(
            topics=tuple(MetadataRequestTopic(topic_id=None, name=TopicName(name)) for name in topics),
            allow_auto_topic_creation=False,
            include_topic_authorized_operations=False,
        )
        answer = await self.ask(request, MetadataResponse)
        if answer.brokers:
            self._addresses = {int(broker.node_id): (broker.host, int(broker.port)) for broker in answer.brokers}
        described = {str(topic.name): topic for topic in answer.topics}
        for name, topic in described.items():
            for partition in topic.partitions:
                where = TopicPartition(name, int(partition.partition_index))
                if int(partition.leader_id) >= 0:
                    self._leaders[where] = int(partition.leader_id)
                else:
                    self._leaders.pop(where, None)
        return described

    async def leaders(self, partitions: Iterable[TopicPartition]) -> dict[int, list[TopicPartition]]:
        """The partitions by the broker that leads them; raises Retriable while one has no leader."""
        by_leader, leaderless = await self.find_leaders(partitions)
        if leaderless:
            raise next(iter(leaderless.values()))
        return by_leader

    def known_leaders(
        self, partitions: Iterable[TopicPartition]
    ) -> tuple[dict[int, list[TopicPartition]], list[TopicPartition]]:
        """The partitions by the broker that leads them, as far as is known, and those whose leader is not."""
        by_leader: dict[int, list[TopicPartition]] = {}
        unknown: list[TopicPartition] = []
        for one in partitions:
            leader = self._leaders.get(one)
            (unknown if leader is None else by_leader.setdefault(leader, [])).append(one)
        return by_leader, unknown

    async def find_leaders(
        self, partitions: Iterable[TopicPartition]
    ) -> tuple[dict[int, list[TopicPartition]], dict[TopicPartition, Retriable]]:
        """The partitions by the broker that leads them, and why others have none; raises what concerns them all."""
        wanted = list(partitions)
        by_leader, unknown = self.known_leaders(wanted)
        if not unknown:
            return by_leader, {}
        refused: dict[str, Retriable] = {}
        for name, topic in (await self.describe({one.topic for one in unknown})).items():
            if topic.error_code != Code.none:
                error = failure(topic.error_code, Request.OTHER, f"topic {name}")
                if not isinstance(error, Retriable):
                    raise error
                refused[name] = error
        by_leader, still_unknown = self.known_leaders(wanted)
        leaderless = {
            one: refused.get(one.topic) or Retriable(f"{one.topic} {one.partition} has no leader")
            for one in still_unknown
        }
        return by_leader, leaderless

    async def nodes(self) -> list[int]:
        """Every broker of the cluster."""
        await self.describe(())
        return list(self._addresses)

    def lost_connections(self) -> bool:
        """Whether a connection that carried data or coordination is gone; each loss is told once."""
        lost = [wire for (_, lane), wire in self._wires.items() if lane is not Lane.QUESTIONS and wire.lost]
        for wire in lost:
            wire.close()
        return bool(lost)

    def forget_leaders(self, partitions: Iterable[TopicPartition]) -> None:
        for one in partitions:
            self._leaders.pop(one, None)

    async def coordinator(self, of: CoordinatorOf, key: str) -> int:
        """The node that coordinates; raises Retriable or Indefinite while it cannot be found out."""
        known = self._coordinators.get((of, key))
        if known is not None:
            return known
        request = FindCoordinatorRequest(key_type=i8(of), coordinator_keys=(key,))
        answer = await self.ask(request, FindCoordinatorResponse)
        found = answer.coordinators[0]
        if found.error_code != Code.none:
            raise failure(found.error_code, Request.OTHER, f"coordinator of {key}")
        node = int(found.node_id)
        self._addresses[node] = (found.host, int(found.port))
        self._coordinators[(of, key)] = node
        return node

    def forget_coordinator(self, of: CoordinatorOf, key: str) -> None:
        self._coordinators.pop((of, key), None)

    async def call_coordinator(self, of: CoordinatorOf, key: str, request: RequestPayload, response_type: type[R]) -> R:
        """As `put_to_coordinator`, of any request that kio knows."""
        return await self.put_to_coordinator(of, key, ByKio[R](request, response_type))

    async def put_to_coordinator(self, of: CoordinatorOf, key: str, question: Question[A]) -> A:
        """Ask the coordinator; one that cannot be reached or does not answer is forgotten."""
        node = self._coordinators.get((of, key))
        if node is None:
            node = await self.coordinator(of, key)
        try:
            return await self.put(node, Lane.COORDINATION, question)
        except (Retriable, Indefinite):
            self.forget_coordinator(of, key)
            raise

    async def reach(self, patience_ms: int) -> None:
        """Wait until a broker answers; raises Fatal when none has within patience_ms."""

        async def knock() -> None:
            await self.describe(())
            if not self._addresses:
                raise Retriable("the cluster has no broker yet")

        try:
            await ask_again(knock, patience_ms, "Kafka")
        except Retriable as error:
            raise Fatal(
                f"No Kafka broker answered at {self.connection.bootstrap} within {patience_ms / 1000:g} s;"
                f" the last try said: {error.__cause__ or error}."
            ) from error

    async def partitions(self, topic: str) -> int | None:
        """How many partitions a topic has; None when there is no such topic."""
        described = (await self.describe((topic,)))[topic]
        if described.error_code == Code.unknown_topic_or_partition:
            return None
        if described.error_code != Code.none:
            raise failure(described.error_code, Request.OTHER, f"topic {topic}")
        return len(described.partitions)

    async def versions(self) -> dict[int, tuple[int, int]]:
        """The request versions that one broker of the cluster serves."""
        trouble = Retriable("no broker is known")
        for node in self._likeliest_first():
            try:
                return await self._wire_to(node, Lane.QUESTIONS).versions()
            except Retriable as error:
                trouble = error
        raise trouble

    def close(self) -> None:
        for wire in (*self._wires.values(), *self._bootstrap):
            wire.close()
        self._wires.clear()

    def _likeliest_first(self) -> list[int]:
        return sorted(self._addresses, key=lambda node: node != self._answering)

    def _wire_to(self, node: int, lane: Lane) -> Wire:
        address = self._addresses.get(node)
        if address is None:
            raise Retriable(f"broker {node} is not known yet")
        wire = self._wires.get((node, lane))
        if wire is None or wire.where != address:
            wire = self._wires[(node, lane)] = self._wire(*address)
        return wire

    def _wire(self, host: str, port: int) -> Wire:
        return Wire(host, port, self.connection, self.client_id, self._request_timeout_ms)


def partition_index(partition: TopicPartition) -> i32:
    return i32(partition.partition)
