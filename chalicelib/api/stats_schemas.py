from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Literal, Self

from pydantic import Field

from chalicelib.api.mailing_schemas import MailingResponse, MailingStatus
from chalicelib.api.provider_schemas import ProviderResponse
from chalicelib.api.schemas import ShownId, ShownMoment, WireModel
from chalicelib.domain.breaker import Breaker
from chalicelib.domain.mailing import Mailing
from chalicelib.services.read_statistics import Counts, MailingStatistics, Overview, SweepProgress


class CountsResponse(WireModel):
    """Messages by status; always all of them."""

    queued: int
    deferred: int
    sent: int
    failed: int
    expired: int
    cancelled: int
    total: int

    @classmethod
    def of(cls, counts: Counts) -> Self:
        """Show counts."""
        return cls(**asdict(counts), total=counts.total)


class MailingCountsResponse(WireModel):
    """A mailing in the overview."""

    id: ShownId
    status: MailingStatus
    start_at: ShownMoment
    end_at: ShownMoment
    messages: CountsResponse

    @classmethod
    def of(cls, mailing: Mailing, counts: Counts) -> Self:
        """Show a mailing with its counts."""
        shown: dict[str, Any] = {name: getattr(mailing, name) for name in ("id", "start_at", "end_at")}
        return cls(**shown | {"status": mailing.status.value}, messages=CountsResponse.of(counts))


class OverviewResponse(WireModel):
    """Counts over all mailings, and those of one page of mailings."""

    totals: CountsResponse
    mailings: list[MailingCountsResponse]
    next: str | None
    provider: ProviderResponse | None

    @classmethod
    def of(cls, overview: Overview, next_cursor: str | None, breaker: Breaker | None) -> Self:
        """Show the overview."""
        return cls(
            totals=CountsResponse.of(overview.totals),
            mailings=[MailingCountsResponse.of(mailing, counts) for mailing, counts in overview.mailings.items],
            next=next_cursor,
            provider=ProviderResponse.of(breaker),
        )


class MinuteResponse(WireModel):
    """What was sent in one minute."""

    minute: ShownMoment
    sent: int


class ErrorCountResponse(WireModel):
    """How often requests ended in one error."""

    error: str
    count: int


class PlanningResponse(WireModel):
    """How far the audience has rows: `done` of `segments`; both 0 until the mailing starts."""

    segments: int
    done: int
    started_at: ShownMoment | None
    planned_at: ShownMoment | None
    late_seconds: float | None = Field(description="from start_at, or its creation if that was later, to started_at")


class SweepResponse(WireModel):
    """How far rows have followed the latest control or change: `done` of `segments`."""

    kind: Literal["follow", "retry"]
    segments: int
    done: int

    @classmethod
    def of(cls, sweep: SweepProgress) -> Self:
        """Show the progress of a sweep."""
        shown: dict[str, Any] = {"kind": sweep.kind.value, "segments": sweep.segments, "done": sweep.done}
        return cls(**shown)


class ReasonsResponse(WireModel):
    """How many messages for each reason that there is."""

    deferred: Mapping[str, int]
    failed: Mapping[str, int]
    cancelled: Mapping[str, int]


class MailingStatsResponse(WireModel):
    """Everything that is counted of a mailing."""

    mailing: MailingResponse
    messages: CountsResponse
    reasons: ReasonsResponse
    attempts: int = Field(description="requests to the provider that were answered, or were not")
    uncertain: int = Field(description="of these, those of which nobody knows whether the provider took the message")
    first_sent_at: ShownMoment | None
    last_sent_at: ShownMoment | None
    per_minute: list[MinuteResponse] = Field(description="the latest 120 minutes in which something was sent")
    errors: list[ErrorCountResponse] = Field(description="most common first")
    planning: PlanningResponse
    sweep: SweepResponse | None = Field(description="null until rows have had to follow something")
    provider: ProviderResponse | None

    @classmethod
    def of(cls, statistics: MailingStatistics, breaker: Breaker | None) -> Self:
        """Show the statistics of a mailing."""
        mailing, counts = statistics.mailing, statistics.counters.counts
        return cls(
            mailing=MailingResponse.of(mailing),
            messages=CountsResponse.of(Counts.of(counts)),
            reasons=ReasonsResponse(
                deferred=statistics.under("deferred"),
                failed=statistics.under("failed"),
                cancelled=statistics.under("cancelled"),
            ),
            attempts=counts["attempts"],
            uncertain=counts["uncertain"],
            first_sent_at=statistics.counters.first_sent_at,
            last_sent_at=statistics.counters.last_sent_at,
            per_minute=[MinuteResponse(minute=minute, sent=sent["sent"]) for minute, sent in statistics.per_minute],
            errors=[ErrorCountResponse(error=error, count=n) for error, n in statistics.under("error").items()],
            planning=PlanningResponse(
                segments=mailing.segments,
                done=statistics.segments_planned,
                started_at=mailing.started_at,
                planned_at=mailing.planned_at,
                late_seconds=mailing.late_seconds,
            ),
            sweep=SweepResponse.of(statistics.sweep) if statistics.sweep else None,
            provider=ProviderResponse.of(breaker),
        )
