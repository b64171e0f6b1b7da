"""What was done more than once, by cause.

In:      a Book, whose guarantee allows it; what the vandals did.
Out:     how many event records too many: a customer's retry, a command that was put onto the log again, a
         redelivery after a crash, one after rewound offsets.
Source:  docs/contract.md: below exactly-once an event_id may repeat. Pure.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence

from tests.support.outside.book import Book

CAUSES = ("client retry", "appended again", "crash redelivery", "rewind")


def duplicates(book: Book, minted: Collection[str], rewound: Sequence[tuple[int, int, int]]) -> Counter[str]:
    found: Counter[str] = Counter()
    commands = book.commands_by_id()
    executed: dict[tuple[str, str], list[str]] = defaultdict(list)  # key and fingerprint: commands
    for command_id, events in book.events_by_command().items():
        asked = commands.get(command_id, [])
        copies = len(asked)
        found["appended again"] += max(0, min(len(events), copies) - 1)
        if again := max(0, len(events) - copies):
            places = [one.entry.place for one in asked]
            was_rewound = any(p == where and to <= at < frm for p, frm, to in rewound for where, at in places)
            found["rewind" if was_rewound else "crash redelivery"] += again
        # A command without a key may be repeated only by its own bytes.
        name = f"{events[0].content['merchant_id']}/{events[0].content['idempotency_key']}"
        if first := next((one for one in asked if one.key == name), None):
            executed[name, first.fingerprint].append(command_id)
    for command_ids in executed.values():
        by_vandals = sum(one in minted for one in command_ids)
        found["appended again"] += min(by_vandals, len(command_ids) - 1)
        found["client retry"] += max(0, len(command_ids) - by_vandals - 1)
    return found
