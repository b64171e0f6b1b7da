"""recompute-answer: a replay is answered from today's state.

Mistake: only "this key was used" is stored, and its answer is made anew for whoever asks again.
Shows:   when a customer retries later than in the same millisecond.
Anomaly: answer_mismatch. The replay shows the time of the replay.
"""

from typing import Any

import orjson

from events.canonical import canonical
from services.processor.domain.settling import Turn
from services.processor.parts import Parts


class MadeAnew(Turn):
    def body_of(self, record: dict[str, Any]) -> str:
        members = orjson.loads(record["body"])
        if "created_at" in members:
            members["created_at"] = self.clock
        return canonical(members).decode()


def switch_on(parts: Parts) -> Parts:
    return parts.settled_by(MadeAnew)
