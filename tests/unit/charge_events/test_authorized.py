"""charge.authorized: held, not taken."""

from services.ledger.domain import Balance
from tests.support.charge_life import Life


def test_a_hold_takes_nothing() -> None:
    """With `capture` false the amount is held, and there is nothing to refund."""
    life = Life()
    status, body = life.created(capture=False)
    assert (status, body["status"], body["amount_captured"], body["captured"]) == (201, "authorized", 0, False)
    assert life.balance == Balance(authorized=500)
    assert life.does("refund.create").body["code"] == "charge_not_captured"
