"""Topics made as the contract wants them, wrong ones refused, brokers too old refused.

In:      a namespace and its number of partitions.
Out:     nothing; afterwards every topic is there, with a leader for each partition.
Errors:  Unfit, one sentence each; Retriable when the cluster does not get ready in time.
Source:  CONTRACT, "The log"; events.topics.
"""

from datetime import timedelta
from typing import Final

import structlog
from kio.schema.api_versions.v4 import ApiVersionsRequest, ApiVersionsResponse
from kio.schema.create_topics.v7 import CreateTopicsRequest, CreateTopicsResponse
from kio.schema.create_topics.v7.request import CreatableTopic, CreatableTopicConfig
from kio.schema.describe_configs.v4 import DescribeConfigsRequest, DescribeConfigsResponse
from kio.schema.describe_configs.v4.request import DescribeConfigsResource
from kio.schema.types import TopicName
from kio.static.primitive import i8, i16, i32, i32Timedelta

from events.topics import TOPICS, Topic, topic_name
from services.kafka.cluster import ASKING_MS, Cluster
from services.kafka.codes import Code, Request, failure
from services.kafka.errors import Retriable, Unfit
from services.kafka.patience import ask_again

log = structlog.get_logger(__name__)

_TOPIC_RESOURCE: Final = i8(2)
_API_VERSIONS: Final = 18
_END_TXN: Final = 26
_END_TXN_NEEDED: Final = 5
_CREATING: Final = i32Timedelta.parse(timedelta(seconds=10))
_OF_THE_CLUSTER: Final = i16(-1)  # default.replication.factor


async def ensure_topics(cluster: Cluster, namespace: str, partitions: int) -> None:
    """Create what is missing; refuse another number of partitions and settings that break the contract."""
    names = {topic_name(namespace, key): topic for key, topic in TOPICS.items()}
    found = await _partition_counts(cluster, list(names))
    missing = {name: topic for name, topic in names.items() if found[name] is None}
    if missing:
        await _create(cluster, missing, partitions)
        log.info("topics_created", topics=sorted(missing), partitions=partitions)
    await _await_leaders(cluster, list(names), partitions)
    await _check_settings(cluster, names)


async def require_transactions(cluster: Cluster) -> None:
    """Refuse a cluster without transaction.version 2: its late requests could end the wrong transaction."""
    too_old = f"Kafka at {cluster.connection.bootstrap} is too old: exactly-once needs transaction.version 2 (4.0)"

    async def ask() -> ApiVersionsResponse | None:
        served = await cluster.versions()
        if served.get(_API_VERSIONS, (0, 0))[1] < 4 or served.get(_END_TXN, (0, 0))[1] < _END_TXN_NEEDED:
            return None
        request = ApiVersionsRequest(client_software_name="payonce", client_software_version="1")
        return await cluster.ask(request, ApiVersionsResponse)

    answer = await ask_again(ask, ASKING_MS, "the features of the cluster")
    if answer is None:
        raise Unfit(f"{too_old}.")
    features = {feature.name: int(feature.max_version_level) for feature in answer.finalized_features}
    level = features.get("transaction.version", 0)
    if level < 2:
        raise Unfit(f"{too_old}, and this one is set to transaction.version {level} (kafka-features.sh upgrades it).")


async def _partition_counts(cluster: Cluster, names: list[str]) -> dict[str, int | None]:
    async def ask() -> dict[str, int | None]:
        counts: dict[str, int | None] = {}
        for name, topic in (await cluster.describe(names)).items():
            if topic.error_code == Code.unknown_topic_or_partition:
                counts[name] = None
            elif topic.error_code in (Code.none, Code.leader_not_available):
                counts[name] = len(topic.partitions)
            else:
                raise failure(topic.error_code, Request.OTHER, f"topic {name}")
        return counts

    return await ask_again(ask, ASKING_MS, "the topics")


async def _create(cluster: Cluster, missing: dict[str, Topic], partitions: int) -> None:
    request = CreateTopicsRequest(
        topics=tuple(
            CreatableTopic(
                name=TopicName(name),
                num_partitions=i32(partitions),
                replication_factor=_OF_THE_CLUSTER,
                assignments=(),
                configs=tuple(
                    CreatableTopicConfig(name=setting, value=value) for setting, value in topic.created_with.items()
                ),
            )
            for name, topic in missing.items()
        ),
        timeout=_CREATING,
    )

    async def ask() -> None:
        answer = await cluster.ask(request, CreateTopicsResponse)
        for topic in answer.topics:
            # Another service may have been quicker; whether its topic is right is looked at next.
            if topic.error_code not in (Code.none, Code.topic_already_exists):
                raise failure(topic.error_code, Request.OTHER, f"topic {topic.name} ({topic.error_message})")

    await ask_again(ask, ASKING_MS, "the creation of the topics")


async def _await_leaders(cluster: Cluster, names: list[str], partitions: int) -> None:
    async def ask() -> None:
        for name, topic in (await cluster.describe(names)).items():
            if topic.error_code != Code.none:
                raise failure(topic.error_code, Request.OTHER, f"topic {name}")
            if len(topic.partitions) != partitions:
                raise Unfit(
                    f"Topic {name} has {len(topic.partitions)} partitions and not {partitions}:"
                    f" a namespace keeps the number it was created with."
                )
            if any(int(one.leader_id) < 0 for one in topic.partitions):
                raise Retriable(f"a partition of {name} has no leader")

    await ask_again(ask, ASKING_MS, "the leaders of the topics")


async def _check_settings(cluster: Cluster, names: dict[str, Topic]) -> None:
    request = DescribeConfigsRequest(
        resources=tuple(
            DescribeConfigsResource(
                resource_type=_TOPIC_RESOURCE, resource_name=name, configuration_keys=tuple(topic.required)
            )
            for name, topic in names.items()
        )
    )

    async def ask() -> dict[str, dict[str, str | None]]:
        answer = await cluster.ask(request, DescribeConfigsResponse)
        for result in answer.results:
            if result.error_code != Code.none:
                raise failure(result.error_code, Request.OTHER, f"the settings of {result.resource_name}")
        return {result.resource_name: {one.name: one.value for one in result.configs} for result in answer.results}

    found = await ask_again(ask, ASKING_MS, "the settings of the topics")
    for name, topic in names.items():
        for setting, wanted in topic.required.items():
            if found[name].get(setting) != wanted:
                raise Unfit(
                    f"Topic {name} has {setting}={found[name].get(setting)} and needs {wanted}:"
                    f" set it with kafka-configs.sh or choose another namespace."
                )
