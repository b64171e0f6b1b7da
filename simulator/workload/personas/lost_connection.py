"""The customer who loses the connection: sends the request, is gone before the answer, and tries again.

Copies a phone entering a tunnel: the request has left, the answer finds nobody. The page kept its key (in the
browser's session storage, as the repaired checkout of akash-network/console#3449 does), so when the network
is back the same key goes out again; one in three such customers loses the connection a second time.
"""

from simulator.seeded import Chance
from simulator.workload.behaviour import Click, Expects, Persona, Visit, backoff_ms, new_key

ATTEMPTS_MAX = 8


class LostConnection(Persona):
    name = "lost_connection"
    help = "loses the connection after sending, and comes back with the saved key"
    expects = Expects.CHARGED_ONCE
    weight = 20

    def visit(self, rng: Chance) -> Visit:
        key = new_key(rng)
        losses = rng.choice((1, 1, 2))
        wait_ms = 0.0
        for attempt in range(1, ATTEMPTS_MAX + 1):
            # 2 to 40 ms after sending: around the time an answer takes, so that some arrive and some do not.
            vanishes_after_ms = rng.uniform(2.0, 40.0) if attempt <= losses else None
            (outcome,) = yield (Click(key, delay_ms=wait_ms, vanishes_after_ms=vanishes_after_ms),)
            if outcome.settles:
                return
            wait_ms = backoff_ms(rng, attempt)
