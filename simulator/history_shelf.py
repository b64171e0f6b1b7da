"""A history of any length, read once: what is said of the run in memory, what single customers said on disk.

In:      the lines of history.jsonl as dictionaries, in order; how many bytes they have, about.
Out:     `outline`, a `Clients` without intents; then either all of it (`whole`), or the intents dealt to partitions.
Units:   bytes; BUCKET_BYTES of a history are in memory at once.
Errors:  KeyError, TypeError, AttributeError for a line without what its kind needs; OSError, when the disk is full.
Source:  a merchant's commands are all in one partition (CONTRACT), so an intent belongs to its merchant's.

Lines of one intent are far apart, and most of them do not name its merchant. So they are first dealt by the intent's
name; then bucket by bucket is folded, and each intent goes to its partition in one piece.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from types import TracebackType
from typing import Any, Final, Self

from simulator.audit import rules
from simulator.audit.clients import Attempt, Clients, Intent, Outline, fold_customer
from simulator.blocks import Blocks

BUCKET_BYTES: Final = 16 << 20
_LINE_BYTES: Final = 300  # of a line besides the answer's body

_OF_ATTEMPT: Final = tuple(member.name for member in fields(Attempt))
Numbered = tuple[int, Intent]  # by the intent's first line: the order in which they were meant


class HistoryShelf:
    """`with HistoryShelf(lines, size) as shelf:` everything is read on entering."""

    outline: Clients

    def __init__(self, lines: Iterable[Mapping[str, Any]], size_bytes: int) -> None:
        self._source = lines
        self._buckets = Blocks(1 + size_bytes // BUCKET_BYTES)
        self.lines = 0

    def __enter__(self) -> Self:
        try:
            self._deal_by_name()
        except BaseException:
            self._buckets.__exit__(None, None, None)
            raise
        return self

    def _deal_by_name(self) -> None:
        outline = Outline()
        for line in self._source:
            self.lines += 1
            if not outline.take(line):
                size = _LINE_BYTES + len(line.get("body") or "")
                self._buckets.put(hash(line["intent"]) % self._buckets.count, (self.lines, dict(line)), size)
        self.outline = outline.finish()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._buckets.__exit__(kind, error, trace)

    def whole(self) -> Clients:
        """Everything in memory, as of a short history."""
        intents = sorted(self._intents(), key=lambda numbered: numbered[0])
        return self.outline.slice(intent for _, intent in intents)

    def deal(self, blocks: Blocks) -> None:
        """Each intent to its partition's shelf, to be read by `intents_of`."""
        for numbered in self._intents():
            put_intent(blocks, rules.partition_of(numbered[1].merchant_id.encode(), blocks.count), numbered)

    def _intents(self) -> Iterator[Numbered]:
        for bucket in range(self._buckets.count):
            intents: dict[str, Intent] = {}
            numbers: dict[str, int] = {}
            for lines in self._buckets.take(bucket):
                for number, line in lines:
                    fold_customer(intents, line)
                    numbers.setdefault(line["intent"], number)
            for name, intent in intents.items():
                yield numbers[name], intent


def put_intent(blocks: Blocks, shelf: int, numbered: Numbered) -> None:
    number, intent = numbered
    attempts = [tuple(getattr(one, member) for member in _OF_ATTEMPT) for one in intent.attempts.values()]
    size = _LINE_BYTES + sum(2 * _LINE_BYTES + len(one.body or "") for one in intent.attempts.values())
    meant = intent.name, intent.at, intent.merchant_id, intent.operation, intent.payload, intent.persona
    blocks.put(shelf, (number, meant, attempts), size)


def intents_of(blocks: Blocks, shelf: int) -> Iterator[Numbered]:
    for values in blocks.take(shelf):
        for number, meant, attempts in values:
            intent = Intent(*meant)
            intent.attempts = {one[0]: Attempt(*one) for one in attempts}
            yield number, intent
