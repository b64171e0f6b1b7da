"""What made a customer ask again, or a command run again, told from the history."""

from typing import Any

import pytest

from simulator.audit.report import Repeat
from simulator.report.folding import fold
from simulator.report.triggers import Triggers

AT = 1_000_000


def line(kind: str, at: int, **members: Any) -> dict[str, Any]:
    return {"kind": kind, "at": AT + at, **members}


def asked(attempt: int, at: int) -> dict[str, Any]:
    meant = {"intent": "i", "merchant_id": "m", "operation": "charge.create"}
    return line("invoke", at, attempt=attempt, gateway="gateway 0", **meant)


def ended(attempt: int, at: int, kind: str, **members: Any) -> dict[str, Any]:
    return line(kind, at, intent="i", attempt=attempt, **members)


def fault(name: str, phase: str, at: int, **detail: Any) -> dict[str, Any]:
    return line("fault", at, fault=name, phase=phase, detail={"number": 1, **detail})


def lost(name: str, at: int, manner: str = "reset", gateway: str = "gateway 0") -> list[dict[str, Any]]:
    hit = fault(name, "hit", at, gateway=gateway, manner=manner)
    return [fault(name, "begin", 0), hit, fault(name, "end", 9_000)]


KILL = [
    fault("kill_processor", "begin", 0),
    fault("kill_processor", "hit", 900, process="p"),
    fault("kill_processor", "end", 950),
]


def hole(ends: int) -> list[dict[str, Any]]:
    """A request vanishes; whatever lost bytes is reset when the fault ends."""
    hit = fault("black_hole", "hit", 3, gateway="gateway 0", manner="silence")
    return [fault("black_hole", "begin", 0), hit, fault("black_hole", "end", ends)]


def gateway_killed(process: str) -> list[dict[str, Any]]:
    hit = fault("kill_gateway", "hit", 95, process=process, pid=7)
    return [fault("kill_gateway", "begin", 90), hit, fault("kill_gateway", "end", 120)]


RESET = {"kind": "info", "reason": "the connection was reset: Connection reset by peer"}
PATIENCE = {"kind": "info", "reason": "no answer within 4000 ms"}
GONE = {"kind": "info", "reason": "the customer's connection was lost"}
ANSWER = {"kind": "ok", "status": 201, "replayed": False}


@pytest.mark.parametrize(
    ("faults", "end", "expected"),
    [
        (lost("lose_response", 98), RESET, "lose_response"),
        (lost("lose_request", 98), RESET, "lose_request"),
        (lost("lose_request", 3, "silence"), PATIENCE, "lose_request"),
        (lost("lose_response", 98, gateway="gateway 1"), RESET, "connection_reset"),
        (lost("lose_response", 50), RESET, "connection_reset"),
        (lost("slow_link", 98, "late"), RESET, "connection_reset"),
        (lost("deliver_twice", 98, "copy"), RESET, "connection_reset"),
        (lost("slow_link", 98, "late") + lost("lose_response", 90), RESET, "lose_response"),
        (lost("slow_link", 3, "late"), PATIENCE, "slow_answer"),
        (hole(ends=101), RESET, "black_hole"),
        (hole(ends=9_000), RESET, "connection_reset"),
        (KILL, RESET, "connection_reset"),
        (gateway_killed("gateway 0"), RESET, "kill_gateway"),
        (gateway_killed("gateway 1"), RESET, "connection_reset"),
        (KILL, PATIENCE, "kill_processor"),
        ([], PATIENCE, "slow_answer"),
        (lost("lose_response", 98), GONE, "own_connection_lost"),
        ([], ANSWER, "asked_after_answer"),
    ],
)
def test_the_end_of_the_request_before_says_why_a_customer_asked_again(
    faults: list[dict[str, Any]], end: dict[str, Any], expected: str
) -> None:
    """A loss of that kind on that gateway within 30 ms, a disturbance meanwhile, or the customer's own habit."""
    history = sorted([*faults, asked(1, 0), ended(1, 100, **end), asked(2, 300)], key=lambda one: one["at"])
    told = fold(history)
    operation = told.operations["i"]
    assert Triggers(told).of_try(operation, operation.tries[1]) == expected


def test_asking_before_the_answer_is_a_double_click_whatever_was_lost() -> None:
    """The second click cannot have been set off by what came after it."""
    told = fold([asked(1, 0), asked(2, 50), *lost("lose_response", 99), ended(1, 100, **RESET)])
    operation = told.operations["i"]
    assert Triggers(told).of_try(operation, operation.tries[1]) == "double_click"


@pytest.mark.parametrize(("cause", "expected"), [("crash_redelivery", "kill_processor"), ("rewind", "rewind_offsets")])
def test_a_redelivery_is_set_off_by_a_fault_of_its_kind(cause: str, expected: str) -> None:
    """Offsets that were moved explain a rewind and no crash, though both faults were on."""
    rewind = [
        fault("rewind_offsets", "begin", 10),
        fault("rewind_offsets", "hit", 800, **{"partition": 0, "from": 9, "to": 4}),
        fault("rewind_offsets", "end", 960),
    ]
    told = fold([*KILL, *rewind])
    again = Repeat(AT + 700, AT + 100, "i", "m", "charge.succeeded", "ch", cause, "taken", 5, "eur", 0, 7, 6)
    assert Triggers(told).of_repeat(again) == expected


def test_a_copy_of_the_network_is_told_by_the_charge_it_made() -> None:
    """Whichever fault made it, also where a customer's own retry or another copy was nearer."""
    made = {"gateway": "gateway 0", "manner": "copy", "intent": "i"}
    late = [fault("deliver_late", "begin", 0), fault("deliver_late", "hit", 900, **made, sent_at=AT + 890, made="ch_2")]
    twice = [
        fault("deliver_twice", "begin", 0),
        fault("deliver_twice", "hit", 20, **made, sent_at=AT + 10, made="ch_1"),
    ]
    told = fold([asked(1, 0), ended(1, 5, **GONE), asked(2, 880), *twice, *late])

    def of(charge_id: str, intent: str = "i") -> str:
        cause = "network_duplicate"
        again = Repeat(AT + 15, AT + 12, intent, "m", "charge.succeeded", charge_id, cause, "taken", 5, "eur", 0, 7, 6)
        return Triggers(told).of_repeat(again)

    assert (of("ch_1"), of("ch_2")) == ("deliver_twice", "deliver_late")
    assert of("ch_of_the_original") == "deliver_twice"
    assert of("ch_3", intent="another") == "not_known"


def test_bytes_that_a_client_sent_again_by_itself_are_told_with_what_made_it() -> None:
    """A silent resend after a lost answer is that loss; without one it is the client's own doing."""
    resent = line("resend", 100, intent="i", attempt=1, gateway="gateway 0")
    again = Repeat(AT + 150, AT + 140, "i", "m", "charge.succeeded", "ch", "client_retry", "taken", 5, "eur", 0, 7, 6)
    explained = fold([asked(1, 0), *lost("lose_response", 98), resent, ended(1, 180, **ANSWER)])
    alone = fold([asked(1, 0), resent, ended(1, 180, **ANSWER)])
    assert Triggers(explained).of_repeat(again) == "lose_response"
    assert Triggers(alone).of_repeat(again) == "silent_resend"


def test_a_retry_under_a_new_key_is_known_as_one() -> None:
    """Then every key was honoured, and the customer was charged twice all the same."""
    told = fold([{**asked(1, 0), "idempotency_key": "a"}, {**asked(2, 9), "idempotency_key": "b"}])
    assert [one.new_key for one in told.operations["i"].tries] == [False, True]
