"""Where a processor keeps what it knows of its partitions: a small port, on RocksDB and in memory."""
