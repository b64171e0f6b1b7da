"""The peers of the benchmark do the processor's work: the same commands give the same records."""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from benchmarks.peers import PEERS, Kind, NoJdk, Peer, command, java, prepare
from events.connection import connection
from events.partitioner import partition_of
from events.topics import topic_name
from services.kafka.kafka_log import KafkaLog
from services.kafka.port import Outgoing, TopicPartition
from simulator.broker.embedded import EmbeddedBroker
from simulator.broker.protocol import silent
from simulator.log_watch import LogWatch
from tests.support.commands import command as asked
from tests.support.commands import merchant_of, new_command_id
from tests.support.peer_runs import Made, committed, made, running, stops_cleanly
from tests.support.wait import wait_until

PARTITIONS = 2
NAMED = {peer.name: peer for peer in PEERS}
HEADERS = [("reply_to", b"gateway-1"), ("traceparent", b"00-1-2-03"), ("noise", b"n")]
OURS = f"ours{os.getpid()}"


def every_kind_of_command() -> list[Outgoing]:
    """Fresh ones, replays, another request under a used key, declines, holds, odd texts, and what is no command."""
    sent: list[Outgoing] = []
    for number in range(12):
        merchant = merchant_of(number % PARTITIONS, PARTITIONS)
        sent.append(asked(merchant, f"k{number}", amount=100 + number, metadata={"z": "1", "a": "2"}))
        sent.append(asked(merchant, f"k{number}", amount=100 + number, metadata={"a": "2", "z": "1"}))
    shop = merchant_of(0, PARTITIONS)
    text = 'quote " slash / back \\ tab \t bell \x07 ä 漢 𝄞'
    sent += [
        asked(shop, "k0", amount=101),  # another request
        asked(shop, "k0", amount=100, metadata={"z": "1", "a": "2"}, capture=True),  # an explicit default differs
        asked(shop, "k0", amount=100, metadata={"z": "1", "a": "2"}),
        asked(shop, "held", capture=False),
        asked(shop, "text", description=text, metadata={"ﬀ": text, "𝄞": "\u2028", "": "", "a" * 40: "x"}),
        asked(shop, "text", description=text, metadata={"𝄞": "\u2028", "": "", "ﬀ": text, "a" * 40: "x"}),
        asked(shop, "null", capture=None, description=None, metadata=None),
        asked(shop, "null"),
        asked(shop, "empty", metadata={}),
        asked(shop, 'key "with" \\ and ~'),
        asked(shop, None),
        asked(shop, None),
        asked(shop, "late", deadline_at=1),
        asked(shop, "most", amount=999_999_999_999),
    ]
    cards = "declined insufficient_funds expired incorrect_cvc processing_error"
    for card in cards.split():
        sent += [asked(shop, card, payment_method=f"pm_card_{card}") for _ in range(2)]
    again = asked(shop, "again", command_id=new_command_id())
    sent += [again, Outgoing(again.key, again.value, HEADERS)]  # the same attempt twice is no replay
    sent += [asked(shop, "wrong", **wrong) for wrong in WRONG_PAYLOADS]
    sent += [
        Outgoing(shop.encode(), b"poison"),
        Outgoing(shop.encode(), b"[]"),
        Outgoing(shop.encode(), b"\xff{}"),
        Outgoing(shop.encode(), orjson.dumps({"merchant_id": shop, "command_id": "not one"})),
        Outgoing(shop.encode(), asked("somebody_else", "k1").value),
        Outgoing(shop.encode(), asked(shop, "twice").value.replace(b'"amount":500', b'"amount":500,"amount":500')),
        Outgoing(shop.encode(), asked(shop, "no-key").value.replace(b'"idempotency_key":"no-key",', b"")),
    ]
    return [Outgoing(one.key, one.value, HEADERS if number % 3 else one.headers) for number, one in enumerate(sent)]


WRONG_PAYLOADS: Sequence[Mapping[str, Any]] = (
    {"amount": 0},
    {"amount": 10**12},
    {"amount": 1.0},
    {"amount": "100"},
    {"amount": True},
    {"currency": "EUR"},
    {"payment_method": "pm_card_unknown"},
    {"capture": "yes"},
    {"description": 7},
    {"metadata": {"a": 1}},
    {"metadata": [["a", "b"]]},
    {"metadata": {str(number): "" for number in range(51)}},
    {"surprise": {"deep": [1, 2]}},
)
COMMANDS = every_kind_of_command()


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    prepare(silent)


async def fill(kafka: EmbeddedBroker, namespace: str) -> None:
    """Topics, and all the commands; each goes where its merchant belongs."""
    log = await KafkaLog.connect(connection(kafka.bootstrap_servers), client_id="payonce-test")
    await log.ensure_topics(namespace, PARTITIONS)
    loads: dict[TopicPartition, list[Outgoing]] = {}
    for one in COMMANDS:
        assert one.key is not None
        where = TopicPartition(topic_name(namespace, "commands"), partition_of(one.key, PARTITIONS))
        loads.setdefault(where, []).append(one)
    writer = await log.plain_writer()
    await writer.produce(loads)
    await writer.close()
    await log.close()


