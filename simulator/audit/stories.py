"""What is counted of intents that were acquitted: few kinds of stories, many times each.

In:      for every command the story that begins with it, as a code, and how long its key was used.
Out:     the `Part` that the same intents come to when they are examined in detail.
Units:   milliseconds.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from simulator.audit.comparison import Belief, Comparison, Deliveries, KeySays, Kind, agree
from simulator.audit.declared import BEGINNING, CHARGING
from simulator.audit.examine import Part
from simulator.audit.key_window import CANDIDATES_MS, Candidate, KeyWindow
from simulator.audit.report import Counts

STORIES_MAX: Final = 10_000
ALL_AT_ONCE: Final = (0,) * len(CANDIDATES_MS)


class Story(NamedTuple):
    """What is counted of one intent: executed once, delivered so many times."""

    operation: str
    event: str
    status: int
    delivered: int = 1
    late: tuple[int, ...] = ALL_AT_ONCE  # executions that each candidate window would have added


class Stories:
    """Each has a code, from 1 on."""

    def __init__(self) -> None:
        self._codes: dict[Story, int] = {}

    def code(self, story: Story) -> int:
        return self._codes.setdefault(story, len(self._codes) + 1)

    def part(self, told: Sequence[int], tails: Sequence[int], is_suspect: Sequence[int]) -> Part:
        """By command: the code of the story that begins with it, or 0; from the first to the last use of its key."""
        times: Counter[int] = Counter()
        longest = 0
        for code, tail, suspect in zip(told, tails, is_suspect, strict=True):
            if not suspect:
                times[code] += 1
                longest = max(longest, tail)
        stories, part = list(self._codes), Part()
        for code, intents in times.items():
            if code:
                _count(part, stories[code - 1], intents)
        if part.key_window.keys_retried:
            part.key_window = replace(part.key_window, longest_tail_ms=longest, smallest_safe_ms=longest + 1)
        return part


def _count(part: Part, story: Story, intents: int) -> None:
    """So many intents with the same story."""
    says = KeySays.SUCCESS if 200 <= story.status < 300 else KeySays.REFUSAL
    agrees = agree(Belief.UNHEARD, says, 1, keys_decide=True)
    assert agrees, "an intent that was acquitted agrees with its key"
    part.counts = part.counts + Counts(
        intents=intents,
        payment_intents=intents if story.operation in BEGINNING else 0,
        commands=intents * story.delivered,
        events={story.event: intents},
        charges=intents if story.event in CHARGING else 0,
        replies=intents * story.delivered,
    )
    kind = Kind(Belief.UNHEARD, says, 1, agrees, intents)
    part.comparison = part.comparison + Comparison(
        intents, deliveries=(Deliveries(story.delivered, 1, intents),), kinds=(kind,)
    )
    if story.delivered > 1:
        candidates = zip(CANDIDATES_MS, story.late, strict=True)
        part.key_window = part.key_window + KeyWindow(
            keys_retried=intents,
            retries=intents * (story.delivered - 1),
            candidates=tuple(Candidate(window_ms, late * intents) for window_ms, late in candidates),
        )
