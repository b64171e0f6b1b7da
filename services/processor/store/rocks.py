"""The key store on RocksDB, without a write-ahead log: a kill takes away what had not left memory.

In, out: as services.processor.store.port.
Units:   bytes.
Errors:  StoreBusy when another process has the folder open.
Source:  DESIGN, "The key store": bloom filters, since most lookups are of keys never seen; multi-get; one
         batch with the positions. ADR 20: why no write-ahead log. ADR 22: why two entries a command. Sizes:
         docs/measurements.md, "large".

Layout: `d` + partition + key to value; `r` + partition to the reach; `t` to the topic ids. Partitions are four
bytes, big endian, so that a range is one partition.

The log of Kafka is the log. RocksDB writes its memtables out in the order they were filled, and there is one column
family, so a kill, or a loss of power, leaves all batches up to one of them, and the reach in that one says how far.
What forgets a copy is flushed before anything else happens: an older one, come back, would have a reach that
means nothing. Values that nobody refers to are moved out of the way only once there can be any.
"""

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import orjson
from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompactionStyle,
    DBCompressionType,
    MemtableFactory,
    Options,
    Rdict,
    SliceTransform,
    WriteBatch,
    WriteOptions,
)

from services.processor.store.port import NOTHING, Change, Reach

CACHE_BYTES: Final = 64 * 1024 * 1024
WRITE_BUFFER_BYTES: Final = 16 * 1024 * 1024  # some 10,000 commands, which a kill takes away
WRITE_BUFFERS_MOST: Final = 6  # all but one of them full, RocksDB holds every write up for a tenth of a second
MEMTABLE_BLOOM: Final = 0.02  # of a buffer: most look-ups are of names that are not in it
BLOOM_BITS_PER_KEY: Final = 16  # one miss in a thousand reads a block for nothing, in each of up to twenty files
BLOCK_BYTES: Final = 8 * 1024
# Longer values lie apart from their keys: sorting the keys anew, for ever, does not move them.
APART_BYTES: Final = 256
# A hash table, since nothing is ever read in order: a third of a skip list's time. A buffer holds as many entries.
MEMTABLE_BUCKETS: Final = 100_000
UNSORTED_FILES: Final = 12  # how many of them before they are sorted into the others
OPEN_FILES_MOST: Final = 512
_MOVE_OLD_VALUES: Final = "enable_blob_garbage_collection"
# Of the names and values that the domain puts in here: a store of another form is made again from the log.
FORM: Final = "2"
_TOPIC_IDS: Final = b"t"
_REACH: Final = struct.Struct(">QQQ")


class StoreBusy(Exception):  # it says what is the matter with the store
    """The folder is open in another process, or cannot be opened at all."""


class RocksStore:
    def __init__(self, folder: Path) -> None:
        unlogged = WriteOptions()
        unlogged.disable_wal = True  # type: ignore[method-assign, assignment]  # a property
        self._moves_old_values = False
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            options = _options()
            # Named, too: else rocksdict takes what an existing store was written with, which has lost its filters.
            self._database = Rdict(str(folder), options, {"default": options})
            self._database.set_write_options(unlogged)
        except Exception as error:  # rocksdict raises nothing more specific than Exception
            raise StoreBusy(f"The key store in {folder} cannot be opened: {error}.") from error

    def open(self, topic_ids: Mapping[str, str]) -> bool:
        known = self._database.get(_TOPIC_IDS)
        wanted = orjson.dumps({**topic_ids, "form": FORM}, option=orjson.OPT_SORT_KEYS)
        if known == wanted:
            return False
        if known is not None:
            self._database.delete_range(b"d", b"e")
            self._database.delete_range(b"r", b"s")
        self._database.put(_TOPIC_IDS, wanted)
        self.flush()
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
        put = batch.put
        forgets = False
        for partition, change in changes.items():
            prefix = _prefix(partition)
            for key, value in change.writes.items():
                if value is None:
                    forgets = True
                    batch.delete(prefix + key)
                else:
                    put(prefix + key, value)
            put(_reach_key(partition), _REACH.pack(*change.reach))
        self._database.write(batch)
        if forgets and not self._moves_old_values:
            self._moves_old_values = True
            self._database.set_options({_MOVE_OLD_VALUES: "true"})

    def flush(self, *, wait: bool = True) -> None:
        self._database.flush(wait)

    def wipe(self, partition: int) -> None:
        self._database.delete_range(_prefix(partition), _prefix(partition + 1))
        self._database.delete(_reach_key(partition))
        self.flush()

    def close(self) -> None:
        self.flush()
        self._database.close()


def _prefix(partition: int) -> bytes:
    return b"d" + partition.to_bytes(4, "big")


def _reach_key(partition: int) -> bytes:
    return b"r" + partition.to_bytes(4, "big")


def _options() -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_block_based_table_factory(_blocks())
    options.set_compression_type(DBCompressionType.none())  # LZ4 saves a fifth of the disk, for 1 to 2 µs a command
    options.set_memtable_factory(MemtableFactory.hash_link_list(MEMTABLE_BUCKETS))  # type: ignore[call-arg]
    options.set_prefix_extractor(SliceTransform.create_noop())  # a whole key is what is hashed
    options.set_allow_concurrent_memtable_write(False)
    options.set_memtable_whole_key_filtering(True)
    options.set_memtable_prefix_bloom_ratio(MEMTABLE_BLOOM)
    options.set_write_buffer_size(WRITE_BUFFER_BYTES)
    options.set_max_write_buffer_number(WRITE_BUFFERS_MOST)
    options.set_enable_blob_files(True)
    options.set_min_blob_size(APART_BYTES)
    options.set_blob_compression_type(DBCompressionType.none())
    options.set_enable_blob_gc(False)
    # Names come in no order, so that every level would be written anew for each tenth of it that comes from above.
    options.set_compaction_style(DBCompactionStyle.universal())
    options.set_level_zero_file_num_compaction_trigger(UNSORTED_FILES)
    # A write that RocksDB makes wait would stop the whole process, heartbeats and all: rocksdict keeps the GIL.
    options.set_level_zero_slowdown_writes_trigger(20 * UNSORTED_FILES)
    options.set_level_zero_stop_writes_trigger(40 * UNSORTED_FILES)
    options.set_max_background_jobs(2)
    options.set_max_open_files(OPEN_FILES_MOST)
    options.set_skip_stats_update_on_db_open(True)
    options.set_keep_log_file_num(2)
    return options


def _blocks() -> BlockBasedOptions:
    """Filters and indexes are in memory, 7 bytes a command: in the cache each look at one would cost twice as much."""
    blocks = BlockBasedOptions()
    blocks.set_format_version(5)
    blocks.set_block_size(BLOCK_BYTES)
    blocks.set_bloom_filter(BLOOM_BITS_PER_KEY, block_based=False)
    blocks.set_block_cache(Cache(CACHE_BYTES))
    return blocks
