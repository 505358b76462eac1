"""Clients of a business: those who get the messages."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Client:
    """One client.

    `version` grows by one with each change, so that two changes cannot mix. `suppressed`: the phone is, and nothing is
    sent to it.
    """

    id: str
    phone: str
    operator_code: str
    tag: str | None
    timezone: str
    created_at: datetime
    updated_at: datetime
    version: int = 1
    suppressed: bool = False
