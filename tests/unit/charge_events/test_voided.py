"""charge.voided: what was held is free again."""

from services.ledger.domain import Balance
from tests.support.charge_life import Life


def test_a_void_releases_everything() -> None:
    """Nothing is held afterwards, and nothing more can be done."""
    life = Life()
    life.created(capture=False)
    status, body = life.does("charge.void")
    assert (status, body["status"]) == (200, "voided")
    assert life.balance == Balance()
    for operation in ("charge.capture", "charge.void", "refund.create"):
        assert life.does(operation).body["code"] == "charge_already_voided"
