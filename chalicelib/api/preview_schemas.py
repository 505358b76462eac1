from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field

from chalicelib.api.schemas import ShownMoment, WireModel
from chalicelib.services.preview_mailing import Preview

Count = Annotated[int, Field(ge=0)]


class UnreachableReasonsResponse(WireModel):
    """How many clients cannot be reached, by what stands against it."""

    too_late: Count = Field(description="the mailing is over before a request may begin")
    window: Count = Field(description="their window does not open before the end")
    timezone: Count = Field(description="their time zone is unknown, and so when their window opens")
    rate: Count = Field(description="the limit of requests a second is too low for all who could be reached")


class PreviewResponse(WireModel):
    """What would become of a mailing; nothing was stored."""

    audience: Count = Field(description="clients who would get a message; the suppressed are not among them")
    suppressed: Count = Field(description="clients whom the filter means and who opted out")
    estimated: bool = Field(description="the audience is too large to be read, and was worked out from a sample")
    by_timezone: Mapping[str, Count] = Field(
        description="the audience by time zone", examples=[{"Europe/Moscow": 1200}]
    )
    opens_at: Mapping[str, ShownMoment | None] = Field(
        description="by time zone, when the first request may begin; null: at no time before the end"
    )
    sms_parts: int = Field(ge=1, description="parts of one message")
    sms_encoding: Literal["GSM 03.38", "UCS-2"] = Field(description="what the text needs: 160 or 70 characters a part")
    reachable: Count = Field(
        description="of the audience, who can be reached by the end, at most: within the window of each, and no faster "
        "than PROVIDER_MAX_PER_SECOND"
    )
    unreachable: Count = Field(description="of the audience, who cannot")
    unreachable_reasons: UnreachableReasonsResponse
    cost: str | None = Field(
        description="of the parts of everyone who can be reached; null: no price is set (SMS_PART_PRICE)",
        examples=["1250.00"],
    )
    currency: str | None = Field(description="of the cost, a code of ISO 4217", examples=["EUR"])

    @classmethod
    def of(cls, preview: Preview) -> Self:
        """Show a preview."""
        zones, reach, cost = preview.count.zones, preview.reach, preview.cost
        reasons = UnreachableReasonsResponse(
            too_late=reach.too_late, window=reach.window, timezone=reach.timezone, rate=reach.rate
        )
        return cls(
            audience=zones.total(),
            suppressed=preview.count.suppressed,
            estimated=preview.count.estimated,
            by_timezone=dict(zones.most_common()),
            opens_at=reach.opens_at,
            sms_parts=preview.parts.parts,
            sms_encoding=preview.parts.encoding.value,
            reachable=reach.reachable,
            unreachable=zones.total() - reach.reachable,
            unreachable_reasons=reasons,
            cost=f"{cost.amount:f}" if cost else None,
            currency=cost.currency if cost else None,
        )
