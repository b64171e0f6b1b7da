"""The log that the measurement of very many keys starts from is one that a processor might have written."""

from typing import NamedTuple

from benchmarks.large_log import MERCHANTS, PORTION, command_loads, pair, portions
from events.guarantees import Guarantee
from services.kafka.port import Headers, TopicPartition
from services.processor.domain.settling import Rules, Standing, decode, settle
from services.processor.domain.stored import standing_of

NOW, WINDOW = 1_700_000_000_000, 86_400_000


class Read(NamedTuple):
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


def test_a_pair_is_what_a_processor_makes_of_its_command() -> None:
    """Key record and charge event are the very bytes, headers too, that executing the command gives."""
    for number in (0, 1, MERCHANTS, 123_456_789):
        ((where, (command,)),) = command_loads("bench", 4, number, 1, NOW).items()
        rules = Rules("bench", where.partition, 4, WINDOW, Guarantee.EXACTLY_ONCE)
        incoming = decode(rules, [Read(7, NOW, command.key, command.value)])
        settled = settle(rules, Standing(7, 0), incoming, {})
        key_record, event = pair("bench", number, 7, NOW, WINDOW)
        assert [tuple(one) for one in settled.keys] == [tuple(key_record)]
        ((charge_id, value, headers),) = settled.charges
        assert (charge_id, value, list(headers)) == (event.key, event.value, list(event.headers))


def test_every_partition_says_last_where_it_stands() -> None:
    """All keys are there once, and the position, which is 0, comes after them, with the last clock."""
    keys = PORTION + 5
    records: dict[TopicPartition, list[bytes]] = {}
    values: dict[TopicPartition, bytes | None] = {}
    for loads in portions("bench", 4, keys, NOW, NOW + 1_000, WINDOW):
        for where, some in loads.items():
            records.setdefault(where, []).extend(one.key or b"" for one in some)
            values[where] = some[-1].value
    for partition in range(4):
        where = TopicPartition("bench.keys", partition)
        assert records[where][-1] == b"@position"
        assert standing_of(values[where] or b"") == (Standing(0, NOW + 1_000), WINDOW)
    names = [key for where, some in records.items() if where.topic == "bench.keys" for key in some[:-1]]
    assert len(names) == len(set(names)) == keys
    assert sum(len(some) for where, some in records.items() if where.topic == "bench.charges") == keys
