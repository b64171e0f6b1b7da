"""Silent resends: the very same bytes go out twice, and the page that sent them never knows.

| who | when | method | how often | source |
| --- | --- | --- | --- | --- |
| Chromium | a *reused* connection died and no answer header had come | any | until no reused connection is left | `net/http/http_network_transaction.cc`, `ShouldResendRequest` (chromium/chromium, 02a6125e) |
| Firefox | no byte of an answer had come, and the connection was reused, or nothing had been sent, or the method is safe | any on a reused one | bounded | `netwerk/protocol/http/nsHttpTransaction.cpp`, `Close`: `connReused` (mozilla-firefox/firefox) |
| Go's net/http | a reused connection died before the answer | POST only with `Idempotency-Key` or `X-Idempotency-Key` and a body that can be read again | each reused connection once | `net/http/request.go`, `isReplayable`; `transport.go`, `shouldRetryRequest` (golang/go) |
| nginx | never by default once a POST was sent; with `proxy_next_upstream error non_idempotent` at each error | POST too | once for each upstream | `src/http/ngx_http_upstream.c:4687-4696`, defaults `src/http/modules/ngx_http_proxy_module.c:3846-3850` (nginx/nginx, 3f6f7824) |

So a payment may be sent twice by somebody who was told nothing of keys, and that is harmless as long as the key
is in the bytes. Note Go: an `Idempotency-Key` *makes* its client resend a POST.

The browser here resends once, on a new connection to the same gateway, if the kept connection died before the answer
began. The proxy is an nginx with `non_idempotent`: it resends once, to another gateway if there is one, also when the
connection was new. Its `timeout` (60 s by default) is longer than anybody here waits. The page itself keeps its key.
"""  # noqa: E501 - a row of a table is one line

from simulator.seeded import Chance
from simulator.workload.behaviour import Click, Expects, Persona, Resend, Visit, insist, minted


class SilentResend(Persona):
    expects = Expects.CHARGED_ONCE

    def __init__(self, by: Resend) -> None:
        self.name = "silent_resend_browser" if by is Resend.CLIENT else "silent_resend_proxy"
        self.help = f"{'its browser' if by is Resend.CLIENT else 'a proxy'} sends the same bytes again by itself"
        self.by = by

    def visit(self, rng: Chance) -> Visit:
        yield from insist(rng, minted(rng, kept=True), Click("", resend=self.by))
