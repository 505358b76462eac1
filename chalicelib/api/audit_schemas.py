"""Shapes of the audit trail."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from chalicelib.api.schemas import PageQuery, ShownId, ShownMoment, WireModel
from chalicelib.domain.audit import AuditEntry, AuditFilter

Sought = Annotated[str, Field(min_length=1, max_length=200)] | None


class ListAuditQuery(PageQuery):
    """Which entries of the audit trail."""

    subject: Sought = Field(default=None, description="who, to the letter")
    target: Sought = Field(default=None, description="the id of what was changed, to the letter")
    action: Sought = Field(default=None, description="a part of the action, such as `/start`")

    def to_filter(self) -> AuditFilter:
        """Say it in the domain's words."""
        return AuditFilter(self.subject, self.target, self.action)


class ChangeResponse(WireModel):
    """What a field was and what it became."""

    before: str | None
    after: str | None


class AuditEntryResponse(WireModel):
    """Who changed or sent what, when, from what to what."""

    id: ShownId
    at: ShownMoment
    subject: str
    via: Annotated[str, Field(examples=["api", "pages"])]
    action: Annotated[str, Field(examples=["POST /mailings/{mailing_id}/start"])]
    target: str | None
    outcome: int | None = Field(description="HTTP status of the answer; null: it was begun, and its end is not known")
    request_id: str | None = Field(description="the request's `X-Request-Id`, by which the log has it")
    changes: Mapping[str, ChangeResponse] = Field(description="texts by length and hash, phones by their last digits")

    @classmethod
    def of(cls, entry: AuditEntry) -> "AuditEntryResponse":
        """Show an entry."""
        return cls(
            id=entry.id,
            at=entry.at,
            subject=entry.subject,
            via=entry.via,
            action=entry.action,
            target=entry.target,
            outcome=entry.outcome,
            request_id=entry.request_id,
            changes={
                name: ChangeResponse(before=before, after=after) for name, (before, after) in entry.changes.items()
            },
        )
