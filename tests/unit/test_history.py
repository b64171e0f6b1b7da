"""history.jsonl: written line by line, read back the same, and refused when it is something else."""

from pathlib import Path

import pytest

from simulator.audit.clients import fold
from simulator.history import HistoryWriter, InvalidHistory, read_history

RUN = {"kind": "run", "seed": 1, "guarantee": "exactly-once", "namespace": "payments", "started_at": 1}
INVOKE = {
    "kind": "invoke",
    "intent": "i-1",
    "attempt": 1,
    "at": 2,
    "merchant_id": "shop",
    "idempotency_key": "k",
    "operation": "charge.create",
    "payload": {"amount": 1},
    "gateway": "gateway 0",
}
OK = {"kind": "ok", "intent": "i-1", "attempt": 1, "at": 3, "status": 201, "replayed": False, "body": "{}"}


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    """A line is on file as soon as it is written, before the writer is closed."""
    path = tmp_path / "history.jsonl"
    with HistoryWriter(path) as history:
        for line in (RUN, INVOKE, OK):
            history.write(line)
        assert list(read_history(path)) == [RUN, INVOKE, OK]


def test_half_a_last_line_is_left_out(tmp_path: Path) -> None:
    """A writer that was killed in the middle of a line had not said it."""
    path = tmp_path / "history.jsonl"
    with HistoryWriter(path) as history:
        history.write(RUN)
    with path.open("ab") as file:
        file.write(b'{"kind":"inv')
    assert list(read_history(path)) == [RUN]


def test_broken_line_in_the_middle_is_refused(tmp_path: Path) -> None:
    """A history with a hole is none: the sentence names the line."""
    path = tmp_path / "history.jsonl"
    path.write_bytes(b'{"kind":"run"}\nnonsense\n{"kind":"ok"}\n')
    with pytest.raises(InvalidHistory, match="line 2"):
        list(read_history(path))


def test_other_json_lines_are_refused(tmp_path: Path) -> None:
    """A file that does not begin with a run is no history."""
    path = tmp_path / "history.jsonl"
    path.write_bytes(b'{"kind":"ok"}\n')
    with pytest.raises(InvalidHistory, match="no history"):
        list(read_history(path))


def test_strikes_that_overlap_are_told_apart_by_number() -> None:
    """Two strikes of one fault: each outage ends with its own line, and a rewind begins with the first."""
    fault = {"kind": "fault", "fault": "rewind_offsets"}
    hit = {"partition": 0, "to": 3, "from": 9, "answered_again": 1}
    clients = fold(
        [
            RUN,
            {**fault, "phase": "begin", "at": 10, "detail": {"number": 1}},
            {**fault, "phase": "begin", "at": 20, "detail": {"number": 2}},
            {**fault, "phase": "hit", "at": 25, "detail": hit},
            {**fault, "phase": "end", "at": 30, "detail": {"number": 1}},
        ]
    )
    assert clients.outages == [(10, 30), (20, None)]
    assert (clients.rewinds[0].to, clients.rewinds[0].frm, clients.rewinds[0].since) == (3, 9, 10)
    assert clients.troubled(100, 200, quiet_ms=5)
