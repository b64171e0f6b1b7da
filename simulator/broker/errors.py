"""The one thing that can go wrong with a broker, as far as whoever starts one is concerned."""


class BrokerUnavailable(Exception):
    """No Kafka to work with. The message is one sentence that says what happened and what to do about it."""
