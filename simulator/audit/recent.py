"""Remembers what was put or asked for last, and nothing that is much older.

Out:     values by name; RECENT names are certainly remembered, at most twice as many are.
"""

from typing import Final, Generic, TypeVar

RECENT: Final = 16_384

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """Two generations: when the young one is full, the old one goes."""

    def __init__(self) -> None:
        self._young: dict[str, Value] = {}
        self._old: dict[str, Value] = {}

    def get(self, name: str) -> Value | None:
        value = self._young.get(name)
        if value is None:
            value = self._old.get(name)
            if value is not None:
                self.put(name, value)
        return value

    def put(self, name: str, value: Value) -> None:
        if len(self._young) >= RECENT:
            self._old, self._young = self._young, {}
        self._young[name] = value
