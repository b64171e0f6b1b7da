"""One POST against a log that answers, refuses, is silent or leaves it open: what a client is told."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import orjson
import pytest

from events.replies import Reply
from services.gateway.admission import Admission
from services.gateway.answers import Answer, Problem
from services.gateway.metrics import Metrics
from services.gateway.posting import InFlight, Posting, Request
from services.gateway.replies import A_TURN, ReplyDesk
from services.kafka.errors import Indefinite, KafkaFailure, NotSent, Retriable
from services.kafka.port import Outgoing

NOW_MS = 1_790_000_000_000
CREATE = Request("acme", "charge.create", "k1", {"amount": 1})


class Written:
    """A record as read back."""

    offset, timestamp = 0, NOW_MS

    def __init__(self, key: bytes, value: bytes, reply_to: bytes) -> None:
        self.key, self.value, self.headers = key, value, [("traceparent", b"x"), ("reply_to", reply_to)]


class Line:
    """The line to the log: what is sent is kept, and `outcome` says what becomes of it."""

    def __init__(self, outcome: Callable[[], Awaitable[None]] | None = None) -> None:
        self.sent: list[Outgoing] = []
        self.outcome = outcome

    async def send(self, record: Outgoing) -> None:
        self.sent.append(record)
        if self.outcome is not None:
            await self.outcome()


def posting(
    line: Line,
    desk: ReplyDesk,
    *,
    timeout_ms: int = 2_000,
    in_flight: InFlight = "wait",
    waiting_max: int = 10,
) -> Posting:
    return Posting(
        line,
        desk,
        Metrics(),
        answer_timeout_ms=timeout_ms,
        in_flight=in_flight,
        admission=Admission(waiting_max),
        clock_ms=lambda: NOW_MS,
    )


def reply(line: Line, index: int = -1, *, status: int = 201, replayed: bool = False, to: bytes = b"g1") -> Written:
    command = orjson.loads(line.sent[index].value or b"")
    value = Reply(
        command_id=command["command_id"],
        merchant_id=command["merchant_id"],
        idempotency_key=command["idempotency_key"],
        status=status,
        replayed=replayed,
        body='{"ü":1}',
    )
    return Written(command["command_id"].encode(), value.model_dump_json().encode(), to)


async def sent(line: Line, count: int) -> None:
    for _ in range(1000):
        if len(line.sent) >= count:
            return
        await asyncio.sleep(0)
    raise AssertionError(f"{len(line.sent)} of {count} commands were sent")


async def refused(awaitable: Awaitable[Answer]) -> Answer:
    with pytest.raises(Problem) as caught:
        await awaitable
    return caught.value.answer()


async def test_a_reply_is_passed_on_byte_for_byte() -> None:
    """Status and body are the log's; a replay is marked."""
    line, desk = Line(), ReplyDesk("g1")
    ours = posting(line, desk)
    asking = asyncio.create_task(ours.answer(CREATE))
    await sent(line, 1)
    desk.deliver([reply(line, replayed=True)])
    answer = await asking
    assert answer == Answer(201, '{"ü":1}'.encode(), b"application/json", ((b"idempotent-replayed", b"true"),))
    assert len(desk) == 0


async def test_a_command_has_exactly_the_contracts_members() -> None:
    """Envelope, instants, headers, record key."""
    line, desk = Line(), ReplyDesk("g1")
    request = Request("acme", "charge.void", None, {"charge_id": "ch"}, b"00-trace")
    asking = asyncio.create_task(posting(line, desk).answer(request))
    await sent(line, 1)
    desk.deliver([reply(line, status=409)])
    assert (await asking).content_type == b"application/problem+json"
    record = line.sent[0]
    command = orjson.loads(record.value or b"")
    assert command == {
        "command_id": command["command_id"],
        "type": "charge.void",
        "merchant_id": "acme",
        "idempotency_key": None,
        "issued_at": NOW_MS,
        "deadline_at": NOW_MS + 62_000,
        "payload": {"charge_id": "ch"},
    }
    assert record.key == b"acme"
    assert list(record.headers) == [("reply_to", b"g1"), ("traceparent", b"00-trace")]


async def test_replies_to_others_and_unreadable_ones_answer_nobody() -> None:
    """Another gateway's header, a reply nobody waits for, a broken value."""
    line, desk = Line(), ReplyDesk("g1")
    asking = asyncio.create_task(posting(line, desk, timeout_ms=30).answer(CREATE))
    await sent(line, 1)
    ours = reply(line)
    desk.deliver(
        [
            reply(line, to=b"g2"),
            Written(b"other", ours.value, b"g1"),
            Written(ours.key, b"{", b"g1"),
            Written(ours.key, b"", b"g1"),
        ]
    )
    assert (await refused(asking)).status == 504


async def test_silence_is_504() -> None:
    """The outcome is unknown, and a retry with the same key finds it out."""
    answer = await refused(posting(Line(), ReplyDesk("g1"), timeout_ms=20).answer(CREATE))
    assert answer.status == 504
    assert (b"retry-after", b"1") in answer.headers


