"""OkHttp 5.4.0 and later (square/okhttp, 1682d9ba): as it comes, and with retryOnConnectionFailure(false).

| outcome | again, by default | source, `okhttp/src/commonJvmAndroid/kotlin/okhttp3/` |
| --- | --- | --- |
| a *pooled* connection died before the answer, also if the request was sent | yes, **POST too**, the same bytes on a new one | `internal/http/RetryAndFollowUpInterceptor.kt:133-155`, `190-198`; `internal/connection/RealConnection.kt:396-407`: only a connection that never completed a call counts against its route |
| a new connection died, and there is no other address | no | `internal/connection/RealRoutePlanner.kt:297-342` |
| read time-out (10 s, `OkHttpClient.kt:614`) | no: the request had been sent | `RetryAndFollowUpInterceptor.kt:177-179` |
| 408, unless Retry-After is above 0 or it was 408 before | yes, once | `RetryAndFollowUpInterceptor.kt:232-256` |
| 503 with `Retry-After: 0`, unless it was 503 before | yes, once | `RetryAndFollowUpInterceptor.kt:258-271` |
| all else | no | `RetryAndFollowUpInterceptor.kt:290-292` |

A body that is one-shot is never sent again (`157-164`). The key is in the request's headers, so it stays. With
`retryOnConnectionFailure(false)` the first row and 408 are not retried (`142`, `236`): what its documentation advises
where "retrying is destructive" (`OkHttpClient.kt:745-746`).
"""  # noqa: E501 - a row of a table is one line

from simulator.seeded import Chance
from simulator.workload.behaviour import Outcome, Resend
from simulator.workload.personas.library import Library


class OkHttp(Library):
    retries = 1
    timeout_ms = 10_000.0

    def __init__(self, *, on_connection_failure: bool = True) -> None:
        self.name = "okhttp" if on_connection_failure else "okhttp_no_retry"
        self.help = "OkHttp 5 " + (
            "as it comes: sends the same bytes again when a pooled connection died"
            if on_connection_failure
            else "with retryOnConnectionFailure(false)"
        )
        self.resend = Resend.CLIENT if on_connection_failure else Resend.NOBODY

    def retries_on(self, outcome: Outcome) -> bool:
        if outcome.status == 408:
            return self.resend is Resend.CLIENT and not outcome.retry_after_ms
        return outcome.status == 503 and outcome.retry_after_ms == 0.0

    def wait_ms(self, rng: Chance, retry: int, outcome: Outcome) -> float:
        return 0.0
