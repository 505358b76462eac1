from dataclasses import replace
from typing import Any, Self

from pydantic import Field

from chalicelib.api.schemas import (
    Entity,
    OperatorCode,
    PageQuery,
    Phone,
    ShownId,
    ShownMoment,
    Tag,
    Timezone,
    WireModel,
    absent,
)
from chalicelib.domain.audience import AudienceFilter
from chalicelib.domain.client import Client
from chalicelib.services.manage_clients import NewClient, with_new_phone


class CreateClientRequest(WireModel):
    """A client to create."""

    phone: Phone
    timezone: Timezone
    operator_code: OperatorCode | None = Field(default_factory=absent, description="default: the three after the 7")
    tag: Tag | None = None

    def to_new_client(self) -> NewClient:
        """Make of it what the use case takes."""
        return NewClient(self.phone, self.timezone, self.operator_code, self.tag)


class ChangeClientRequest(WireModel):
    """What is to change of a client; fields that are not named stay. `null` takes the tag away.

    With a new phone the operator code follows, if it was that of the old phone and is not named itself.
    """

    phone: Phone = Field(default_factory=absent)
    timezone: Timezone = Field(default_factory=absent)
    operator_code: OperatorCode = Field(default_factory=absent)
    tag: Tag | None = Field(default_factory=absent)

    def applied_to(self, client: Client) -> Client:
        """Make the changed client."""
        if "phone" in self.model_fields_set:
            client = with_new_phone(client, self.phone)
        changes: dict[str, Any] = {name: getattr(self, name) for name in self.model_fields_set - {"phone"}}
        return replace(client, **changes)


class ListClientsQuery(PageQuery):
    """Which clients; what is given must all hold."""

    operator_code: OperatorCode | None = Field(default=None, description="only clients of this operator")
    tag: Tag | None = Field(default=None, description="only clients with this tag")
    phone: Phone | None = Field(default=None, description="only the client with this phone")

    @property
    def filter(self) -> AudienceFilter:
        """What of it the audience is read by."""
        return AudienceFilter(
            (self.operator_code,) if self.operator_code is not None else (), (self.tag,) if self.tag is not None else ()
        )


class ClientResponse(Entity):
    """A client."""

    id: ShownId
    phone: Phone
    operator_code: OperatorCode
    tag: str | None = Field(examples=["vip"])
    timezone: str = Field(examples=["Europe/Moscow"])
    created_at: ShownMoment
    updated_at: ShownMoment

    @classmethod
    def of(cls, client: Client) -> Self:
        """Show a client."""
        return cls(**{name: getattr(client, name) for name in cls.model_fields})
