"""Ask a cluster that is not ours whether it is one we can work with.

In:      KafkaConnection.
Out:     nothing: it answers, lets us in, and its finalized features include transaction.version 2.
Units:   _s are seconds.
Errors:  BrokerUnavailable, one sentence for each way in which it is not; AccessRefused where it does not let us in.
Source:  ApiVersions v4, which a broker answers before it asks for a password. Messages by kio.
"""

import asyncio
import io
import os
import ssl
import struct
from typing import Any

from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError
from kio.schema.api_versions.v4.request import ApiVersionsRequest
from kio.schema.api_versions.v4.response import ApiVersionsResponse
from kio.schema.request_header.v2.header import RequestHeader
from kio.serial import entity_reader, entity_writer
from kio.static.primitive import i16, i32

from events.connection import KafkaConnection, certificate_refused, login_refused
from simulator.broker.errors import AccessRefused, BrokerUnavailable
from simulator.broker.tls import tls_context

_ANSWER_TIMEOUT_S = 10.0
_LONGEST_ANSWER_BYTES = 1 << 20
_FEATURE = "transaction.version"
_write_header = entity_writer(RequestHeader)
_write_request = entity_writer(ApiVersionsRequest)
_read_answer = entity_reader(ApiVersionsResponse)


async def check(connection: KafkaConnection) -> None:
    """Returns when the first of the addresses that answers is good enough; raises BrokerUnavailable."""
    context = tls_context(connection)
    unreachable: BrokerUnavailable | None = None
    for address in connection.bootstrap_servers:
        host, _, port = address.rpartition(":")
        try:
            answer = await asyncio.wait_for(_ask(host.strip("[]"), int(port), context), _ANSWER_TIMEOUT_S)
        except (ssl.SSLError, OSError, TimeoutError, EOFError, ValueError, struct.error) as error:
            unreachable = unreachable or _no_answer(address, connection, error)
            continue
        _judge(address, answer)
        if connection.uses_sasl:
            await _log_in(address, host.strip("[]"), int(port), connection, context)
        return
    assert unreachable is not None, "a KafkaConnection has at least one address"
    raise unreachable


async def _ask(host: str, port: int, context: ssl.SSLContext | None) -> bytes:
    """One ApiVersions exchange: the answer behind its length and correlation id."""
    body = io.BytesIO()
    header = RequestHeader(
        request_api_key=i16(18), request_api_version=i16(4), correlation_id=i32(1), client_id="payonce-probe"
    )
    _write_header(body, header)
    _write_request(body, ApiVersionsRequest(client_software_name="payonce", client_software_version="1"))
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        writer.write(struct.pack(">i", body.tell()) + body.getvalue())
        length, correlation_id = struct.unpack(">ii", await reader.readexactly(8))
        if correlation_id != 1 or not 4 < length < _LONGEST_ANSWER_BYTES:
            raise ValueError("not a Kafka answer")
        return await reader.readexactly(length - 4)
    finally:
        writer.close()


def _judge(address: str, answer: bytes) -> None:
    """Whether what ApiVersions said is a Kafka that fences by group and moves the epoch at each commit."""
    (error_code,) = struct.unpack_from(">h", answer)
    if error_code == 35:  # not even this version of ApiVersions
        raise _too_old(address)
    try:
        versions, _ = _read_answer(answer, 0)
    except Exception as error:  # kio parses bytes of a stranger, and raises what it happens to stumble on
        raise BrokerUnavailable(
            f"What answers at {address} is not Kafka: check the address (--kafka HOST:PORT)."
        ) from error
    if any(each.name == _FEATURE and each.max_version_level >= 2 for each in versions.finalized_features):
        return
    if any(each.name == _FEATURE and each.max_version >= 2 for each in versions.supported_features):
        raise BrokerUnavailable(
            f"The Kafka at {address} has not finalized {_FEATURE} 2: run "
            f"`kafka-features.sh --bootstrap-server {address} upgrade --feature {_FEATURE}=2` on it."
        )
    raise _too_old(address)


def _too_old(address: str) -> BrokerUnavailable:
    return BrokerUnavailable(
        f"The Kafka at {address} is too old: 4.0 or newer with {_FEATURE} 2 is needed to charge exactly once; "
        "upgrade it, or use --kafka embedded."
    )


def _no_answer(address: str, connection: KafkaConnection, error: Exception) -> BrokerUnavailable:
    if isinstance(error, ssl.SSLCertVerificationError):
        return AccessRefused(certificate_refused(address, error.verify_code, error.verify_message))
    if isinstance(error, ssl.SSLError):
        return BrokerUnavailable(
            f"The Kafka at {address} does not speak TLS: check security.protocol in the file of --kafka-security."
        )
    if isinstance(error, EOFError | ValueError | struct.error | ConnectionResetError):
        hint = "the right address" if connection.uses_tls else "TLS, and so --kafka-security FILE"
        return BrokerUnavailable(f"What listens at {address} does not answer as Kafka does: it may want {hint}.")
    why = "did not answer in time" if isinstance(error, TimeoutError) else _refusal(error)
    return BrokerUnavailable(f"No Kafka answers at {address} ({why}): start it, or check the address.")


def _refusal(error: Exception) -> str:
    number = getattr(error, "errno", None)
    return os.strerror(number).lower() if number and number > 0 else str(error)


async def _log_in(
    address: str, host: str, port: int, connection: KafkaConnection, context: ssl.SSLContext | None
) -> None:
    arguments: dict[str, Any] = {
        "security_protocol": connection.protocol,
        "ssl_context": context,
        "sasl_mechanism": connection.mechanism,
        "sasl_plain_username": connection.username,
        "sasl_plain_password": connection.password,
        "request_timeout_ms": int(_ANSWER_TIMEOUT_S * 1000),
    }
    try:
        made = await create_conn(host, port, **arguments)
    except (KafkaError, OSError, TimeoutError, ValueError) as error:
        raise AccessRefused(login_refused(address, connection)) from error
    made.close()
