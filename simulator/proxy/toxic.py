"""What a fault may do to the bytes between a customer and a gateway: the one door of the HTTP proxy.

In:      a `Toxic` stands on the link from `HttpLossProxy.add` until `remove`. It is asked for each request and each
         answer that begins to come to it, and for each connection that is about to close.
Out:     a `Treatment`, through which the bytes of this one message then go; None lets them pass.
Units:   bytes.
Source:  Toxiproxy's toxics: one small interface, and a delay must never turn into a loss.

Several toxics stand one behind the other in the order in which they were added. A later one is asked only for what an
earlier one passes on. When a toxic is removed, each of its treatments lets go of what it holds, at once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Direction = Literal["request", "response"]
End = Literal["customer", "gateway", "proxy"]


@dataclass(frozen=True, slots=True)
class Passage:
    """One message before one toxic, and what may be done with it."""

    gateway: str
    direction: Direction
    exchange: int  # a request and its answer have the same number, and no other has it
    forward: Callable[[bytes], None]  # to the next toxic, or on the wire
    reset: Callable[[], None]  # ends the connection: RST for the customer, a farewell for the gateway
    hold: Callable[[], None]  # nothing more is read in this direction, so that whoever holds bytes holds few
    go_on: Callable[[], None]  # takes one `hold` back


class Treatment:
    """The bytes of one message on their way through one toxic. This one lets them pass."""

    def __init__(self, passage: Passage) -> None:
        self.passage = passage

    def take(self, part: bytes) -> None:
        """More bytes of the message have come."""
        self.passage.forward(part)

    def let_go(self) -> None:
        """The fault is over, or the connection: what is held goes on now, and what comes later passes."""


@dataclass(frozen=True, slots=True)
class Closing:
    """A connection of which one end has gone; the other is told by `finish`."""

    gateway: str
    by: End
    finish: Callable[[], None]


LetGo = Callable[[], None]


class Toxic:
    """Asked by the proxy; a fault overrides what it needs."""

    def begins(self, passage: Passage) -> Treatment | None:
        """A message has begun, and its first bytes are the next that the treatment takes; None lets it pass."""
        return None

    def closes(self, closing: Closing) -> LetGo | None:
        """None lets it close. Else the toxic calls `closing.finish` later, or when the returned function is called."""
        return None
