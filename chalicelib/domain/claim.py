"""Claims: rows that were planned together, a bundle, are taken together, by one write.

A planned row bears the version of its bundle and is held, until it comes due, by whoever claims that. A bundle is
claimed once and for good: when the claim is over, or nobody may claim it any more, its rows are leased one by one.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from chalicelib.domain.message import UNLEASED, Message


@dataclass(frozen=True, slots=True)
class Claim:
    """Whose the rows of a bundle are, and until when."""

    owner: str
    until: datetime


DISSOLVED = Claim("", UNLEASED)
"""Nobody's, and never to be anybody's: each row of the bundle is free by itself."""


def is_bundled(message: Message, now: datetime) -> bool:
    """Tell whether a row is as it was planned, so that its bundle's claim says whose it is."""
    return message.leases == 0 and message.lease_until is not None and message.lease_until > now


def as_held(message: Message, claim: Claim | None) -> Message:
    """Show a bundled row with the lease of its own that its bundle's claim stands for.

    A claim whose owner died counts as a lease that was.
    """
    if claim is None or claim.until == UNLEASED:
        return replace(message, lease_until=UNLEASED)
    return replace(message, lease_until=claim.until, leases=1)
