"""The words that deciding about a partition needs: under which rules, and where it stands.

Units:   `window_ms` in milliseconds, `clock` in Unix milliseconds; `position` is an offset of `commands`.
"""

from typing import NamedTuple

from events.guarantees import Guarantee


class Rules(NamedTuple):
    namespace: str
    partition: int
    partitions: int
    window_ms: int
    guarantee: Guarantee
    bugs: frozenset[str] = frozenset()


class Standing(NamedTuple):
    position: int  # the next command to execute: below it nothing ever executes
    clock: int  # the highest log timestamp read; never goes back
