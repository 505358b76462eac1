from typing import Any, Literal, Self

from pydantic import Field
from typing_extensions import TypeAliasType

from chalicelib.api.mailing_schemas import MailingStatus, WindowShape
from chalicelib.api.message_schemas import MessageResponse
from chalicelib.api.schemas import ShownMoment, WireModel
from chalicelib.domain.explain import Explanation, Facts
from chalicelib.domain.message import Message

NextStep = TypeAliasType("NextStep", Literal["send", "wait", "expire", "cancel", "fail", "none"])


class FactsResponse(WireModel):
    """What an explanation rests upon; null is what does not apply or is not known any more."""

    mailing_status: MailingStatus | None = Field(description="null: the mailing was deleted")
    end_at: ShownMoment | None
    window: WindowShape | None
    timezone: str | None = Field(description="of the client; null: the client was deleted")
    local_time: str | None = Field(description="what the client's clock shows", examples=["23:10"])
    opens_at: ShownMoment | None = Field(description="when the window opens; null while it is open")
    attempts: int
    attempts_left: int | None = Field(description="open messages only")
    uncertain: int = Field(description="attempts of which nobody knows whether the provider took the message")
    crashes: int = Field(description="how often a sender died with it in hand since its last outcome")
    not_before: ShownMoment | None = Field(description="no request before it")
    leased_until: ShownMoment | None = Field(description="a sender has it in hand until then")
    looked_at_by: ShownMoment | None = Field(description="after which somebody looks again, whatever was lost")
    provider_down_since: ShownMoment | None = Field(description="null while requests to the provider are made")

    @classmethod
    def of(cls, facts: Facts) -> Self:
        """Show the facts."""
        shown: dict[str, Any] = {name: getattr(facts, name) for name in cls.model_fields}
        shown |= {
            "mailing_status": facts.mailing_status.value if facts.mailing_status else None,
            "window": WindowShape.of(facts.window) if facts.window else None,
            "local_time": f"{facts.local_time:%H:%M}" if facts.local_time else None,
        }
        return cls(**shown)


class ExplanationResponse(WireModel):
    """Why a message is where it is, what happens next and when."""

    message: MessageResponse
    explanation: str = Field(description="in words; for people, and may be worded otherwise in another release")
    next: NextStep = Field(
        description="send: a request, as soon as a sender is free, or one is under way; wait: nothing until next_at, "
        "or until somebody starts or resumes the mailing; expire, cancel, fail: it ends without a further request; "
        "none: it has ended"
    )
    next_at: ShownMoment | None = Field(description="null: at once, never, or nobody knows when")
    facts: FactsResponse

    @classmethod
    def of(cls, message: Message, explanation: Explanation) -> Self:
        """Show a message with its explanation."""
        return cls(
            message=MessageResponse.of(message),
            explanation=explanation.text,
            next=explanation.next.value,
            next_at=explanation.next_at,
            facts=FactsResponse.of(explanation.facts),
        )
