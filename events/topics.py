"""Every topic once: its name, its key, how it is kept, and the one kind of writer it has.

Units:   retention in milliseconds, sizes in bytes.
Source:  CONTRACT, "The log".
"""

from dataclasses import dataclass, field
from typing import Final

MESSAGE_BYTES_MAX: Final = 1024 * 1024  # of a batch, not of a record
_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Topic:
    """`settings` are what a new topic gets; `required` are those without which the contract does not hold."""

    name: str
    key: str
    written_by: str
    required: dict[str, str]
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def created_with(self) -> dict[str, str]:
        return {**self.settings, **self.required}


_BATCHES = {"max.message.bytes": str(MESSAGE_BYTES_MAX)}

TOPICS: Final[dict[str, Topic]] = {
    topic.name: topic
    for topic in (
        Topic(
            "commands",
            key="merchant_id",
            written_by="gateway",
            required={"cleanup.policy": "delete", "message.timestamp.type": "LogAppendTime", **_BATCHES},
            settings={"retention.ms": str(7 * _DAY_MS)},
        ),
        Topic(
            "keys",
            key="merchant_id/idempotency_key",
            written_by="processor",
            required={"cleanup.policy": "compact", **_BATCHES},
            # A reader slower than this may miss a tombstone and keep a key; a restore from the beginning takes minutes.
            settings={"delete.retention.ms": str(_DAY_MS)},
        ),
        Topic(
            "charges",
            key="charge_id",
            written_by="processor",
            required={"cleanup.policy": "delete", **_BATCHES},
            settings={"retention.ms": "-1"},
        ),
        Topic(
            "replies",
            key="command_id",
            written_by="processor",
            required={"cleanup.policy": "delete", **_BATCHES},
            settings={"retention.ms": str(7 * _DAY_MS)},
        ),
        Topic(
            "dead-letters",
            key="as received",
            written_by="processor",
            required={"cleanup.policy": "delete", **_BATCHES},
            settings={"retention.ms": str(30 * _DAY_MS)},
        ),
    )
}


def topic_name(namespace: str, topic: str) -> str:
    """`payments.keys`; raises KeyError for a topic that the contract does not know."""
    return f"{namespace}.{TOPICS[topic].name}"


def processor_group(namespace: str) -> str:
    return f"{namespace}.processor"


def ledger_group(namespace: str) -> str:
    return f"{namespace}.ledger"
