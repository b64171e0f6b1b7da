"""What can be wrong with a peer, as far as whoever measures it is concerned. A message is one sentence for a person."""


class PeerUnavailable(Exception):
    """It cannot be built or run here: no network on the first run, a full disk."""


class NoJdk(PeerUnavailable):
    """The peers in Java are not compiled yet, and nothing here compiles them."""
