"""What stands in `replies`: the answer to one command, for the gateway that sent it.

Source:  CONTRACT, "The log". Replies may repeat; those for one `command_id` are equal, except that `command_expired`
         may follow.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Reply(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)

    command_id: str
    merchant_id: str
    idempotency_key: str | None
    status: int
    replayed: Annotated[bool, Field(description="true iff the key record's command_id is another")]
    body: Annotated[str, Field(description="the exact answer text (RFC 8785 form)")]
