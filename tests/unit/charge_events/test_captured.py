"""charge.captured: what was held is taken, once."""

from services.ledger.domain import Balance
from tests.support.charge_life import Life


def test_a_part_captured_releases_the_rest() -> None:
    """Of 500 held, 300 are captured and 200 are free again."""
    life = Life()
    life.created(capture=False)
    status, body = life.does("charge.capture", amount=300)
    assert (status, body["status"], body["amount"], body["amount_captured"]) == (200, "captured", 500, 300)
    assert life.balance == Balance(captured=300, net=300)
    assert life.does("charge.capture", amount=200).body["code"] == "charge_already_captured"


def test_more_than_was_held_is_not_captured() -> None:
    """One minor unit too many is refused, and all of it can still be captured."""
    life = Life()
    life.created(capture=False)
    assert life.does("charge.capture", amount=501).body["code"] == "capture_too_large"
    assert life.does("charge.capture").body["amount_captured"] == 500
