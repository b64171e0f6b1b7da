"""The ladder of guarantees: one word for what a processor promises about each command.

Source:  DESIGN, "The ladder of guarantees".
"""

from enum import StrEnum


class Guarantee(StrEnum):
    AT_MOST_ONCE = "at-most-once"  # offsets first, then the work: a crash between the two loses
    AT_LEAST_ONCE = "at-least-once"  # the work, then offsets, no deduplication: a crash repeats
    DEDUPLICATED = "deduplicated"  # the key record decides, but nothing ties it to the charge
    EXACTLY_ONCE = "exactly-once"  # key, charge, reply and offset in one Kafka transaction

    @property
    def looks_at_keys(self) -> bool:
        """Whether an earlier answer to the same key is looked for at all."""
        return self in (Guarantee.DEDUPLICATED, Guarantee.EXACTLY_ONCE)
