"""The one thing that can go wrong with a broker, as far as whoever starts one is concerned."""


class BrokerUnavailable(Exception):
    """No Kafka to work with. The message is one sentence that says what happened and what to do about it."""


class KilledWhileStarting(BrokerUnavailable):
    """A signal ended it before it served: somebody's doing, and nothing that the next start would meet again."""


class AccessRefused(BrokerUnavailable):
    """The cluster is there, and what was said about TLS or the password does not open it: another try says the same."""
