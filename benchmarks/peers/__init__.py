"""Peers of our processor, to be measured beside it: the same commands, the same answers, other people's libraries.

In:      PEERS; `prepare`, once; `command`, for each process.
Out:     a process that prints one line `ready`, works until SIGTERM, and makes no topic but its own changelog.
Errors:  NoJdk, PeerUnavailable: one sentence.
Source:  docs/peers.md says what each does, why it is set as it is, and what it does not do.

The topics `<namespace>.commands`, `charges`, `replies` and `dead-letters` are there already. All read from the
earliest offset under the group `<namespace>.processor`, as the processor does: one namespace, one of them.
"""

from pathlib import Path
from typing import Final

from benchmarks.peers import java, venv
from benchmarks.peers.errors import NoJdk, PeerUnavailable
from benchmarks.peers.peer import Kind, Peer
from simulator.broker.protocol import Progress

__all__ = ["PEERS", "Kind", "NoJdk", "Peer", "PeerUnavailable", "command", "prepare"]

QUIX_PROGRAM: Final = Path(__file__).with_name("quix.py")
_CHECKOUT: Final = Path(__file__).parents[2]
_STORES: Final = {"rocksdb": "its keys in RocksDB", "memory": "its keys in memory"}


def _streams(store: str, threads: int, commit_interval_ms: int) -> Peer:
    return Peer(
        f"streams-{store}-{threads}-{commit_interval_ms}",
        f"Kafka Streams, {_STORES[store]}; threads: {threads}; a commit every {commit_interval_ms} ms.",
        Kind.STREAMS,
        {
            "store": store,
            "threads": str(threads),
            "commit-interval-ms": str(commit_interval_ms),
            "caching": "off",
        },
    )


PEERS: Final = (
    *(_streams(store, threads, ms) for store in _STORES for threads in (1, 2, 4) for ms in (10, 100)),
    Peer(
        "copier",
        "A Java loop that copies in transactions and does no work: the limit.",
        Kind.COPIER,
        {"per-transaction": "1", "max-poll-records": "5000"},
        does_the_work=False,
    ),
    Peer(
        "quixstreams",
        "quixstreams, its keys in RocksDB, a commit every 100 ms.",
        Kind.QUIXSTREAMS,
        {"commit-interval-ms": "100"},
    ),
)


def prepare(progress: Progress) -> None:
    """Fetch, compile and install whatever is not there yet; the first time needs the network and a JDK."""
    java.prepare(progress)
    venv.prepare(progress)


def command(peer: Peer, *, bootstrap: str, namespace: str, partitions: int, state_dir: Path) -> list[str]:
    """The command line of one process; `state_dir` is its own."""
    given = {
        "bootstrap": bootstrap,
        "namespace": namespace,
        "partitions": str(partitions),
        "state-dir": str(state_dir),
        **peer.options,
    }
    arguments = [word for name, value in given.items() for word in (f"--{name}", value)]
    match peer.kind:
        case Kind.STREAMS:
            return java.command("Streams", arguments)
        case Kind.COPIER:
            return java.command("Copier", arguments)
        case Kind.QUIXSTREAMS:
            return [str(venv.python()), str(QUIX_PROGRAM), "--checkout", str(_CHECKOUT), *arguments]
