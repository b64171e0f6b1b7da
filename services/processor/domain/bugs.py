"""The named bugs that are about deciding (`--break`), here and nowhere else.

`no-fingerprint`      another request under a known key gets the first one's answer: key_conflict_accepted
`lru-keys`            only the newest keys are remembered: duplicate_charge
`trust-group-offset`  what the group's offset brings back is new, whatever the position says: late_reexecution
`recompute-answer`    a replay shows the time of the replay: answer_mismatch
`swallow-reply`       now and then nobody is answered: unanswered
`invent-charge`       now and then a charge nobody asked for: phantom_charge

"Now and then" is a function of the offset, so that a run can be repeated.
"""

from typing import Any, Final

import orjson

from events.canonical import canonical

LRU_KEYS: Final = 20  # commands of one partition that `lru-keys` looks back
SWALLOWED_OF: Final = 7
INVENTED_OF: Final = 7


def forgets(bugs: frozenset[str], record: dict[str, Any], offset: int) -> bool:
    return "lru-keys" in bugs and offset - record["offset"] > LRU_KEYS


def recomputed(body: str, clock: int) -> str:
    """The same answer, but made anew: with the clock of the replay."""
    members = orjson.loads(body)
    if "created_at" in members:
        members["created_at"] = clock
    return canonical(members).decode()


def swallows(bugs: frozenset[str], offset: int) -> bool:
    return "swallow-reply" in bugs and offset % SWALLOWED_OF == SWALLOWED_OF - 1


def invents(bugs: frozenset[str], offset: int) -> bool:
    return "invent-charge" in bugs and offset % INVENTED_OF == INVENTED_OF - 1
