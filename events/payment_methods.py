"""The test tokens that stand for cards. No card numbers anywhere.

Out:     `PAYMENT_METHODS`: why each token is declined; None succeeds. `DECLINED_CARDS`: those that are.
Source:  CONTRACT, "HTTP".
"""

from typing import Final, Literal

PAYMENT_METHODS: Final[dict[str, str | None]] = {
    "pm_card_visa": None,
    "pm_card_declined": "card_declined",
    "pm_card_insufficient_funds": "insufficient_funds",
    "pm_card_expired": "expired",
    "pm_card_incorrect_cvc": "incorrect_cvc",
    "pm_card_processing_error": "processing_error",
}
DECLINED_CARDS: Final = frozenset(token for token, reason in PAYMENT_METHODS.items() if reason is not None)

PaymentMethod = Literal[
    "pm_card_visa",
    "pm_card_declined",
    "pm_card_insufficient_funds",
    "pm_card_expired",
    "pm_card_incorrect_cvc",
    "pm_card_processing_error",
]
