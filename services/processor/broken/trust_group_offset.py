"""trust-group-offset: what the group's offset brings back is new.

Mistake: the consumer group's offset is taken for the truth of what was done, as in every tutorial. Anybody may move
         it, and nothing else says how far the work has come.
Shows:   when the offset is set back over a command whose key has expired since.
Anomaly: late_reexecution; the same execution is the intent's second, which is duplicate_charge, and the answer to
         the one command differs from its first, which is answer_mismatch.
"""

from collections.abc import Mapping

from services.processor.domain.rules import Rules, Standing
from services.processor.domain.settling import Turn
from services.processor.parts import Parts
from services.processor.takeover import TakeOver


class NoPosition(Turn):
    def __init__(self, rules: Rules, standing: Standing, found: Mapping[bytes, bytes | None]) -> None:
        super().__init__(rules, standing, found)
        self.positioned = False


class FromTheGroup(TakeOver):
    def begin(self, standing: Standing, group_offset: int | None) -> tuple[Standing, int]:
        read_from = group_offset or 0
        return Standing(read_from, standing.clock), read_from


def switch_on(parts: Parts) -> Parts:
    return parts.settled_by(NoPosition)._replace(take_over=FromTheGroup)
