"""One question about many partitions, asked of whichever brokers lead them.

In:      partitions; how to ask for some of them, how to read an answer.
Out:     what was answered, by partition.
Errors:  Retriable when a partition stays unanswered; whatever a code that is neither accepted nor retriable means.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TypeVar

from kio.static.protocol import RequestPayload, ResponsePayload

from services.kafka.cluster import ASKING_MS, Cluster, Lane
from services.kafka.codes import Code, Kind, Request, failure, kind
from services.kafka.errors import Indefinite, Retriable
from services.kafka.patience import ask_again
from services.kafka.port import TopicPartition

R = TypeVar("R", bound=ResponsePayload)
T = TypeVar("T")

_GOOD = frozenset((Code.none,))


async def ask_leaders(
    cluster: Cluster,
    partitions: Iterable[TopicPartition],
    question: Callable[[Sequence[TopicPartition]], RequestPayload],
    response_type: type[R],
    answers: Callable[[R], Iterable[tuple[TopicPartition, Code, T]]],
    *,
    about: str,
    accepted: Collection[Code] = _GOOD,
) -> dict[TopicPartition, T]:
    """Until every leader has answered, each partition asked again alone where its answer was "not now"."""
    missing = list(dict.fromkeys(partitions))
    found: dict[TopicPartition, T] = {}

    async def ask() -> None:
        trouble: Retriable | Indefinite | None = None
        for leader, led in (await cluster.leaders(missing)).items():
            try:
                answer = await cluster.call(leader, Lane.QUESTIONS, question(led), response_type)
            except (Retriable, Indefinite) as error:
                cluster.forget_leaders(led)
                trouble = error
                continue
            for where, code, value in answers(answer):
                if code in accepted:
                    found[where] = value
                    missing.remove(where)
                    continue
                refusal = failure(code, Request.OTHER, f"{about} of {where.topic} {where.partition}")
                if kind(code) is not Kind.RETRIABLE:
                    raise refusal
                cluster.forget_leaders((where,))
                assert isinstance(refusal, Retriable)
                trouble = refusal
        if trouble is not None:
            raise trouble

    await ask_again(ask, ASKING_MS, about)
    return found


def by_topic(partitions: Iterable[TopicPartition]) -> dict[str, list[TopicPartition]]:
    """As Kafka's requests want them."""
    sorted_out: dict[str, list[TopicPartition]] = {}
    for one in partitions:
        sorted_out.setdefault(one.topic, []).append(one)
    return sorted_out
