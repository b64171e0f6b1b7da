"""charge.declined: the card said no."""

import pytest

from services.ledger.domain import Balance
from tests.support.charge_life import Life


@pytest.mark.parametrize("capture", [True, False])
def test_a_bad_card_is_declined_whatever_was_asked(capture: bool) -> None:
    """The answer says why and names the charge; no money moves, and nothing can be done with it."""
    life = Life()
    status, body = life.created(payment_method="pm_card_incorrect_cvc", capture=capture)
    assert (status, body["code"], body["decline_code"]) == (402, "card_declined", "incorrect_cvc")
    assert body["charge_id"] == life.charge_id
    assert life.charge is not None
    assert (life.charge["status"], life.charge["decline_code"]) == ("declined", "incorrect_cvc")
    for operation in ("charge.capture", "charge.void", "refund.create"):
        assert life.does(operation).body["code"] == "charge_declined"
    assert life.balance == Balance()
