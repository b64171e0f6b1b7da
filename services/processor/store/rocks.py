"""The key store on RocksDB: survives a kill, because every apply is one batch in its write-ahead log.

In, out: as services.processor.store.port.
Errors:  StoreBusy when another process has the folder open.
Source:  DESIGN, "The key store": bloom filters, since most lookups are of keys never seen; multi-get; one
         batch with the positions. Nothing is fsynced: a machine that loses power comes back with an older
         consistent copy, and reads the rest from the log.

Layout: `d` + partition + key to value; `r` + partition to the reach; `t` to the topic ids. Partitions are four
bytes, big endian, so that a range is one partition.
"""

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import orjson
from rocksdict import BlockBasedOptions, Cache, Options, Rdict, WriteBatch

from services.processor.store.port import NOTHING, Change, Reach

CACHE_BYTES: Final = 64 * 1024 * 1024
WRITE_BUFFER_BYTES: Final = 32 * 1024 * 1024
BLOOM_BITS_PER_KEY: Final = 10  # one miss in a hundred reads a block for nothing
_TOPIC_IDS: Final = b"t"
_REACH: Final = struct.Struct(">QQQ")


class StoreBusy(Exception):  # it says what is the matter with the store
    """The folder is open in another process, or cannot be opened at all."""


class RocksStore:
    def __init__(self, folder: Path) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._database = Rdict(str(folder), options=_options())
        except Exception as error:  # rocksdict raises nothing more specific than Exception
            raise StoreBusy(f"The key store in {folder} cannot be opened: {error}.") from error

    def open(self, topic_ids: Mapping[str, str]) -> bool:
        known = self._database.get(_TOPIC_IDS)
        wanted = orjson.dumps(dict(topic_ids), option=orjson.OPT_SORT_KEYS)
        if known == wanted:
            return False
        if known is not None:
            self._forget(b"d", b"e")
            self._forget(b"r", b"s")
        self._database.put(_TOPIC_IDS, wanted)
        return known is not None

    def reach(self, partition: int) -> Reach:
        found = self._database.get(_reach_key(partition))
        return NOTHING if found is None else Reach(*_REACH.unpack(found))

    def get(self, partition: int, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        if not keys:
            return {}
        prefix = _prefix(partition)
        values: list[bytes | None] = self._database.get([prefix + key for key in keys])  # type: ignore[assignment]
        return {key: value for key, value in zip(keys, values, strict=True) if value is not None}

    def apply(self, changes: Mapping[int, Change]) -> None:
        batch = WriteBatch(raw_mode=True)
        for partition, change in changes.items():
            prefix = _prefix(partition)
            for key, value in change.writes.items():
                if value is None:
                    batch.delete(prefix + key)
                else:
                    batch.put(prefix + key, value)
            batch.put(_reach_key(partition), _REACH.pack(*change.reach))
        self._database.write(batch)

    def wipe(self, partition: int) -> None:
        self._forget(_prefix(partition), _prefix(partition + 1))
        self._database.delete(_reach_key(partition))

    def close(self) -> None:
        self._database.close()

    def _forget(self, first: bytes, end: bytes) -> None:
        self._database.delete_range(first, end)


def _prefix(partition: int) -> bytes:
    return b"d" + partition.to_bytes(4, "big")


def _reach_key(partition: int) -> bytes:
    return b"r" + partition.to_bytes(4, "big")


def _options() -> Options:
    blocks = BlockBasedOptions()
    blocks.set_bloom_filter(BLOOM_BITS_PER_KEY, block_based=False)
    blocks.set_block_cache(Cache(CACHE_BYTES))
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_block_based_table_factory(blocks)
    options.set_write_buffer_size(WRITE_BUFFER_BYTES)
    options.set_keep_log_file_num(2)
    return options
