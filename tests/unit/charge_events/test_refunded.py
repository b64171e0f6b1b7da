"""charge.refunded: what was captured goes back, in parts or whole."""

from services.ledger.domain import Balance
from tests.support.charge_life import Life


def test_refunds_end_with_what_was_captured() -> None:
    """Of 300 captured, 100 go back, then the rest; then there is nothing left to refund."""
    life = Life()
    life.created(capture=False)
    life.does("charge.capture", amount=300)
    status, body = life.does("refund.create", amount=100)
    assert (status, body["object"], body["amount"]) == (201, "refund", 100)
    assert life.charge is not None
    assert (life.charge["status"], life.charge["amount_refunded"]) == ("partially_refunded", 100)
    assert life.does("refund.create", amount=201).body["code"] == "refund_too_large"
    assert life.does("refund.create").body["amount"] == 200
    assert (life.charge["status"], life.charge["amount_refunded"]) == ("refunded", 300)
    assert life.balance == Balance(captured=300, refunded=300)
    assert life.does("refund.create").body["code"] == "charge_already_refunded"
    assert life.does("charge.void").body["code"] == "charge_already_captured"
