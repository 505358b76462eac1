from typing import Any, Literal, Self

from pydantic import Field
from typing_extensions import TypeAliasType

from chalicelib.api.schemas import ShownMoment, WireModel
from chalicelib.domain.breaker import Breaker

ProviderState = TypeAliasType("ProviderState", Literal["closed", "open", "half_open"])
OutageCause = TypeAliasType("OutageCause", Literal["outage", "token"])


class ProviderResponse(WireModel):
    """How it stands with the provider: the breaker that all senders share."""

    state: ProviderState = Field(
        description="closed: requests are made; open: none is; half_open: one is on its way, and decides"
    )
    cause: OutageCause | None
    since: ShownMoment | None = Field(description="when it opened; null while it is closed")
    next_probe_at: ShownMoment | None
    slowed_until: ShownMoment | None = Field(description="no request before it: the provider said so (429)")

    @classmethod
    def of(cls, breaker: Breaker | None) -> Self | None:
        """Show the breaker, if it is known."""
        if breaker is None:
            return None
        shown: dict[str, Any] = {
            "state": breaker.state.value,
            "cause": breaker.cause.value if breaker.cause else None,
        }
        return cls(**shown, since=breaker.since, next_probe_at=breaker.probe_at, slowed_until=breaker.slowed_until)


class HealthResponse(WireModel):
    """That the API answers, and whether messages can be sent."""

    status: Literal["ok"]
    provider: ProviderResponse | None = Field(description="null: not known at the moment")
