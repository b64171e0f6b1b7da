"""The connection is reset in the middle of a body: part of a request arrives, or part of an answer.

Copies a crash of anything between two ends while bytes are on the wire. Half a request must never become a payment.
Half an answer is as bad as none: the payment happened, and the customer does not know. Messages with a body of less
than two bytes pass.

Source:  Toxiproxy's `limit_data` and `reset_peer`; where a body begins and how long it is, httptools says.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from simulator.faults.base import Cadence, Fault, Injection, Scene, Share
from simulator.faults.http_link import Draw, Of, meets, standing_on
from simulator.proxy.http_message import HttpMessage
from simulator.proxy.toxic import Passage, Toxic, Treatment


class ResetMidBody(Fault):
    fault: Literal["reset_mid_body"] = "reset_mid_body"
    cadence: ClassVar = Cadence(first_s=2.0, every_s=7.0, share=0.10, lasts_s=4.0)
    on_http: ClassVar = True

    share: Annotated[Share, Field(description="Of the messages, while it lasts.")] = 0.05
    of: Of = "both"

    async def inject(self, scene: Scene, injection: Injection) -> None:
        with standing_on(scene.proxies, _Cutting(self.of, Draw(injection, self.share))):
            await scene.lasts(injection.lasts_s)


@dataclass(eq=False)
class _Cutting(Toxic):
    of: Of
    draw: Draw

    def begins(self, passage: Passage) -> Treatment | None:
        if not meets(self.of, passage.direction) or not self.draw.falls():
            return None
        return _Cut(passage, self.draw.injection)


class _Cut(Treatment):
    """The head passes, and some of the body; then the connection is gone."""

    def __init__(self, passage: Passage, injection: Injection) -> None:
        super().__init__(passage)
        self._injection = injection
        self._message: HttpMessage | None = HttpMessage(passage.direction)  # None: it passes, or it was cut
        self._passed = 0
        self._cut_at: int | None = None  # bytes from the beginning of the message
        self._gone = False

    def take(self, part: bytes) -> None:
        if self._gone:
            return
        if self._message is not None:
            self._look(self._message, part)
        if self._cut_at is None or self._passed + len(part) < self._cut_at:
            self._passed += len(part)
            self.passage.forward(part)
            return
        self._cut(part[: self._cut_at - self._passed])

    def _look(self, message: HttpMessage, part: bytes) -> None:
        message.feed(part)
        if message.head is not None and self._cut_at is None and message.body_length > 1:
            self._cut_at = message.head + self._injection.rng.randint(1, message.body_length - 1)
        if message.head is not None or message.broken:
            self._message = None

    def _cut(self, last: bytes) -> None:
        self._gone = True
        assert self._cut_at is not None
        self.passage.forward(last)
        self._injection.hit(gateway=self.passage.gateway, of=self.passage.direction, manner="reset", bytes=self._cut_at)
        self.passage.reset()

    def let_go(self) -> None:
        """A message whose turn has not come passes whole."""
        self._message = self._cut_at = None
