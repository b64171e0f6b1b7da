"""The double clicker: presses "pay" twice, sometimes three times, before the page has answered.

Copies a checkout page that mints its key when it is rendered and does not disable its button: the clicks are
40 to 300 ms apart, carry the same key and run side by side, over two gateways if chance wills. When none of
them brought an answer the customer presses once more, as often as the careful one would.
"""

from simulator.seeded import Chance
from simulator.workload.behaviour import Click, Expects, Persona, Visit, backoff_ms, new_key

ATTEMPTS_MAX = 8


class DoubleClicker(Persona):
    name = "double_clicker"
    help = "presses the button two or three times before the page has answered"
    expects = Expects.CHARGED_ONCE
    weight = 20

    def visit(self, rng: Chance) -> Visit:
        key = new_key(rng)
        clicks = rng.choice((2, 2, 2, 3))
        moments_ms = [0.0]
        while len(moments_ms) < clicks:
            moments_ms.append(moments_ms[-1] + rng.uniform(40.0, 300.0))
        outcomes = yield tuple(Click(key, delay_ms=moment_ms) for moment_ms in moments_ms)
        for attempt in range(1, ATTEMPTS_MAX):
            if any(outcome.settles for outcome in outcomes):
                return
            outcomes = yield (Click(key, delay_ms=backoff_ms(rng, attempt)),)
