"""TanStack Query 5.102.0 (TanStack/query, 40321a0b): payments as mutations, and payments mistaken for queries.

| | retries | on | waits | sends again after success | source, `packages/query-core/src/` |
| --- | --- | --- | --- | --- | --- |
| `useMutation`, as it comes | **0** | | | no | `mutation.ts:202` (`retry ?? 0`) |
| `useMutation({retry: 3})` | 3 | whatever the function throws | 1, 2, 4 s (doubling, at most 30) | no | `retryer.ts:177-214`, `49-51` |
| `useQuery` | **3** (0 on a server) | whatever the function throws | 1, 2, 4 s | yes: when the window is focused, the network is back or it is mounted again, and the data is stale (at once by default) | `retryer.ts:178`; `queryObserver.ts:119-125`, `750-766` |

What is thrown is the caller's choice. `if (!response.ok) throw` is usual, so a decline (402) and a conflict (422) are
asked again like a lost answer. The function that sends is called anew on each try (`retryer.ts:164`) with the same
variables (`mutation.ts:193`) or the same query key: a key that is among those stays, a key minted inside the function
does not. `fetch` has no time-out. Mutations that are paused offline are `offline_resumer`.
"""  # noqa: E501 - a row of a table is one line

from simulator.seeded import Chance
from simulator.workload.behaviour import Click, Outcome, Visit
from simulator.workload.personas.library import Library, but_mints, succeeded

FIRST_MS, MOST_MS = 1_000.0, 30_000.0


class TanStackMutation(Library):
    name = "tanstack_mutation"
    help = "TanStack Query 5 mutation as it comes: one try, no retry"


class TanStackMutationRetry(Library):
    retries = 3

    def __init__(self, *, key_kept: bool = True) -> None:
        self.name = "tanstack_mutation_retry"
        self.help = "TanStack Query 5 mutation with retry: 3: every error again, after 1, 2 and 4 s"
        if not key_kept:
            self.name, self.help, self.expects = but_mints(self.name, "mutationFn")
        self.key_kept = key_kept

    def wait_ms(self, rng: Chance, retry: int, outcome: Outcome) -> float:
        return min(FIRST_MS * 2.0 ** (retry - 1), MOST_MS)


class TanStackQuery(TanStackMutationRetry):
    """Half of these customers look at another window and come back, after 0.2 to 2 s."""

    def __init__(self, *, key_kept: bool = True) -> None:
        super().__init__()
        self.name = "tanstack_query"
        self.help = "a payment mistaken for a TanStack query: three retries, and again on focus after success"
        if not key_kept:
            self.name, self.help, self.expects = but_mints(self.name, "queryFn")
        self.key_kept = key_kept

    def afterwards(self, rng: Chance, key: str, last: Outcome) -> Visit:
        if succeeded(last) and rng.random() < 0.5:
            yield (Click(key, delay_ms=rng.uniform(200.0, 2_000.0), patience_ms=self.timeout_ms),)
