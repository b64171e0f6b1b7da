"""Messages written and read by hand: the same bytes as kio's, the same values as kio reads."""

from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kio.schema.end_txn.v5 import EndTxnRequest, EndTxnResponse
from kio.schema.errors import ErrorCode
from kio.schema.fetch.v12.request import FetchPartition, FetchRequest, FetchTopic, ForgottenTopic
from kio.schema.fetch.v12.response import (
    AbortedTransaction,
    EpochEndOffset,
    FetchableTopicResponse,
    FetchResponse,
    PartitionData,
)
from kio.schema.produce.v12 import ProduceResponse
from kio.schema.produce.v12.response import (
    BatchIndexAndErrorMessage,
    LeaderIdAndEpoch,
    NodeEndpoint,
    PartitionProduceResponse,
    TopicProduceResponse,
)
from kio.schema.response_header.v1.header import ResponseHeader
from kio.schema.txn_offset_commit.v5 import TxnOffsetCommitRequest, TxnOffsetCommitResponse
from kio.schema.txn_offset_commit.v5.request import TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic
from kio.schema.txn_offset_commit.v5.response import TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic
from kio.schema.types import BrokerId, GroupId, ProducerId, TopicName, TransactionalId
from kio.serial import entity_writer
from kio.static.constants import EntityType
from kio.static.primitive import Records, i8, i16, i32, i32Timedelta, i64

from services.kafka.codes import Code
from services.kafka.ending import CommitOffsets, End, Ended, Producer
from services.kafka.fetch_session import RequestData
from services.kafka.fetched import Aborted
from services.kafka.fetching import Answer, Bounds, Fetch, Part
from services.kafka.port import Assignment, TopicPartition
from services.kafka.producing import Produce, Result
from services.kafka.question import ByHand, ByKio, body_at, compact, read_compact, read_varint, varint

I16, I32, I64 = st.integers(-(2**15), 2**15 - 1), st.integers(-(2**31), 2**31 - 1), st.integers(-(2**63), 2**63 - 1)
NAMES = st.text("abc-.é", min_size=1, max_size=200)
SPOTS = st.builds(TopicPartition, NAMES, st.integers(0, 2**31 - 1))
CODES = st.sampled_from(sorted(ErrorCode))
MILLISECONDS = st.integers(0, 2**31 - 1)


def by_kio(entity: Any) -> bytes:
    written = BytesIO()
    entity_writer(type(entity))(written, entity)
    return written.getvalue()


def by_hand(question: ByHand[Any]) -> bytes:
    return b"".join(question.pieces())


def throttled(milliseconds: int) -> i32Timedelta:
    return i32Timedelta.parse(timedelta(milliseconds=milliseconds))


@given(st.integers(0, 2**40))
def test_a_varint_is_read_as_it_was_written(number: int) -> None:
    """However many bytes it takes, and wherever it stands."""
    assert read_varint(b"x" + varint(number) + b"y", 1) == (number, 1 + len(varint(number)))


@given(st.text(max_size=300))
def test_a_string_is_read_as_it_was_written(text: str) -> None:
    """Whatever is in it."""
    assert read_compact(b"x" + compact(text), 1) == (text, 1 + len(compact(text)))


@pytest.mark.parametrize("cut", [b"\0", b"\x05abc"])
def test_a_string_that_is_null_or_cut_short_is_refused(cut: bytes) -> None:
    """Neither is ever the name of a topic."""
    with pytest.raises(ValueError, match="null or longer"):
        read_compact(cut, 0)


@given(st.integers(0, 2**31 - 1))
def test_the_body_begins_behind_the_header(correlation_id: int) -> None:
    """Of either version; tags that nobody knows are not guessed at."""
    header = by_kio(ResponseHeader(correlation_id=i32(correlation_id)))
    assert body_at(b"size" + header, 4, is_flexible=True) == 9
    assert body_at(b"size" + header, 4, is_flexible=False) == 8
    with pytest.raises(KeyError, match="tag"):
        body_at(b"size" + header[:4] + b"\1\7\2ab", 4, is_flexible=True)


@given(NAMES, NAMES, NAMES, NAMES, I64, I16, I32, st.dictionaries(st.integers(0, 2**31 - 1), I64, max_size=200))
def test_offsets_are_committed_in_the_bytes_that_kio_would_write(
    named: str, group: str, topic: str, member: str, producer: int, epoch: int, generation: int, offsets: dict[int, int]
) -> None:
    """Whatever the names, and however many partitions."""
    assignment = Assignment(member, generation, frozenset(offsets))
    question = CommitOffsets(Producer(named, producer, epoch), group, topic, offsets, assignment)
    assert by_hand(question) == by_kio(
        TxnOffsetCommitRequest(
            transactional_id=TransactionalId(named),
            group_id=GroupId(group),
            producer_id=ProducerId(producer),
            producer_epoch=i16(epoch),
            generation_id=i32(generation),
            member_id=member,
            topics=(
                TxnOffsetCommitRequestTopic(
                    name=TopicName(topic),
                    partitions=tuple(
                        TxnOffsetCommitRequestPartition(
                            partition_index=i32(one), committed_offset=i64(offset), committed_metadata=""
                        )
                        for one, offset in offsets.items()
                    ),
                ),
            ),
        )
    )


