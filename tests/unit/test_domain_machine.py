"""The pure core, in Python and natively, against a naive model: whatever is sent, copied, rewound or forgotten."""

from collections import Counter
from typing import Any, NamedTuple

import orjson
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from events.guarantees import Guarantee
from events.identifiers import charge_id
from services.kafka.port import Outgoing
from services.processor.domain.rules import Rules, Standing
from services.processor.domain.settling import Settled, decode, lookups, settle, settle_expiry
from services.processor.domain.stored import of_events, of_key, of_records
from tests.support.native import assert_settled_alike, natively

WINDOW_MS = 1_000
RULES = Rules("payments", 0, 1, WINDOW_MS, Guarantee.EXACTLY_ONCE)
MERCHANTS = ("m1", "m2")
DESCRIPTIONS = (None, "order", 'quo"te', "line\nfeed", "\uffff", "😀")  # the last two sort differently in UTF-16
OUTCOMES = ("executed", "replayed", "refused", "expired", "dead")


ORDERS = st.tuples(
    st.sampled_from(MERCHANTS),
    st.sampled_from(["a", "b", "c", "d", "e", None]),
    st.sampled_from(["charge.create", "charge.create", "charge.capture", "charge.void", "refund.create"]),
    st.sampled_from([None, 1, 5, 10]),
    st.sampled_from(["pm_card_visa", "pm_card_visa", "pm_card_expired"]),
    st.sampled_from([None, False]),
    st.integers(0, 5),  # which of the newest charges
    st.sampled_from([500, 100_000]),  # how long the command may wait
)


class Read(NamedTuple):
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class Model:
    """What should have happened, by dictionaries: no store, no positions, no batches."""

    def __init__(self) -> None:
        self.keys: dict[tuple[str, str], tuple[str, int]] = {}  # (merchant, key) -> request, expiry
        self.executed: dict[tuple[str, str], tuple[str, str]] = {}  # (merchant, command id) -> (merchant, key)
        self.money: dict[str, list[int]] = {}  # charge -> [held, captured, refunded]; held -1: over

    def take(self, command: dict[str, Any], clock: int) -> str:
        merchant, cid = command["merchant_id"], command["command_id"]
        key = (merchant, command["idempotency_key"] or f"@{cid}")
        request = orjson.dumps([command["type"], command["payload"]], option=orjson.OPT_SORT_KEYS).decode()
        if self.executed.get((merchant, cid), key) != key:
            return "dead"
        if key in self.keys and clock < self.keys[key][1]:
            return "replayed" if self.keys[key][0] == request else "refused"
        if (merchant, cid) in self.executed or clock > command["deadline_at"]:
            return "expired"
        self.keys[key] = (request, clock + WINDOW_MS)
        if not self._moves(merchant, cid, command["type"], command["payload"]):
            return "refused"
        self.executed[merchant, cid] = key
        return "executed"

    def _moves(self, merchant: str, cid: str, operation: str, payload: dict[str, Any]) -> bool:
        amount = payload.get("amount")
        if operation == "charge.create":
            if payload["payment_method"] != "pm_card_visa":
                held = [-1, 0, 0]
            else:
                held = [amount, 0, 0] if payload.get("capture") is False else [-1, amount, 0]
            self.money[merchant + charge_id(merchant, cid)] = held
            return True
        charge = self.money.get(merchant + payload["charge_id"])
        if charge is None:
            return False
        held, captured, refunded = charge
        if operation == "refund.create":
            left = captured - refunded
            if left <= 0 or (amount or left) > left:
                return False
            charge[2] += amount or left
            return True
        if held < 0 or (operation == "charge.capture" and (amount or held) > held):
            return False
        charge[:2] = [-1, (amount or held) if operation == "charge.capture" else 0]
        return True


