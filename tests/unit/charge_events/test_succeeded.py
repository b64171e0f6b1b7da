"""charge.succeeded: created and captured in one step."""

from services.ledger.domain import Balance
from tests.support.charge_life import Life


def test_a_good_card_is_charged_at_once() -> None:
    """Without `capture`, or with `true` or null, the amount is taken and the answer is the charge."""
    for capture in ({}, {"capture": True}, {"capture": None}):
        life = Life()
        status, body = life.created(**capture)
        assert (status, body["status"], body["amount_captured"], body["captured"]) == (201, "succeeded", 500, True)
        assert life.balance == Balance(captured=500, net=500)


def test_what_is_captured_cannot_be_captured_or_voided() -> None:
    """Both are refused with the same code, and nothing happens."""
    life = Life()
    life.created()
    for operation in ("charge.capture", "charge.void"):
        status, body = life.does(operation)
        assert (status, body["code"]) == (409, "charge_already_captured")
    assert len(life.events) == 1
