"""The table of Kafka's error numbers: every one is in it, and where the request changes the answer it says so."""

import pytest
from kio.schema.errors import ErrorCode

from services.kafka.codes import IN_CONTEXT, KINDS, Kind, Request, failure, kind
from services.kafka.errors import (
    Abortable,
    Fatal,
    Fenced,
    Indefinite,
    KafkaFailure,
    NotMember,
    OffsetOutOfRange,
    Retriable,
    StaleGeneration,
)


def test_every_code_is_sorted() -> None:
    """A number that kio knows and the table does not would be an answer nobody knows what to do with."""
    assert set(KINDS) == set(ErrorCode)
    assert set(IN_CONTEXT) == set(Request)


def test_only_success_is_no_error() -> None:
    """No error number means that all is well."""
    assert [code for code, sort in KINDS.items() if sort is Kind.NONE] == [ErrorCode.none]


@pytest.mark.parametrize("request_kind", list(Request))
def test_every_refusal_has_an_exception(request_kind: Request) -> None:
    """For every request and number there is one exception, which carries the number and names both."""
    for code in ErrorCode:
        if code != ErrorCode.none:
            error = failure(code, request_kind, "something")
            assert error.code == int(code)
            assert type(error) is not KafkaFailure
            assert request_kind.value in str(error)
            assert code.name in str(error)


def test_what_kafka_calls_retriable_is_never_fatal() -> None:
    """Kafka's own word that a request may be sent again is never turned into giving up."""
    given_up = [code for code in ErrorCode if code.retriable and KINDS[code] not in (Kind.RETRIABLE, Kind.INDEFINITE)]
    assert given_up == []


@pytest.mark.parametrize(
    ("code", "request_kind", "expected"),
    [
        (90, Request.INIT_PRODUCER_ID, Fenced),  # asked with the old id: the one proof of a successor
        (47, Request.INIT_PRODUCER_ID, Fenced),
        (47, Request.PRODUCE, Abortable),  # a transaction that timed out, or a successor: recovery asks
        (90, Request.PRODUCE, Abortable),
        (90, Request.TXN_OFFSET_COMMIT, Abortable),
        (90, Request.END_TXN, Abortable),
        (48, Request.END_TXN, Abortable),
        (52, Request.END_TXN, Indefinite),
        (-1, Request.END_TXN, Indefinite),
        (51, Request.END_TXN, Retriable),
        (51, Request.PRODUCE, Retriable),
        (7, Request.PRODUCE, Retriable),  # sent again unchanged, its sequence numbers make it one
        (7, Request.OTHER, Indefinite),
        (46, Request.PRODUCE, Indefinite),
        (10, Request.PRODUCE, Fatal),
        (22, Request.TXN_OFFSET_COMMIT, StaleGeneration),
        (27, Request.TXN_OFFSET_COMMIT, StaleGeneration),
        (27, Request.OTHER, Retriable),
        (25, Request.TXN_OFFSET_COMMIT, NotMember),
        (25, Request.OFFSET_COMMIT, NotMember),
        (1, Request.OTHER, OffsetOutOfRange),
        (88, Request.OTHER, Retriable),
        (29, Request.PRODUCE, Fatal),
        (53, Request.INIT_PRODUCER_ID, Fatal),
    ],
)
def test_the_numbers_that_matter(code: int, request_kind: Request, expected: type[KafkaFailure]) -> None:
    """What a transaction may be answered leads to the one thing that is safe to do next."""
    assert type(failure(ErrorCode(code), request_kind, "something")) is expected


def test_the_kind_and_the_exception_agree() -> None:
    """The base exception cannot be raised, so that nobody is left without knowing what to do."""
    assert kind(ErrorCode.none) is Kind.NONE
    with pytest.raises(TypeError):
        KafkaFailure("neither this nor that")
