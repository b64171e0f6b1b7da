"""Cutting records into batches by bytes."""

from aiokafka.record.memory_records import MemoryRecords

from services.kafka.batches import BATCH_BYTES_MAX, SEQUENCES, Batch, batches
from services.kafka.port import Outgoing


def cut(records: list[Outgoing], sequence: int = 0) -> list[Batch]:
    return list(
        batches(records, producer_id=7, epoch=3, sequence=sequence, transactional=True, timestamp_ms=1_700_000_000_000)
    )


def read(batch: Batch) -> list[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]]:
    (parsed,) = iter_batches(bytes(batch.data))
    return [(one.key, one.value, list(one.headers)) for one in parsed]


def iter_batches(data: bytes) -> list[list[object]]:
    memory = MemoryRecords(data)
    found = []
    while memory.has_next():
        found.append(list(memory.next_batch()))
    return found


def test_small_records_are_one_batch() -> None:
    """Records that fit are one batch with keys, values and headers as given."""
    records = [Outgoing(b"a", b"1", [("h", b"x")]), Outgoing(None, None), Outgoing(b"c", b"", (("i", b"y"),))]
    (batch,) = cut(records)
    assert read(batch) == [(b"a", b"1", [("h", b"x")]), (None, None, []), (b"c", b"", [("i", b"y")])]


def test_batches_are_split_by_bytes() -> None:
    """No batch is longer than the bound, none of the records is lost, and sequence numbers go on."""
    records = [Outgoing(b"%d" % at, bytes(90_000)) for at in range(40)]
    made = cut(records)
    assert len(made) == 4
    assert all(len(batch.data) <= BATCH_BYTES_MAX for batch in made)
    assert sum(batch.records for batch in made) == 40
    assert [batch.sequence for batch in made] == [batch.first for batch in made]
    assert [one[0] for batch in made for one in read(batch)] == [b"%d" % at for at in range(40)]


def test_a_record_that_came_compressed_leaves_compressed() -> None:
    """One record longer than a batch may be is sent alone and compressed, and its neighbours are not held up."""
    made = cut([Outgoing(b"a", b"1"), Outgoing(b"big", b"x" * 3_000_000), Outgoing(b"c", b"3")])
    assert [batch.records for batch in made] == [1, 1, 1]
    assert len(made[1].data) < BATCH_BYTES_MAX
    assert read(made[1]) == [(b"big", b"x" * 3_000_000, [])]


def test_sequence_numbers_wrap() -> None:
    """After 2^31 - 1 comes 0, as the broker counts."""
    records = [Outgoing(b"k", bytes(600_000))] * 3
    assert [batch.sequence for batch in cut(records, SEQUENCES - 1)] == [SEQUENCES - 1, 0, 1]


def test_nothing_is_no_batch() -> None:
    """No records, no batch."""
    assert cut([]) == []