class Core(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.log: list[Read] = []
        self.now = 1_000_000
        self.store: dict[bytes, bytes | None] = {}
        self.standing = Standing(0, 0)
        self.read_from = 0
        self.keys: list[Outgoing] = []
        self.charges: list[Outgoing] = []
        self.answers: dict[int, set[str]] = {}
        self.model = Model()
        self.expected = 0
        self.minted = 0
        self.seen_charges = ["ch_" + "0" * 32]

    def _append(self, command: dict[str, Any]) -> None:
        self.now += 1
        self.log.append(Read(len(self.log), self.now, command["merchant_id"].encode(), orjson.dumps(command)))

    @rule(orders=st.lists(ORDERS, min_size=1, max_size=8))
    def send(self, orders: list[tuple[Any, ...]]) -> None:
        for merchant, key, operation, amount, method, capture, about, patience in orders:
            self.minted += 1
            cid = f"00000000-0000-7000-8000-{self.minted:012x}"
            if operation == "charge.create":
                payload = {"amount": amount or 7, "currency": "usd", "payment_method": method, "capture": capture}
                payload["description"] = DESCRIPTIONS[about]
                payload["metadata"] = {name: "1" for name in DESCRIPTIONS[about:] if name is not None}
                self.seen_charges.append(charge_id(merchant, cid))
            else:
                payload = {"charge_id": self.seen_charges[-1 - about % len(self.seen_charges)]}
                if operation != "charge.void":
                    payload["amount"] = amount
            command = {"command_id": cid, "type": operation, "merchant_id": merchant, "idempotency_key": key}
            self._append({**command, "issued_at": 0, "deadline_at": self.now + patience, "payload": payload})

    @rule(which=st.integers(0, 1_000), other_key=st.booleans())
    def copy_an_old_command(self, which: int, other_key: bool) -> None:
        if self.log:
            value = self.log[which % len(self.log)].value or b""
            command = orjson.loads(value) if value.startswith(b"{") else None
            if command is not None:
                self._append({**command, "idempotency_key": "z"} if other_key else command)

    @rule()
    def something_unreadable(self) -> None:
        self.now += 1
        self.log.append(Read(len(self.log), self.now, b"m1", b"nonsense"))

    @rule(ms=st.sampled_from([400, 1_500, 1_500]))
    def time_passes(self, ms: int) -> None:
        self.now += ms

    @rule(records=st.integers(1, 12))
    def work(self, records: int) -> None:
        """One batch; the same batch record by record comes to the same bytes."""
        batch = self.log[self.read_from : self.read_from + records]
        fresh = [record for record in batch if record.offset >= self.standing.position]
        outcomes = Counter(self._should(record) for record in fresh)
        self.expected += outcomes["executed"]
        settled = self._settle(batch, self.standing, self.store)
        if len(fresh) == len(batch):
            assert outcomes == +Counter({name: getattr(settled, name) for name in OUTCOMES})
        singly_store, singly = dict(self.store), self.standing
        one_by_one: list[Outgoing] = []
        for record in batch:
            one = self._settle([record], singly, singly_store)
            singly_store.update(one.writes)
            singly = one.standing
            one_by_one += [*one.charges, *one.keys, *one.replies]
            for reply in one.replies:
                self.answers.setdefault(record.offset, set()).add(orjson.loads(reply.value or b"")["body"])
        assert sorted(one_by_one) == sorted([*settled.charges, *settled.keys, *settled.replies])
        assert settled.standing.position >= self.standing.position
        assert settled.standing.clock >= self.standing.clock
        self.store.update(settled.writes)
        self.standing = settled.standing
        self.read_from += len(batch)
        self.keys += settled.keys
        self.charges += settled.charges

    def _should(self, record: Read) -> str:
        if record.value == b"nonsense":
            return "dead"
        return self.model.take(orjson.loads(record.value or b""), max(self.standing.clock, record.timestamp))

    def _settle(self, batch: list[Read], standing: Standing, store: dict[bytes, bytes | None]) -> Settled:
        incoming = decode(RULES, batch)
        found = {key: store[key] for key in lookups(RULES, incoming) if store.get(key) is not None}
        settled = settle(RULES, standing, incoming, found)
        assert_settled_alike(settled, natively(RULES, standing, batch, store))
        return settled

    @rule(back=st.integers(1, 30))
    def rewind(self, back: int) -> None:
        self.read_from = max(0, self.read_from - back)

    @rule()
    def crash(self) -> None:
        """Everything is forgotten but the log: the store comes back from it alone, byte for byte."""
        before = {key: value for key, value in self.store.items() if value is not None}
        self.store = {}
        self.store |= of_records([Read(at, 0, one.key, one.value) for at, one in enumerate(self.keys)])
        self.store |= of_events([Read(at, 0, one.key, one.value) for at, one in enumerate(self.charges)], once=True)
        assert before == {key: value for key, value in self.store.items() if value is not None}

    @rule()
    def expire(self) -> None:
        """Tombstones go only to keys that nobody may be answered from."""
        live = [(record.key, record.value) for record in self.keys if record.key and record.value]
        found = {of_key(key): self.store.get(of_key(key)) for key, _ in live}
        tombstones, gone = settle_expiry(RULES, self.standing, live, found)
        for value in (found[key] for key in gone):
            assert orjson.loads(value or b"")["expires_at"] <= self.standing.clock
        self.keys += tombstones
        self.store.update(gone)

    @invariant()
    def one_event_for_each_execution(self) -> None:
        events = [orjson.loads(charge.value or b"") for charge in self.charges]
        assert self.expected == len(events) == len({event["event_id"] for event in events})
        latest = {}
        for event in events:
            charge = event["data"]["charge"]
            assert 0 <= charge["amount_refunded"] <= charge["amount_captured"] <= charge["amount"]
            assert event["sequence"] == latest.get(charge["id"], (0, None))[0] + 1
            latest[charge["id"]] = (event["sequence"], charge)
        for _, charge in latest.values():
            _, captured, refunded = self.model.money[charge["merchant_id"] + charge["id"]]
            assert (captured, refunded) == (charge["amount_captured"], charge["amount_refunded"])

    @invariant()
    def a_redelivered_command_is_answered_as_before(self) -> None:
        """Except that `command_expired` may follow, once the key has gone."""
        for answers in self.answers.values():
            assert len({body for body in answers if '"command_expired"' not in body}) <= 1


TestCore = Core.TestCase
TestCore.settings = settings(
    max_examples=80, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
