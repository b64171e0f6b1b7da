"""The offline resumer: what could not be sent is put in a queue that outlives the page, and sent when back online.

Copies TanStack Query's paused mutations, which are stored with their variables and executed *from the start* when
the network is back (`packages/query-core/src/mutation.ts:165-174` of 5.102.0: `continue` calls `execute` with the
stored variables; TanStack/query#7019), and background sync in service workers. Half of these customers had sent the
request already when the connection died. One in three has two tabs, both of which empty the queue.

With the key among the stored variables the request is the same one, however late. A key minted by the function that
sends is a new one each time: a client's bug. "Much later" is 3 to 9 seconds here; a real queue waits for hours, and
the key helps only as long as the system remembers it (`key_ttl`).
"""

from simulator.seeded import Chance
from simulator.workload.behaviour import Click, Expects, Persona, Visit, insist, minted


class OfflineResumer(Persona):
    def __init__(self, *, key_kept: bool) -> None:
        self.name = "offline_resumer" if key_kept else "offline_resumer_new_key"
        self.help = "queues the payment while offline and sends it when back, much later; " + (
            "the key is in the queue" if key_kept else "a bug: each sending mints a key"
        )
        self.expects = Expects.CHARGED_ONCE if key_kept else Expects.OVERCHARGED
        self.key_kept = key_kept

    def visit(self, rng: Chance) -> Visit:
        keys = minted(rng, kept=self.key_kept)
        if rng.random() < 0.5:
            (outcome,) = yield (Click(next(keys), vanishes_after_ms=rng.uniform(2.0, 60.0)),)
            if outcome.settles:
                return
        later_ms = rng.uniform(3_000.0, 9_000.0)
        tabs = rng.choice((1, 1, 2))
        outcomes = yield tuple(Click(next(keys), delay_ms=later_ms + 20.0 * tab) for tab in range(tabs))
        if not any(outcome.settles for outcome in outcomes):
            yield from insist(rng, keys, Click("", delay_ms=1_000.0))