async def test_what_was_certainly_not_sent_is_503() -> None:
    """And only that."""

    async def fail() -> None:
        raise NotSent("no leader")

    desk = ReplyDesk("g1")
    answer = await refused(posting(Line(fail), desk).answer(CREATE))
    assert answer.status == 503
    assert (b"retry-after", b"1") in answer.headers
    assert len(desk) == 0


@pytest.mark.parametrize("error", [Indefinite("no answer"), Retriable("who knows")])
async def test_what_may_have_been_sent_is_never_503(error: KafkaFailure) -> None:
    """Its reply is waited for, and answers."""

    async def fail() -> None:
        raise error

    line, desk = Line(fail), ReplyDesk("g1")
    asking = asyncio.create_task(posting(line, desk).answer(CREATE))
    await sent(line, 1)
    desk.deliver([reply(line)])
    assert (await asking).status == 201
    assert (await refused(posting(line, desk, timeout_ms=20).answer(CREATE))).status == 504


async def test_a_send_that_hangs_is_504_in_time() -> None:
    """A broker that is away bounds nothing by itself."""

    async def hang() -> None:
        await asyncio.get_running_loop().create_future()

    assert (await refused(posting(Line(hang), ReplyDesk("g1"), timeout_ms=20).answer(CREATE))).status == 504


async def test_waiting_requests_are_bounded() -> None:
    """One more is refused with 503 and nothing is sent."""
    line, desk = Line(), ReplyDesk("g1")
    ours = posting(line, desk, waiting_max=1)
    asking = asyncio.create_task(ours.answer(CREATE))
    await sent(line, 1)
    assert (await refused(ours.answer(CREATE))).status == 503
    assert len(line.sent) == 1
    desk.deliver([reply(line)])
    assert (await asking).status == 201


async def test_by_default_a_duplicate_in_flight_is_another_command() -> None:
    """The log decides which of them is executed."""
    line, desk = Line(), ReplyDesk("g1")
    ours = posting(line, desk)
    both = [asyncio.create_task(ours.answer(CREATE)) for _ in range(2)]
    await sent(line, 2)
    desk.deliver([reply(line, 0), reply(line, 1, replayed=True)])
    assert [bool((await asking).headers) for asking in both] == [False, True]


async def test_in_conflict_mode_a_duplicate_in_flight_is_409() -> None:
    """Until the first is answered; another request, merchant or key is none of its business."""
    line, desk = Line(), ReplyDesk("g1")
    ours = posting(line, desk, in_flight="conflict")
    first = asyncio.create_task(ours.answer(CREATE))
    await sent(line, 1)
    answer = await refused(ours.answer(CREATE))
    assert answer.status == 409
    assert orjson.loads(answer.body)["code"] == "idempotency_key_in_flight"
    assert (b"retry-after", b"1") in answer.headers
    others = [
        Request("acme", "charge.create", "k1", {"amount": 2}),
        Request("acme", "charge.create", "k2", {"amount": 1}),
        Request("globex", "charge.create", "k1", {"amount": 1}),
        Request("acme", "charge.create", None, {"amount": 1}),
        Request("acme", "charge.create", None, {"amount": 1}),
    ]
    asking = [asyncio.create_task(ours.answer(other)) for other in others]
    await sent(line, 6)
    desk.deliver([reply(line, index) for index in range(6)])
    assert [(await each).status for each in [first, *asking]] == [201] * 6
    again = asyncio.create_task(ours.answer(CREATE))
    await sent(line, 7)
    desk.deliver([reply(line, replayed=True)])
    assert (await again).status == 201


async def test_a_command_beyond_64_kib_is_413() -> None:
    """Measured as it would be sent; nothing is."""
    line = Line()
    request = Request("acme", "charge.void", "k", {"charge_id": "x" * 65_536})
    assert (await refused(posting(line, ReplyDesk("g1")).answer(request))).status == 413
    assert line.sent == []


async def test_a_stopping_gateway_tells_who_waits() -> None:
    """504, at once: the commands are on the log and will be decided."""
    line, desk = Line(), ReplyDesk("g1")
    asking = asyncio.create_task(posting(line, desk).answer(CREATE))
    await sent(line, 1)
    desk.give_up()
    assert (await refused(asking)).status == 504


async def test_a_thousand_answers_leave_room_for_others() -> None:
    """Between a slice of them and the next, the loop gets round to whatever else is ready; none is left out."""
    line, desk = Line(), ReplyDesk("g1")
    many = 3 * A_TURN + 1
    ours = posting(line, desk, waiting_max=many)
    asking = [asyncio.create_task(ours.answer(CREATE)) for _ in range(many)]
    await sent(line, many)
    waiting: list[int] = []
    others = asyncio.create_task(look_every_turn(desk, waiting))
    await desk.deliver_in_turns([reply(line, index) for index in range(many)])
    await asyncio.gather(*asking)
    others.cancel()
    steps = [before - after for before, after in itertools.pairwise([many, *waiting])]
    assert max(steps) <= A_TURN
    assert len(desk) == 0


async def look_every_turn(desk: ReplyDesk, waiting: list[int]) -> None:
    while True:
        waiting.append(len(desk))
        await asyncio.sleep(0)
