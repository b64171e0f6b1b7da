"""Which partition a record key belongs to: Java Kafka's default partitioner.

In:      the record key's bytes, the number of partitions.
Out:     the partition's number; equal to Java Kafka's for every key.
Source:  apache/kafka `Utils.murmur2` and `BuiltInPartitioner.partitionForKey` (murmur2, seed 0x9747b28c, sign bit
         dropped).
         librdkafka differs unless told `partitioner=murmur2_random`.
"""

from functools import lru_cache

_SEED = 0x9747B28C
_M = 0x5BD1E995
_WORD = 0xFFFFFFFF


def murmur2(key: bytes) -> int:
    """The 32-bit hash, unsigned."""
    length = len(key)
    h = (_SEED ^ length) & _WORD
    whole = length & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(key[i : i + 4], "little")
        k = (k * _M) & _WORD
        k ^= k >> 24
        k = (k * _M) & _WORD
        h = ((h * _M) & _WORD) ^ k
    tail = length & 3
    if tail == 3:
        h ^= key[whole + 2] << 16
    if tail >= 2:
        h ^= key[whole + 1] << 8
    if tail >= 1:
        h ^= key[whole]
        h = (h * _M) & _WORD
    h ^= h >> 13
    h = (h * _M) & _WORD
    h ^= h >> 15
    return h


@lru_cache(maxsize=65_536)  # record keys are merchants: few, and each comes again and again
def partition_of(key: bytes, partitions: int) -> int:
    """The partition of `key` among `partitions`."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