NOBODY = Producer("", -1, -1)
NO_OFFSETS = CommitOffsets(NOBODY, "", "", {}, Assignment("", -1, frozenset()))


@given(MILLISECONDS, st.dictionaries(NAMES, st.lists(st.tuples(I32, CODES), max_size=5), max_size=3))
def test_codes_of_committed_offsets_are_read(waited: int, by_topic: dict[str, list[tuple[int, ErrorCode]]]) -> None:
    """Each that occurs; tags are left to kio, which knows of none here."""
    written = by_kio(
        TxnOffsetCommitResponse(
            throttle_time=throttled(waited),
            topics=tuple(
                TxnOffsetCommitResponseTopic(
                    name=TopicName(topic),
                    partitions=tuple(
                        TxnOffsetCommitResponsePartition(partition_index=i32(at), error_code=code)
                        for at, code in several
                    ),
                )
                for topic, several in by_topic.items()
            ),
        )
    )
    expected = {code for several in by_topic.values() for _, code in several}
    assert NO_OFFSETS.read(b"header" + written, 6) == expected
    with pytest.raises(KeyError, match="tag"):
        NO_OFFSETS.read(written[:-1] + b"\1\7\1x", 0)


@given(NAMES, I64, I16, st.booleans())
def test_an_end_is_the_bytes_that_kio_would_write(named: str, producer: int, epoch: int, committed: bool) -> None:
    """Of a commit and of an abort."""
    assert by_hand(End(Producer(named, producer, epoch), committed=committed)) == by_kio(
        EndTxnRequest(
            transactional_id=TransactionalId(named),
            producer_id=ProducerId(producer),
            producer_epoch=i16(epoch),
            committed=committed,
        )
    )


@given(MILLISECONDS, CODES, I64, I16)
def test_what_an_end_is_answered_is_read(waited: int, code: ErrorCode, producer: int, epoch: int) -> None:
    """Tags are left to kio, which knows of none here."""
    written = by_kio(
        EndTxnResponse(
            throttle_time=throttled(waited),
            error_code=code,
            producer_id=ProducerId(producer),
            producer_epoch=i16(epoch),
        )
    )
    question = End(NOBODY, committed=True)
    assert question.read(b"header" + written, 6) == Ended(code, producer, epoch)
    with pytest.raises(KeyError, match="tag"):
        question.read(written[:-1] + b"\1\7\1x", 0)


@given(
    st.builds(Bounds, MILLISECONDS, st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1), st.booleans()),
    st.builds(RequestData, I32, I32, st.dictionaries(SPOTS, I64, max_size=8), st.frozensets(SPOTS, max_size=4)),
)
def test_a_fetch_is_the_bytes_that_kio_would_write(bounds: Bounds, data: RequestData) -> None:
    """With what has moved and what is forgotten."""

    def topics(spots: Any) -> dict[str, list[TopicPartition]]:
        return {one.topic: [each for each in spots if each.topic == one.topic] for one in spots}

    assert by_hand(Fetch(data, bounds)) == by_kio(
        FetchRequest(
            max_wait=throttled(bounds.wait_ms),
            min_bytes=i32(1),
            max_bytes=i32(bounds.answer_bytes),
            isolation_level=i8(1 if bounds.committed else 0),
            session_id=i32(data.session_id),
            session_epoch=i32(data.epoch),
            topics=tuple(
                FetchTopic(
                    topic=TopicName(topic),
                    partitions=tuple(
                        FetchPartition(
                            partition=i32(one.partition),
                            fetch_offset=i64(data.positions[one]),
                            partition_max_bytes=i32(bounds.partition_bytes),
                        )
                        for one in several
                    ),
                )
                for topic, several in topics(data.positions).items()
            ),
            forgotten_topics_data=tuple(
                ForgottenTopic(topic=TopicName(topic), partitions=tuple(i32(one.partition) for one in several))
                for topic, several in topics(data.forgotten).items()
            ),
        )
    )


