"""A broker of a test's own whose SASL_SSL listener takes passwords by PLAIN and by both kinds of SCRAM.

In:      nothing.
Out:     an OwnBroker, the same user and password by each mechanism.
Source:  KIP-554: the broker never sees the password, only what `kafka-configs.sh` computes of it; so do we (RFC 5802).
"""

import asyncio
import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from kio.schema.alter_user_scram_credentials.v0 import (
    AlterUserScramCredentialsRequest,
    AlterUserScramCredentialsResponse,
)
from kio.schema.alter_user_scram_credentials.v0.request import ScramCredentialUpsertion
from kio.static.primitive import i8, i32

from events.connection import connection
from services.kafka.cluster import Cluster
from services.kafka.codes import Code
from services.kafka.errors import Unfit
from services.kafka.kafka_log import KafkaLog
from tests.support.brokers import OwnBroker, own_broker
from tests.support.wait import wait_until

MECHANISMS: Final = ("SCRAM-SHA-256", "SCRAM-SHA-512")
# To resolvers 127.0.0.1, in fewer digits; to OpenSSL a host name, and none that the certificate has.
ANOTHER_NAME: Final = "127.1"
_ITERATIONS: Final = 4_096  # Kafka's lowest
_LISTENER: Final = "listener.name.secure"
_LOGIN: Final = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
_SETTINGS: Final = {
    f"{_LISTENER}.sasl.enabled.mechanisms": ",".join(("PLAIN", *MECHANISMS)),
    **{f"{_LISTENER}.{mechanism.lower()}.sasl.jaas.config": _LOGIN for mechanism in MECHANISMS},
}


@contextmanager
def scram_broker() -> Iterator[OwnBroker]:
    with own_broker(sasl_ssl=True, extra_settings=_SETTINGS) as broker:
        assert broker.username is not None
        assert broker.password is not None
        asyncio.run(_let_in(broker, broker.username, broker.password))
        yield broker


def properties(broker: OwnBroker, mechanism: str) -> str:
    """The text of a client.properties file for this mechanism."""
    return broker.client_properties.replace("sasl.mechanism=PLAIN", f"sasl.mechanism={mechanism}")


async def _let_in(broker: OwnBroker, username: str, password: str) -> None:
    cluster = Cluster(connection(broker.bootstrap_servers), "payonce-test-scram")
    for number, mechanism in enumerate(MECHANISMS, start=1):  # one of a user in each request, Kafka wants
        salt = secrets.token_bytes(16)
        name = mechanism.removeprefix("SCRAM-").replace("-", "")
        salted = hashlib.pbkdf2_hmac(name, password.encode(), salt, _ITERATIONS)
        upsertion = ScramCredentialUpsertion(
            name=username, mechanism=i8(number), iterations=i32(_ITERATIONS), salt=salt, salted_password=salted
        )
        request = AlterUserScramCredentialsRequest(deletions=(), upsertions=(upsertion,))
        answer = await cluster.ask(request, AlterUserScramCredentialsResponse)
        assert {one.error_code for one in answer.results} == {Code.none}, answer
        await wait_until(
            partial(_is_let_in, broker, mechanism), timeout_s=10, message=f"{username} cannot log in by {mechanism}"
        )
    cluster.close()


async def _is_let_in(broker: OwnBroker, mechanism: str) -> bool:
    """The broker hears from its controller of a password a moment after it was set."""
    assert broker.sasl_ssl_bootstrap_servers is not None
    to = connection(broker.sasl_ssl_bootstrap_servers, properties(broker, mechanism))
    try:
        log = await KafkaLog.connect(to, client_id="payonce-test-scram")
    except Unfit:
        return False
    await log.close()
    return True
