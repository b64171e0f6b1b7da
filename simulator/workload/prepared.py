"""Commands made before they are needed: the same for every system that is measured with them.

In:      a seed, how many, how many merchants, the share of replays.
Out:     prepared commands in order; a replay is a new command under an earlier key, merchant and payload.
Units:   instants in Unix milliseconds.
Source:  CONTRACT, "The log". All is a function of the arguments, ids and instants too, so that two runs differ in
         nothing. `issued_at` decides nothing, and `deadline_at` is so far away that nobody ever comes too late.
"""

from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple

from events.operations.create_charge import CREATE_CHARGE
from simulator.seeded import seeded

REPLAYS: Final = 0.2
RECENT: Final = 4_000  # first attempts among which a replay's is: a client's retries come within seconds
ISSUED_AT: Final = 1_750_000_000_000
DEADLINE_AT: Final = 4_102_444_800_000  # 2100-01-01
_VARIANT: Final = 0b10 << 62


class Prepared(NamedTuple):
    """One record of `commands`."""

    command_id: bytes
    key: bytes
    value: bytes
    is_replay: bool


def merchant_names(count: int) -> list[str]:
    return [f"merchant_{number:04d}" for number in range(count)]


def prepared_commands(
    seed: int, count: int, merchants: int = 1_000, replays: float = REPLAYS, first: int = 0
) -> Iterator[Prepared]:
    """`first` is the number of the first: two stretches that do not overlap have no key in common."""
    chance = seeded("prepared commands", seed, first)
    names = merchant_names(merchants)
    recent: deque[tuple[str, str]] = deque(maxlen=RECENT)  # merchants, and all that a replay repeats
    for number in range(first, first + count):
        is_replay = bool(recent) and chance.random() < replays
        if is_replay:
            merchant, said = recent[int(len(recent) * chance.random())]
        else:
            merchant = names[int(len(names) * chance.random())]
            said = _said(merchant, number, 100 + int(99_900 * chance.random()))
            recent.append((merchant, said))
        command_id = _uuid7(ISSUED_AT + number, chance.getrandbits(62))
        value = f'{{"command_id":"{command_id}","type":"{CREATE_CHARGE.name}",{said}}}'
        yield Prepared(command_id.encode(), merchant.encode(), value.encode(), is_replay)


def _said(merchant: str, number: int, amount: int) -> str:
    """The command's members after its id and type."""
    return (
        f'"merchant_id":"{merchant}","idempotency_key":"order-{number:010d}",'
        f'"issued_at":{ISSUED_AT},"deadline_at":{DEADLINE_AT},"payload":{{"amount":{amount},"currency":"eur",'
        f'"payment_method":"pm_card_visa","description":"order {number}",'
        f'"metadata":{{"order":"{number}","shop":"{merchant}"}}}}'
    )


def _uuid7(at_ms: int, chance: int) -> str:
    head, tail = f"{at_ms:012x}", f"{_VARIANT | chance:016x}"
    return f"{head[:8]}-{head[8:]}-7000-{tail[:4]}-{tail[4:]}"
