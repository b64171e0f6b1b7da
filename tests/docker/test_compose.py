"""docker-compose.yml on a real Docker engine (`make docker-test`): paid through, scaled, and killed in.

The tests of this file are one story and run in its order, on one stack: to bring up three brokers takes too long to do
it for each. Every one adds to what was paid, and the last one counts.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.docker.composed import API_KEYS, Composed, composed

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

IDENTITY = "/var/lib/payonce/identity.json"
AMOUNT = 1999


@pytest.fixture(scope="module")
def stack() -> Iterator[Composed]:
    with composed() as made:
        yield made


@pytest.fixture(scope="module")
def paid() -> dict[str, dict[str, str]]:
    """What each merchant was told: charge ids by idempotency key."""
    return {merchant: {} for merchant in API_KEYS}


def identity(stack: Composed, container: str) -> str:
    return str(json.loads(stack.docker("exec", container, "cat", IDENTITY))["identity"])


def everybody_pays(stack: Composed, paid: dict[str, dict[str, str]], key: str) -> None:
    """A charge of every merchant; their partitions are not one processor's, nor led by one broker."""
    for merchant, charges in paid.items():
        answer = stack.pay(merchant, key, AMOUNT)
        assert answer.status_code == 201, answer.text
        charges[key] = answer.json()["id"]


def captured(stack: Composed, merchant: str) -> int:
    (euros,) = stack.get(merchant, "/v1/balance")["balances"]
    assert euros["currency"] == "eur"
    return int(euros["captured"])


def test_no_service_runs_as_root_or_writes_its_image(stack: Composed) -> None:
    """Gateway, processor and ledger have a user of their own and no capability, and can write only their own folder."""
    for service in ("gateway", "processor", "ledger"):
        (container,) = stack.containers(service)
        assert stack.docker("exec", container, "id", "-u").strip() == "10001"
        looked = stack.docker("inspect", "-f", "{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}}", container)
        assert looked.strip() == "true [ALL]"


def test_a_payment_and_its_replay(stack: Composed, paid: dict[str, dict[str, str]]) -> None:
    """Paid once, asked twice: the same bytes, marked as a replay, and one charge on the balance."""
    first = stack.pay("alice", "order-1", AMOUNT)
    assert first.status_code == 201, first.text
    again = stack.pay("alice", "order-1", AMOUNT)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["Idempotent-Replayed"] == "true"
    paid["alice"]["order-1"] = first.json()["id"]
    assert captured(stack, "alice") == AMOUNT
    assert stack.get("alice", "/v1/idempotency-keys/order-1")["executions"] == 1


def test_topics_are_on_every_broker(stack: Composed) -> None:
    """The services created their topics with the cluster's own replication: three copies."""
    tool = "/opt/kafka/bin/kafka-topics.sh"
    said = stack.run(
        "exec", "-T", "kafka-1", tool, "--bootstrap-server", "kafka-1:19092", "--describe", "--topic", "payments.keys"
    )
    assert "PartitionCount: 12" in said
    assert "ReplicationFactor: 3" in said


def test_three_processors_share_the_work(stack: Composed, paid: dict[str, dict[str, str]]) -> None:
    """--scale processor=3 gives three processors with an identity of their own each, and payments go on."""
    stack.up("--no-recreate", "--scale", "processor=3")
    processors = stack.containers("processor")
    assert len({identity(stack, each) for each in processors}) == 3
    everybody_pays(stack, paid, "scaled")


def test_a_killed_processor_is_not_missed(stack: Composed, paid: dict[str, dict[str, str]]) -> None:
    """With one of three killed all merchants can pay; started again it is who it was."""
    victim = stack.containers("processor")[0]
    before = identity(stack, victim)
    stack.docker("kill", victim)
    assert len(stack.containers("processor")) == 2
    everybody_pays(stack, paid, "processor-killed")
    stack.docker("start", victim)
    stack.wait_healthy(victim)
    assert identity(stack, victim) == before
    everybody_pays(stack, paid, "processor-back")


def test_a_killed_broker_is_not_missed(stack: Composed, paid: dict[str, dict[str, str]]) -> None:
    """With one of three brokers killed all merchants can pay, and what was answered before is answered the same."""
    (victim,) = stack.containers("kafka-2")
    stack.docker("kill", victim)
    everybody_pays(stack, paid, "broker-killed")
    replay = stack.pay("alice", "order-1", AMOUNT)
    assert replay.json()["id"] == paid["alice"]["order-1"]
    assert replay.headers["Idempotent-Replayed"] == "true"
    stack.docker("start", victim)
    stack.wait_healthy(victim)


def test_a_killed_gateway_comes_back_by_hand(stack: Composed, paid: dict[str, dict[str, str]]) -> None:
    """`docker compose up` starts a gateway that was killed, and its keys still answer with the first bytes."""
    (victim,) = stack.containers("gateway")
    stack.docker("kill", victim)
    stack.up("--no-recreate", "--scale", "processor=3")
    stack.locate()
    assert stack.pay("alice", "order-1", AMOUNT).json()["id"] == paid["alice"]["order-1"]
    everybody_pays(stack, paid, "gateway-back")


async def test_every_payment_happened_once(stack: Composed, paid: dict[str, dict[str, str]]) -> None:
    """Balances, PostgreSQL, the log as a program on this machine reads it, and the auditor agree with the answers."""
    for merchant, charges in paid.items():
        assert captured(stack, merchant) == AMOUNT * len(charges), merchant
    answered = {charge for charges in paid.values() for charge in charges.values()}
    booked = stack.run("exec", "-T", "postgres", "psql", "-U", "payonce", "-tAc", "select charge_id from entries")
    assert sorted(booked.split()) == sorted(answered)
    assert sorted(event["charge_id"] for event in await charge_events(stack)) == sorted(answered)
    audit = json.loads(stack.run("exec", "-T", "gateway", "payonce", "audit", "--json", "--guarantee", "exactly-once"))
    assert audit["verdict"] == "valid", audit


async def charge_events(stack: Composed) -> list[dict[str, Any]]:
    """All of payments.charges, read committed, through the ports that the brokers publish."""
    servers = [stack.run("port", f"kafka-{number}", "9092").strip() for number in (1, 2, 3)]
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, isolation_level="read_committed", enable_auto_commit=False)
    found = []
    async with consumer:
        partitions = [TopicPartition("payments.charges", number) for number in range(12)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        while any([await consumer.position(each) < ends[each] for each in partitions]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += [json.loads(record.value) for record in records]
    return found
