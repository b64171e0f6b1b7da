"""The key store in memory, for tests and for exploring schedules: forgets everything with its process.

Source:  passes the same suite as the one on RocksDB (tests/unit/test_store_suite.py).
"""

from collections.abc import Mapping, Sequence

from services.processor.store.port import NOTHING, Change, Reach


class MemoryStore:
    def __init__(self) -> None:
        self._values: dict[int, dict[bytes, bytes]] = {}
        self._reach: dict[int, Reach] = {}
        self._topic_ids: dict[str, str] = {}

    def open(self, topic_ids: Mapping[str, str]) -> bool:
        wiped = bool(self._topic_ids) and self._topic_ids != topic_ids
        if wiped:
            self._values, self._reach = {}, {}
        self._topic_ids = dict(topic_ids)
        return wiped

    def reach(self, partition: int) -> Reach:
        return self._reach.get(partition, NOTHING)

    def get(self, partition: int, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        values = self._values.get(partition, {})
        return {key: values[key] for key in keys if key in values}

    def apply(self, changes: Mapping[int, Change]) -> None:
        for partition, change in changes.items():
            values = self._values.setdefault(partition, {})
            for key, value in change.writes.items():
                if value is None:
                    values.pop(key, None)
                else:
                    values[key] = value
            self._reach[partition] = change.reach

    def wipe(self, partition: int) -> None:
        self._values.pop(partition, None)
        self._reach.pop(partition, None)

    def flush(self, *, wait: bool = True) -> None:
        """Nothing outlives the process anyway."""

    def close(self) -> None:
        """Nothing is held."""
