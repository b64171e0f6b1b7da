"""random-transactional-id: the producer gets a new name at each start.

Mistake: `transactional.id` is made of a random number, so that "producer fenced" is never seen again. It was the
         fence: a successor that takes the same name is what stops its predecessor. (The group's generation would stop
         it too, but not with the clients that this is done with, which do not send it: no-fencing.)
Shows:   when a processor hangs, is started anew under the same identity elsewhere, and wakes up (SIGSTOP, take-over,
         SIGCONT).
Anomaly: duplicate_charge. Both execute the same command.
"""

import secrets

from services.processor.broken.no_fencing import UnfencedWriter
from services.processor.parts import Parts


def switch_on(parts: Parts) -> Parts:
    named = f"{parts.transactional_id}-{secrets.token_hex(8)}"
    return parts.written_by(UnfencedWriter)._replace(transactional_id=named)
