"""What a key store promises, in memory and on RocksDB: one suite; and what only a disk can promise."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.processor.store.memory import MemoryStore
from services.processor.store.port import NOTHING, Change, KeyStore, Reach
from services.processor.store.rocks import BLOOM_BITS_PER_KEY, RocksStore, StoreBusy

IDS = {"t.keys": "1", "t.charges": "2"}
OTHER_IDS = {"t.keys": "1", "t.charges": "3"}


@pytest.fixture(params=["memory", "rocks"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KeyStore]:
    made: KeyStore = MemoryStore() if request.param == "memory" else RocksStore(tmp_path / "store")
    made.open(IDS)
    yield made
    made.close()


def test_what_was_applied_is_found(store: KeyStore) -> None:
    """Values come back as they were put, and the reach with them."""
    store.apply({1: Change({b"a": b"1", b"b": b""}, Reach(5, 6, 2))})
    assert store.get(1, [b"a", b"b", b"missing"]) == {b"a": b"1", b"b": b""}
    assert store.reach(1) == Reach(5, 6, 2)


def test_a_value_of_none_forgets(store: KeyStore) -> None:
    """None takes a key away, also one that was never there."""
    store.apply({1: Change({b"a": b"1"}, NOTHING)})
    store.apply({1: Change({b"a": None, b"never": None}, Reach(1, 0, 0))})
    assert store.get(1, [b"a", b"never"]) == {}


def test_partitions_do_not_see_each_other(store: KeyStore) -> None:
    """The same key in two partitions is two keys; wiping one leaves the other."""
    store.apply({one: Change({b"a": str(one).encode()}, Reach(one, 0, 0)) for one in (0, 1, 255, 256)})
    store.wipe(255)
    assert store.get(255, [b"a"]) == {}
    assert store.reach(255) == NOTHING
    assert [store.get(one, [b"a"]) for one in (0, 1, 256)] == [{b"a": b"0"}, {b"a": b"1"}, {b"a": b"256"}]


def test_nothing_known_of_a_new_partition(store: KeyStore) -> None:
    """A partition never written has nothing and reaches nowhere."""
    assert store.reach(7) == NOTHING
    assert store.get(7, [b"a"]) == {}
    assert store.get(7, []) == {}


def test_the_same_log_keeps_and_another_wipes(store: KeyStore) -> None:
    """Opened for topics of other ids, a store forgets everything; for the same ones, nothing."""
    store.apply({0: Change({b"a": b"1"}, Reach(1, 1, 1))})
    assert not store.open(dict(reversed(IDS.items())))
    assert store.get(0, [b"a"]) == {b"a": b"1"}
    assert store.open(OTHER_IDS)
    assert store.get(0, [b"a"]) == {}
    assert store.reach(0) == NOTHING
    assert not store.open(OTHER_IDS)


def test_a_restart_finds_everything(tmp_path: Path) -> None:
    """A store on disk that was closed has after a restart what was applied, and knows whose copy it is."""
    first = RocksStore(tmp_path / "store")
    first.open(IDS)
    first.apply({3: Change({f"k{n}".encode(): b"v" * 600 for n in range(2_000)}, Reach(2_000, 10, 4))})
    first.close()
    again = RocksStore(tmp_path / "store")
    assert not again.open(IDS)
    assert again.reach(3) == Reach(2_000, 10, 4)
    assert len(again.get(3, [f"k{n}".encode() for n in range(2_000)])) == 2_000
    again.close()


def test_what_is_flushed_is_found_at_once_and_after_a_restart(store: KeyStore) -> None:
    """To write out changes nothing of what is there, with or without waiting for it."""
    store.apply({3: Change({b"a": b"1" * 600, b"b": b"2"}, Reach(1, 1, 1))})
    store.flush()
    store.apply({3: Change({b"a": b"3"}, Reach(2, 1, 1))})
    store.flush(wait=False)
    assert store.get(3, [b"a", b"b"]) == {b"a": b"3", b"b": b"2"}
    assert store.reach(3) == Reach(2, 1, 1)


def test_a_store_of_another_form_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names and values that an earlier version wrote would be read as what they are not."""
    monkeypatch.setattr("services.processor.store.rocks.FORM", "0")
    earlier = RocksStore(tmp_path / "store")
    earlier.open(IDS)
    earlier.apply({0: Change({b"a": b"1"}, Reach(1, 0, 0))})
    earlier.close()
    monkeypatch.undo()
    store = RocksStore(tmp_path / "store")
    assert store.open(IDS)
    assert store.get(0, [b"a"]) == {}
    assert store.reach(0) == NOTHING
    store.close()


