from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator
from typing_extensions import TypeAliasType

from chalicelib.api.schemas import (
    ClockTime,
    Entity,
    GivenMoment,
    OperatorCode,
    PageQuery,
    ShownId,
    ShownMoment,
    Tag,
    Text,
    WireModel,
    absent,
)
from chalicelib.domain.audience import AudienceFilter
from chalicelib.domain.local_window import LocalWindow
from chalicelib.domain.mailing import Mailing, OnUncertain
from chalicelib.errors import FieldError, ValidationError
from chalicelib.services.manage_mailings import NewMailing

Codes = Annotated[list[OperatorCode], Field(max_length=100, description="any of these; empty: all")]
Tags = Annotated[list[Tag], Field(max_length=100, description="any of these; empty: all")]
MailingStatus = TypeAliasType(
    "MailingStatus", Literal["draft", "scheduled", "running", "paused", "finished", "cancelled"]
)
Uncertain = TypeAliasType("Uncertain", Literal["retry", "hold"])


class FilterShape(WireModel):
    """Whom a mailing is for: within a list any, of both lists one each; empty lists mean all clients."""

    operator_codes: Codes = Field(default_factory=list)
    tags: Tags = Field(default_factory=list)

    def applied_to(self, before: AudienceFilter) -> AudienceFilter:
        """Merge what is named into a filter."""
        changes: dict[str, Any] = {name: tuple(getattr(self, name)) for name in self.model_fields_set}
        return replace(before, **changes)


class FilterResponse(WireModel):
    """Whom a mailing is for: within a list any, of both lists one each; empty lists mean all clients."""

    operator_codes: Codes
    tags: Tags

    @classmethod
    def of(cls, audience: AudienceFilter) -> Self:
        """Show a filter."""
        return cls(operator_codes=list(audience.operator_codes), tags=list(audience.tags))


class WindowShape(WireModel):
    """The hours of each client's own day, `[from, to)`, in which it may be written to; may cross midnight."""

    from_: ClockTime = Field(alias="from", examples=["09:00"])
    to: ClockTime = Field(examples=["21:00"])

    @model_validator(mode="after")
    def _check(self) -> Self:
        self.window  # noqa: B018 - raises if there is no such window
        return self

    @property
    def window(self) -> LocalWindow:
        """The window meant."""
        return LocalWindow.parse(self.from_, self.to)

    @classmethod
    def of(cls, window: LocalWindow) -> Self:
        """Show a window."""
        return cls.model_validate({"from": f"{window.opens_at:%H:%M}", "to": f"{window.closes_at:%H:%M}"})


class ChangeWindowShape(WireModel):
    """What is to change of a window; of a mailing that has none, both must be named."""

    from_: ClockTime = Field(alias="from", default_factory=absent, examples=["09:00"])
    to: ClockTime = Field(default_factory=absent, examples=["21:00"])

    def applied_to(self, before: LocalWindow | None) -> LocalWindow:
        """Merge what is named into a window.

        Raises:
            ValidationError: a time is missing, or both are the same.
        """
        given = self.model_dump(by_alias=True, exclude_unset=True)
        times: dict[str, str] = (WindowShape.of(before).model_dump(by_alias=True) if before else {}) | given
        missing = [FieldError(f"window.{name}", "Field required") for name in ("from", "to") if name not in times]
        if missing:
            raise ValidationError(*missing)
        try:
            return LocalWindow.parse(times["from"], times["to"])
        except ValueError as error:
            raise ValidationError(FieldError("window", str(error))) from error


class CreateMailingRequest(WireModel):
    """A mailing to create. It starts at `start_at`, or at once if that has passed; a draft when it is told to."""

    start_at: GivenMoment = Field(examples=["2030-12-01T09:00:00+03:00"])
    end_at: GivenMoment = Field(
        description="after start_at, in the future, at most 30 days after start_at",
        examples=["2030-12-01T21:00:00+03:00"],
    )
    text: Text
    filter: FilterShape = Field(default_factory=FilterShape)
    window: WindowShape | None = Field(default=None, examples=[{"from": "09:00", "to": "21:00"}])
    on_uncertain: Uncertain = Field(
        default="retry", description="what becomes of a message of which nobody knows whether the provider took it"
    )
    draft: bool = Field(default=False, description="not to be started before POST /mailings/{id}/start")

    def to_new_mailing(self) -> NewMailing:
        """Make of it what the use case takes."""
        return NewMailing(
            start_at=self.start_at,
            end_at=self.end_at,
            text=self.text,
            filter=self.filter.applied_to(AudienceFilter()),
            window=self.window.window if self.window else None,
            on_uncertain=OnUncertain(self.on_uncertain),
            draft=self.draft,
        )


class ChangeMailingRequest(WireModel):
    """What is to change of a mailing; fields that are not named stay, within `filter` and `window` too.

    `null` takes the window away. `filter` and `start_at` can change only before the mailing starts.
    """

    start_at: GivenMoment = Field(default_factory=absent, examples=["2030-12-01T09:00:00+03:00"])
    end_at: GivenMoment = Field(default_factory=absent, examples=["2030-12-01T21:00:00+03:00"])
    text: Text = Field(default_factory=absent)
    filter: FilterShape = Field(default_factory=absent)
    window: ChangeWindowShape | None = Field(default_factory=absent)
    on_uncertain: Uncertain = Field(default_factory=absent)

    def applied_to(self, mailing: Mailing) -> Mailing:
        """Make the changed mailing.

        Raises:
            ValidationError: half a window is named for a mailing that has none.
        """
        named = self.model_fields_set
        changes: dict[str, Any] = {name: getattr(self, name) for name in named & {"start_at", "end_at", "text"}}
        if "filter" in named:
            changes["filter"] = self.filter.applied_to(mailing.filter)
        if "window" in named:
            changes["window"] = self.window.applied_to(mailing.window) if self.window else None
        if "on_uncertain" in named:
            changes["on_uncertain"] = OnUncertain(self.on_uncertain)
        return replace(mailing, **changes)


class ListMailingsQuery(PageQuery):
    """Which mailings."""

    status: MailingStatus | None = Field(default=None, description="only mailings of this status")


class MailingResponse(Entity):
    """A mailing."""

    id: ShownId
    start_at: ShownMoment
    end_at: ShownMoment
    text: str = Field(examples=["Hello"])
    filter: FilterResponse
    window: WindowShape | None
    on_uncertain: Uncertain
    status: MailingStatus
    created_at: ShownMoment
    updated_at: ShownMoment
    finished_at: ShownMoment | None

    @classmethod
    def of(cls, mailing: Mailing) -> Self:
        """Show a mailing."""
        shown: dict[str, Any] = {name: getattr(mailing, name) for name in cls.model_fields}
        shown |= {
            "filter": FilterResponse.of(mailing.filter),
            "window": WindowShape.of(mailing.window) if mailing.window else None,
            "on_uncertain": mailing.on_uncertain.value,
            "status": mailing.status.value,
        }
        return cls(**shown)


class ProcessMailingsResponse(WireModel):
    """Which mailings were due."""

    mailings: Sequence[str]
