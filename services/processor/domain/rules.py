"""The words that deciding about a partition needs: under which rules, and where it stands.

Units:   `window_ms` in milliseconds, `clock` in Unix milliseconds; `position` is an offset of `commands`.
"""

from typing import TYPE_CHECKING, NamedTuple

from events.guarantees import Guarantee

if TYPE_CHECKING:
    from services.processor.domain.settling import Turn


class Rules(NamedTuple):
    namespace: str
    partition: int
    partitions: int
    window_ms: int
    guarantee: Guarantee
    turn: "type[Turn] | None" = None  # who settles a batch, where it is not Turn itself: a named bug


class Standing(NamedTuple):
    position: int  # the next command to execute: below it nothing ever executes
    clock: int  # the highest log timestamp read; never goes back
