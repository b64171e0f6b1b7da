"""What the gateway mints and what it copies: command ids and trace contexts."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.identifiers import is_command_id
from services.gateway.command_ids import mint
from services.gateway.trace_context import valid_traceparent


@given(st.integers(0, (1 << 48) - 1))
def test_a_command_id_is_a_uuid_version_7_of_its_instant(now_ms: int) -> None:
    """Version, variant and time stand where RFC 9562 has them."""
    minted = mint(now_ms)
    parsed = uuid.UUID(minted)
    assert is_command_id(minted)
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert parsed.int >> 80 == now_ms


def test_no_two_command_ids_are_equal() -> None:
    """Also in one millisecond."""
    assert len({mint(1_790_000_000_000) for _ in range(10_000)}) == 10_000


TRACE = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize("value", [TRACE, TRACE.replace(b"00-", b"cc-", 1), b"01" + TRACE[2:] + b"-more"])
def test_a_valid_traceparent_is_copied(value: bytes) -> None:
    """Later versions may say more."""
    assert valid_traceparent([value]) == value


@pytest.mark.parametrize(
    "values",
    [
        [],
        [TRACE, TRACE],
        [b""],
        [TRACE.upper()],
        [TRACE + b"-more"],
        [TRACE + b"\n"],
        [b"ff" + TRACE[2:]],
        [TRACE.replace(b"4bf92f3577b34da6a3ce929d0e0e4736", b"0" * 32)],
        [TRACE.replace(b"00f067aa0ba902b7", b"0" * 16)],
        [b"01" + TRACE[2:] + b"-" + b"x" * 600],
    ],
)
def test_an_invalid_traceparent_is_dropped(values: list[bytes]) -> None:
    """As if it had not come."""
    assert valid_traceparent(values) is None
