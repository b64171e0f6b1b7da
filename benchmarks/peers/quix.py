"""The processor's work as a quixstreams application under exactly-once; runs in an environment of its own.

In:      --bootstrap, --namespace, --partitions, --state-dir, --commit-interval-ms, --checkout.
Out:     one line `ready`; key records in its store and changelog, charge events, replies, dead letters.
Source:  quixstreams 3.28, `docs/advanced/stateful-processing`; docs/peers.md says why it is set so.

Each command is decoded and each record is written by the product's own pure functions: what differs is the library.
State is prefixed with the message key, the merchant, so that `merchant/key` is what the store is asked for.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from quixstreams import Application, State, message_context
from quixstreams.models import Serializer, Topic


class Answer(NamedTuple):
    """One record to append."""

    topic: Topic
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class Bytes(Serializer):
    """What is appended is bytes already."""

    def __call__(self, value: Answer, ctx: Any) -> bytes | None:
        return value.value


class Assigned(Application):
    """Says `ready` once its partitions and their stores are there."""

    _is_ready = False

    def _assign_partitions(self, topic_partitions: list[Any]) -> None:
        super()._assign_partitions(topic_partitions)
        if not self._is_ready:
            self._is_ready = True
            sys.stdout.write("ready\n")
            sys.stdout.flush()


def application(options: argparse.Namespace) -> Application:
    app = Assigned(
        options.bootstrap,
        consumer_group=f"{options.namespace}.processor",
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        commit_interval=options.commit_interval_ms / 1000,
        state_dir=options.state_dir,
        producer_extra_config={"linger.ms": 20, "batch.size": 1_000_000, "queue.buffering.max.messages": 1_000_000},
        consumer_extra_config={"queued.min.messages": 100_000},
        loglevel="WARNING",
    )
    commands = app.topic(f"{options.namespace}.commands", value_deserializer="bytes")
    charges, replies, dead_letters = (
        app.topic(f"{options.namespace}.{name}", value_serializer=Bytes())
        for name in ("charges", "replies", "dead-letters")
    )
    answers = app.dataframe(commands).apply(
        charging(options.namespace, options.partitions, charges, replies, dead_letters),
        stateful=True,
        metadata=True,
        expand=True,
    )
    answers = answers.set_headers(lambda answer, key, timestamp, headers: answer.headers)
    answers.to_topic(lambda answer, key, timestamp, headers: answer.topic, key=lambda answer: answer.key)
    return app


Work = Callable[[bytes, bytes, int, Any, State], list[Answer]]


def charging(namespace: str, partitions: int, charges: Topic, replies: Topic, dead_letters: Topic) -> Work:
    """What one command comes to."""
    import orjson  # noqa: PLC0415  after --checkout is on the path

    from events.canonical import canonical  # noqa: PLC0415
    from events.codec import INVALID_COMMAND, ReceivedCommand, Rejected, decode_command  # noqa: PLC0415
    from events.codes import CODES, DECLINES, problem_body  # noqa: PLC0415
    from events.guarantees import Guarantee  # noqa: PLC0415
    from events.identifiers import charge_id, event_id  # noqa: PLC0415
    from services.processor.domain import writing  # noqa: PLC0415
    from services.processor.domain.payment import created, decide  # noqa: PLC0415
    from services.processor.domain.rules import Rules  # noqa: PLC0415

    clocks: dict[int, int] = {}
    rules = [Rules(namespace, number, partitions, 86_400_000, Guarantee.EXACTLY_ONCE) for number in range(partitions)]

    class AsRead(NamedTuple):
        offset: int
        key: bytes | None
        value: bytes | None

    def reply(command: ReceivedCommand | Rejected, status: int, body: str, *, replayed: bool = False) -> Answer:
        sent = writing.reply(
            command.command_id or "",
            command.merchant_id,
            command.idempotency_key,
            command.headers,
            status,
            body,
            replayed,
        )
        return Answer(replies, *sent)

    def refusal(command: ReceivedCommand | Rejected, code: str, detail: str | None = None) -> Answer:
        return reply(command, CODES[code].status, problem_body(code, detail))

    def execute(command: ReceivedCommand, rule: Rules, clock: int, state: State) -> list[Answer]:
        fact = decide(None, command.type, command.payload)
        assert not isinstance(fact, str), "making a charge is never refused"
        event, charge = (
            event_id(command.merchant_id, command.command_id),
            charge_id(command.merchant_id, command.command_id),
        )
        made = created(charge, command.merchant_id, command.payload, fact, clock)
        text = canonical(made)
        body = text.decode()
        if fact.decline_code is not None:
            detail = DECLINES[fact.decline_code]
            body = problem_body("card_declined", detail, decline_code=fact.decline_code, charge_id=charge)
        status = fact.kind.answer_status
        value = writing.event_value(command, event, fact, made, text, None, 1, clock)
        headers = writing.event_headers(rule, command, event, fact, clock)
        state.set_bytes(_name(command), writing.key_value(rule, command, clock, status, body, event, charge))
        return [Answer(charges, charge.encode(), value, headers), reply(command, status, body)]

    def work(value: bytes, key: bytes, timestamp: int, headers: Any, state: State) -> list[Answer]:
        context = message_context()
        partition, offset = context.partition, context.offset
        clock = clocks[partition] = max(clocks.get(partition, -1), timestamp)
        rule = rules[partition]
        command = decode_command(offset, timestamp, key, value, headers or (), partition, partitions)
        if isinstance(command, Rejected):
            dead = Answer(dead_letters, *writing.dead_letter(rule, AsRead(offset, key, value), command.reason))
            answered = command.command_id is not None
            return [dead, refusal(command, command.code, command.detail)] if answered else [dead]
        if command.type != "charge.create":
            return [Answer(dead_letters, *writing.dead_letter(rule, AsRead(offset, key, value), INVALID_COMMAND))]
        known = state.get_bytes(_name(command))
        if known is not None:
            first = orjson.loads(known)
            if clock < first["expires_at"]:
                if first["fingerprint"] != command.fingerprint:
                    return [refusal(command, "idempotency_key_reused")]
                replayed = first["command_id"] != command.command_id
                return [reply(command, first["status"], first["body"], replayed=replayed)]
        if clock > command.deadline_at:
            return [refusal(command, "command_expired")]
        return execute(command, rule, clock, state)

    return work


def _name(command: Any) -> str:
    return command.idempotency_key if command.idempotency_key is not None else f"@command/{command.command_id}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--partitions", type=int, required=True)
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--commit-interval-ms", type=int, required=True)
    parser.add_argument("--checkout", required=True, help="Where the product's own rooms are.")
    options = parser.parse_args()
    sys.path[0] = options.checkout  # instead of this folder, where a module is called as the library's own are
    application(options).run()


if __name__ == "__main__":
    main()
