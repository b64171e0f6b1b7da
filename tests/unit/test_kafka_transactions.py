"""Where Kafka keeps a group and a transactional id. tests/faults/test_many_brokers.py asks three real brokers."""

import pytest

from services.kafka.transactions import coordinating_partition


@pytest.mark.parametrize(
    ("name", "hashed"),
    [("", 0), ("abc", 96354), ("payments.ledger", -1242282166), ("polygenelubricants", -(1 << 31)), ("😀", 1772899)],
)
def test_the_absolute_value_of_java_s_hash(name: str, hashed: int) -> None:
    """A negative String.hashCode counts by its absolute value, the lowest of all as 0."""
    for partitions in (1, 6, 50):
        assert coordinating_partition(name, partitions) == abs(hashed) % (1 << 31) % partitions
