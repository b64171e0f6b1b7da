"""Apollo Client 4.2.12's RetryLink (apollographql/apollo-client, 54084bc2), as it comes.

| outcome | again? | source, `src/link/` |
| --- | --- | --- |
| connection failed or died, time-out | yes | `retry/retryFunction.ts:8-11`: `!!error` |
| answer of 300 and above | yes: the HTTP link makes an error of it | `http/parseAndCheckHttpResponse.ts:154-158` |
| 2xx, also with GraphQL errors in it | no | `retry/retryLink.ts:174-188` |

- It does not ask whether the operation is a query or a *mutation*: a payment is sent again like anything else.
- Tries: 5 with the first (`retry/retryFunction.ts:7-9`: `max = 5`, and the count includes it).
- Waits before retry n: 0 to 300·2^n ms, full jitter (`retry/delayFunction.ts:6-21`): up to 0.6, 1.2, 2.4, 4.8 s.
- Key: `forward(operation)` is called again with the same operation (`retry/retryLink.ts:172-173`). A key in its context
  or variables stays; a key set by a link *behind* the RetryLink is set anew on each try. The order of links decides.
- `fetch` has no time-out.
"""

from simulator.seeded import Chance
from simulator.workload.behaviour import Outcome
from simulator.workload.personas.library import Library, but_mints

INITIAL_MS = 300.0


class ApolloRetryLink(Library):
    retries = 4

    def __init__(self, *, key_kept: bool = True) -> None:
        self.name = "apollo_retry_link"
        self.help = "Apollo Client 4 with a RetryLink as it comes: five tries, mutations too, any error"
        if not key_kept:
            self.name, self.help, self.expects = but_mints(self.name, "a link behind it")
        self.key_kept = key_kept

    def wait_ms(self, rng: Chance, retry: int, outcome: Outcome) -> float:
        return rng.random() * INITIAL_MS * 2.0**retry
