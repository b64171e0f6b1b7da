"""SWR 2.5.1 (vercel/swr, 7173e55b): payments as mutations, and payments mistaken for data.

| | retries | on | waits | sends again after success | source, `src/` |
| --- | --- | --- | --- | --- | --- |
| `useSWRMutation` | **0** | | | no | `mutation/index.ts:76-104`: the fetcher is called once, no onErrorRetry |
| `useSWR` | **without end** (`errorRetryCount` is not set) | whatever the fetcher throws | ⌊(0.5 to 1.5)·2^min(n,8)⌋ times 5 s: 5 or 10 s, then 10 to 25 s | yes: on focus (5 s after the last time) and when the network is back | `_internal/utils/config.ts:19-41`, `66-73`; `index/use-swr.ts:650-696`, `807-816` |

As with TanStack, what is thrown is the caller's choice, usually everything but 2xx, and the fetcher is called anew on
each try: a key that is part of SWR's own key stays, a key minted inside the fetcher does not. Ours stops after two
retries, when the run is over anyway; SWR itself would not.
"""  # noqa: E501 - a row of a table is one line

from simulator.seeded import Chance
from simulator.workload.behaviour import Click, Outcome, Visit
from simulator.workload.personas.library import Library, but_mints, succeeded

INTERVAL_MS = 5_000.0


class SwrMutation(Library):
    name = "swr_mutation"
    help = "SWR 2 mutation: one try, no retry"


class Swr(Library):
    """Half of these customers look at another window and come back, 5 to 9 s after success."""

    retries = 2

    def __init__(self, *, key_kept: bool = True) -> None:
        self.name = "swr"
        self.help = "a payment mistaken for SWR data: retried after 5 s and more, and again on focus after success"
        if not key_kept:
            self.name, self.help, self.expects = but_mints(self.name, "the fetcher")
        self.key_kept = key_kept

    def wait_ms(self, rng: Chance, retry: int, outcome: Outcome) -> float:
        return int(rng.uniform(0.5, 1.5) * (1 << min(retry, 8))) * INTERVAL_MS

    def afterwards(self, rng: Chance, key: str, last: Outcome) -> Visit:
        if succeeded(last) and rng.random() < 0.5:
            yield (Click(key, delay_ms=rng.uniform(INTERVAL_MS, 9_000.0), patience_ms=self.timeout_ms),)