def test_space_of_forgotten_values_comes_back(tmp_path: Path) -> None:
    """Once a key was forgotten, values that nobody refers to are moved out of the way as files are sorted."""
    store = RocksStore(tmp_path / "store")
    store.open(IDS)
    assert "enable_blob_garbage_collection=false" in used_options(tmp_path / "store")
    store.apply({0: Change({b"a": None}, Reach(1, 0, 0))})
    assert "enable_blob_garbage_collection=true" in used_options(tmp_path / "store")
    store.close()


def used_options(folder: Path) -> str:
    """What RocksDB says that it works with, newest first of the files it keeps of that."""
    return max(folder.glob("OPTIONS-*"), key=lambda one: one.name).read_text()


def test_filters_outlive_a_restart(tmp_path: Path) -> None:
    """A store that is opened again still knows without reading a block that a key was never there."""
    count = 20_000
    first = RocksStore(tmp_path / "store")
    first.open(IDS)
    first.apply({0: Change({b"%d" % n: b"v" for n in range(count)}, Reach(1, 1, 1))})
    first.close()
    again = RocksStore(tmp_path / "store")
    assert again.get(0, [b"10000x"]) == {}
    in_memory = again._database.property_int_value("rocksdb.estimate-table-readers-mem")
    assert in_memory is not None
    assert in_memory > count * BLOOM_BITS_PER_KEY / 8
    again.close()


_WRITES_FOR_EVER = """
import sys
from pathlib import Path
from services.processor.store.port import Change, Reach
from services.processor.store.rocks import RocksStore
store = RocksStore(Path(sys.argv[1]))
store.open({"t.keys": "1", "t.charges": "2"})
for n in range(1, 10**9):
    writes = {b"a%d" % n: b"x" * SIZE, b"b%d" % n: b"y" * SIZE, b"last": b"%d" % n}
    store.apply({0: Change(writes, Reach(n, n, n))})
    if n == OUT:
        store.flush()
    if n == WIPED:
        store.wipe(0)
    if n == WRITTEN:
        print("written", flush=True)
"""


def killed(folder: Path, written: int, size: int, *, out: int = 0, wiped: int = 0) -> None:
    """A process that writes for ever, killed at any moment after so many; after `out` it flushes, once."""
    program = _WRITES_FOR_EVER
    for name, number in {"WRITTEN": written, "SIZE": size, "OUT": out, "WIPED": wiped}.items():
        program = program.replace(name, str(number))
    process = subprocess.Popen([sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"written\n"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize(
    ("written", "size", "out", "kept"),
    [
        pytest.param(200, 300, 0, 0, id="nothing left memory"),
        pytest.param(200, 300, 150, 150, id="flushed before the end"),
        # More than all write buffers hold together: one at least had to be written.
        pytest.param(14_000, 3_000, 0, 1, id="most is on disk"),
    ],
)
def test_a_kill_leaves_whole_batches(tmp_path: Path, written: int, size: int, out: int, kept: int) -> None:
    """SIGKILL in mid-write: the reach says exactly what is there. The newest may be missing, nothing before it."""
    killed(tmp_path / "store", written, size, out=out)
    store = RocksStore(tmp_path / "store")
    assert not store.open(IDS)
    reached = store.reach(0).keys
    assert reached >= kept
    assert store.get(0, [b"last"]) == ({b"last": b"%d" % reached} if reached else {})
    names = [name + b"%d" % n for n in range(1, reached + 1) for name in (b"a", b"b")]
    assert len(store.get(0, names)) == 2 * reached
    assert store.get(0, [b"a%d" % (reached + 1)]) == {}
    store.close()


def test_a_wiped_partition_stays_wiped(tmp_path: Path) -> None:
    """SIGKILL after a wipe does not bring back what was wiped, though what came after it is lost."""
    killed(tmp_path / "store", 200, 300, out=100, wiped=199)
    store = RocksStore(tmp_path / "store")
    assert not store.open(IDS)
    assert store.get(0, [b"a1", b"a100", b"a199"]) == {}
    assert store.reach(0).keys in {0, *range(200, 10**6)}
    store.close()


def test_two_processes_cannot_have_one_store(tmp_path: Path) -> None:
    """Opening a store that is open says so instead of sharing it."""
    store = RocksStore(tmp_path / "store")
    with pytest.raises(StoreBusy, match="cannot be opened"):
        RocksStore(tmp_path / "store")
    store.close()
