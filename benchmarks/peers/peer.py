"""One peer: somebody else's library, doing the processor's work in one process.

A peer's `name` says its options where it has several forms: `streams-rocksdb-2-100` has its keys in RocksDB, two
threads, and commits every 100 ms.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    STREAMS = "streams"
    COPIER = "copier"
    QUIXSTREAMS = "quixstreams"


@dataclass(frozen=True)
class Peer:
    name: str
    about: str  # one sentence
    kind: Kind
    options: Mapping[str, str] = field(default_factory=dict)  # of its command line, without the dashes
    does_the_work: bool = True  # False: what stands on `replies` are commands as they were read, not answers