NOTHING = Fetch(RequestData(0, 0, {}, frozenset()), Bounds(0, 0, 0, committed=True))
FETCHED = st.builds(
    PartitionData,
    partition_index=I32.map(i32),
    error_code=CODES,
    high_watermark=I64.map(i64),
    last_stable_offset=I64.map(i64),
    log_start_offset=I64.map(i64),
    aborted_transactions=st.none()
    | st.lists(
        st.builds(AbortedTransaction, producer_id=I64.map(ProducerId), first_offset=I64.map(i64)), max_size=3
    ).map(tuple),
    preferred_read_replica=I32.map(BrokerId),
    records=st.none() | (st.binary(max_size=300) | st.integers(1, 40_000).map(bytes)).map(Records),
    diverging_epoch=st.just(EpochEndOffset()) | st.just(EpochEndOffset(epoch=i32(3), end_offset=i64(7))),
)


@given(MILLISECONDS, CODES, I32, st.dictionaries(NAMES, st.lists(FETCHED, max_size=4), max_size=3))
def test_what_was_fetched_is_read(
    waited: int, code: ErrorCode, session: int, by_topic: dict[str, list[PartitionData]]
) -> None:
    """Errors, aborted transactions and records of each partition; by kio where there are tags."""
    written = by_kio(
        FetchResponse(
            throttle_time=throttled(waited),
            error_code=code,
            session_id=i32(session),
            responses=tuple(
                FetchableTopicResponse(topic=TopicName(topic), partitions=tuple(several))
                for topic, several in by_topic.items()
            ),
        )
    )
    parts = [
        Part(
            TopicPartition(topic, int(one.partition_index)),
            one.error_code,
            [Aborted(int(each.first_offset), int(each.producer_id)) for each in one.aborted_transactions or ()],
            one.records,
        )
        for topic, several in by_topic.items()
        for one in several
    ]
    assert NOTHING.read(b"header" + written, 6) == Answer(code, session, parts)


PRODUCED = st.builds(
    PartitionProduceResponse,
    index=I32.map(i32),
    error_code=CODES,
    base_offset=I64.map(i64),
    log_start_offset=I64.map(i64),
    record_errors=st.just(())
    | st.just((BatchIndexAndErrorMessage(batch_index=i32(1), batch_index_error_message="why"),)),
    error_message=st.none() | NAMES,
    current_leader=st.just(LeaderIdAndEpoch()) | st.just(LeaderIdAndEpoch(leader_id=BrokerId(2), leader_epoch=i32(5))),
)
ENDPOINTS = st.just(()) | st.just((NodeEndpoint(node_id=BrokerId(2), host="there", port=i32(9092)),))


@given(MILLISECONDS, st.dictionaries(NAMES, st.lists(PRODUCED, max_size=4), max_size=3), ENDPOINTS)
def test_what_became_of_each_batch_is_read(
    waited: int, by_topic: dict[str, list[PartitionProduceResponse]], endpoints: tuple[NodeEndpoint, ...]
) -> None:
    """By kio where there is more to it than an offset."""
    written = by_kio(
        ProduceResponse(
            responses=tuple(
                TopicProduceResponse(name=TopicName(topic), partition_responses=tuple(several))
                for topic, several in by_topic.items()
            ),
            throttle_time=throttled(waited),
            node_endpoints=endpoints,
        )
    )
    expected = [
        Result(TopicPartition(topic, int(one.index)), one.error_code, int(one.base_offset))
        for topic, several in by_topic.items()
        for one in several
    ]
    assert Produce(None, 0, {}).read(b"header" + written, 6) == expected


@pytest.mark.parametrize(
    ("question", "response"),
    [
        (NO_OFFSETS, TxnOffsetCommitResponse),
        (NOTHING, FetchResponse),
        (End(NOBODY, committed=True), EndTxnResponse),
        (Produce(None, 0, {}), ProduceResponse),
    ],
)
def test_headers_are_those_of_kio(question: ByHand[Any], response: type[Any]) -> None:
    """Number, version, and which headers go with it."""
    request = question.kio
    assert request.__type__ is EntityType.request
    assert (question.api_key, question.version) == (request.__api_key__, request.__version__)
    assert (response.__api_key__, response.__version__) == (request.__api_key__, request.__version__)
    assert question.is_flexible == request.__flexible__
    assert question.is_answer_flexible == (response.__header_schema__ is ResponseHeader)
    assert repr(question) == request.__name__


def test_kio_speaks_where_nothing_is_written_by_hand() -> None:
    """Any request that it knows."""
    request = EndTxnRequest(
        transactional_id=TransactionalId("one"), producer_id=ProducerId(1), producer_epoch=i16(2), committed=True
    )
    question = ByKio[EndTxnResponse](request, EndTxnResponse)
    answer = EndTxnResponse(throttle_time=throttled(0), error_code=Code.none)
    assert b"".join(question.pieces()) == by_kio(request)
    assert question.read(b"header" + by_kio(answer), 6) == answer
    assert (question.api_key, question.version, question.is_flexible) == (26, 5, True)
    assert repr(question) == "EndTxnRequest"