async def handle(kafka: EmbeddedBroker, namespace: str, argv: Sequence[str], folder: Path) -> None:
    """Run it until all is handled, and stop it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PAYONCE_")}
    environment |= {
        "PAYONCE_KAFKA": kafka.bootstrap_servers,
        "PAYONCE_NAMESPACE": namespace,
        "PAYONCE_PARTITIONS": str(PARTITIONS),
        "PAYONCE_DIR": str(folder),
    }

    async with LogWatch(connection(kafka.bootstrap_servers), namespace) as log:

        async def is_done() -> bool:
            return sum((await log.group_offsets()).values()) == len(COMMANDS)

        with running(argv, folder / "log", environment) as process:
            await wait_until(is_done, timeout_s=20, message="it does not get to the end")
            assert stops_cleanly(process) == 0


@pytest.fixture(scope="module")
def ours(kafka: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """What our own processor makes of them, once for all."""

    async def run() -> Made:
        await fill(kafka, OURS)
        argv = [sys.executable, "-m", "services.processor"]
        await handle(kafka, OURS, argv, tmp_path_factory.mktemp("ours"))
        return await made(kafka.bootstrap_servers, OURS, PARTITIONS, topic_name(OURS, "keys"))

    return asyncio.run(run())


async def theirs(kafka: EmbeddedBroker, namespace: str, peer: Peer, folder: Path, keys: str) -> Made:
    await fill(kafka, namespace)
    argv = command(
        peer,
        bootstrap=kafka.bootstrap_servers,
        namespace=namespace,
        partitions=PARTITIONS,
        state_dir=folder / "state",
    )
    await handle(kafka, namespace, argv, folder)
    return await made(kafka.bootstrap_servers, namespace, PARTITIONS, keys)


def without_details(replies: Mapping[bytes, bytes]) -> dict[bytes, Any]:
    """Whose fault a 400 is, is part of the contract; in which words it is said, is not."""
    found: dict[bytes, Any] = {}
    for command_id, value in replies.items():
        reply = orjson.loads(value)
        found[command_id] = value
        if reply["status"] == 400:
            body = orjson.loads(reply["body"])
            del body["detail"]
            found[command_id] = {**reply, "body": body}
    return found


def renamed(made: Made, namespace: str) -> dict[bytes, Any]:
    """Charge events, their source without the namespace, their headers in any order."""
    return {
        event_id: (key, value, sorted((name, part.replace(namespace.encode(), b"")) for name, part in headers))
        for event_id, (key, value, headers) in made.charges.items()
    }


@pytest.mark.parametrize("name", ["streams-rocksdb-2-100", "streams-memory-1-10", "quixstreams"])
async def test_a_peer_makes_the_same_records(
    name: str, kafka: EmbeddedBroker, namespace: str, ours: Made, tmp_path: Path
) -> None:
    """Replies, charge events, key records and dead letters are ours byte for byte, but for the instants in them."""
    keys = {
        Kind.STREAMS: f"{namespace}.processor-keys-changelog",
        Kind.QUIXSTREAMS: f"changelog__{namespace}.processor--{namespace}.commands--default",
    }[NAMED[name].kind]
    peers = await theirs(kafka, namespace, NAMED[name], tmp_path, keys)
    assert len(ours.replies) > len(ours.charges) == len(ours.keys) > len(ours.dead) > 10
    assert without_details(peers.replies) == without_details(ours.replies)
    assert renamed(peers, namespace) == renamed(ours, OURS)
    assert peers.keys == ours.keys
    assert peers.windows_ms == ours.windows_ms
    assert peers.dead == ours.dead


async def test_the_copier_copies(kafka: EmbeddedBroker, namespace: str, tmp_path: Path) -> None:
    """Every value is on `replies` once, and where it is a command it is under the command's id."""
    await fill(kafka, namespace)
    argv = command(
        NAMED["copier"],
        bootstrap=kafka.bootstrap_servers,
        namespace=namespace,
        partitions=PARTITIONS,
        state_dir=tmp_path,
    )
    await handle(kafka, namespace, argv, tmp_path)
    copies = await committed(kafka.bootstrap_servers, topic_name(namespace, "replies"), PARTITIONS)
    assert sorted(copy.value for copy in copies) == sorted(one.value or b"" for one in COMMANDS)
    for copy in copies:
        if b'"deadline_at"' in copy.value:
            assert b'"command_id":"' + copy.key + b'"' in copy.value


def test_without_a_jdk_it_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing compiled and nothing that compiles is told as that; what is compiled needs no JDK."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    java.prepare(silent)
    source = tmp_path / "java" / "Other.java"
    source.parent.mkdir()
    source.write_text("final class Other { }")
    monkeypatch.setattr(java, "SOURCES", source.parent)
    with pytest.raises(NoJdk, match=r"^There is no JDK .*\.$"):
        java.prepare(silent)
