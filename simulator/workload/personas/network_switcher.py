"""The network switcher: leaves the house, Wi-Fi becomes 4G, and the connection is dead from one moment to the next.

Copies a phone whose app is told of the new network and asks again at once, 50 to 400 ms later, under the same key: the
first request may have arrived, and may still be worked on. One in three phones changes back, and loses the second
connection too.
"""

from simulator.seeded import Chance
from simulator.workload.behaviour import Click, Expects, Persona, Visit, insist, minted


class NetworkSwitcher(Persona):
    name = "network_switcher"
    help = "changes from Wi-Fi to 4G while it pays, and asks again at once on the new network"
    expects = Expects.CHARGED_ONCE

    def visit(self, rng: Chance) -> Visit:
        keys = minted(rng, kept=True)
        delay_ms = 0.0
        for _ in range(rng.choice((1, 1, 2))):
            (outcome,) = yield (Click(next(keys), delay_ms=delay_ms, vanishes_after_ms=rng.uniform(1.0, 60.0)),)
            if outcome.settles:
                return
            delay_ms = rng.uniform(50.0, 400.0)
        yield from insist(rng, keys, Click("", delay_ms=delay_ms))
