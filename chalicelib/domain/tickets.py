"""Tickets: what lies in queues. They carry ids only and are hints to look at rows."""

import re
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import unquote_plus

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic import ValidationError as PydanticValidationError

from chalicelib.domain.message import MAX_TICKET_DELAY, Message
from chalicelib.errors import PermanentError

IDS_PER_TICKET = 24  # four of them fill a transaction
_ISSUES_NAMED = 5
_NAME = re.compile(r"[a-z_]{1,32}")

MessageId = Annotated[int, Field(gt=0, lt=2**53)]
Id = Annotated[str, Field(min_length=1, max_length=64)]


class Ticket(BaseModel):
    """What all tickets have: a version, so that a later release can tell its own from these.

    `correlation_id` is of the API call that set it going. It travels beside the body: a release that does not know it
    reads the ticket all the same.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    v: Literal[1]
    correlation_id: Annotated[str | None, Field(exclude=True)] = None


class MailingTicket(Ticket):
    """A ticket of a mailing."""

    mailing_id: Id

    @property
    def group(self) -> str:
        """What it belongs to: queues serve groups fairly."""
        return self.mailing_id


class MessagesTicket(MailingTicket):
    """Look at these messages of a mailing."""

    message_ids: Annotated[list[MessageId], Field(min_length=1, max_length=IDS_PER_TICKET)]

    def parted(self, rows: int) -> "tuple[MessagesTicket, MessagesTicket]":
        """Make two of it: one of so many messages, one of the others; both must have some."""
        head, tail = self.message_ids[:rows], self.message_ids[rows:]
        return self.model_copy(update={"message_ids": head}), self.model_copy(update={"message_ids": tail})


class SegmentTicket(MailingTicket):
    """Plan on at this segment of a mailing."""

    segment: Id


class ImportTicket(Ticket):
    """Look at these imports. S3 says so in its own words, when a file was uploaded."""

    import_ids: list[Id]

    @property
    def group(self) -> str:
        """What it belongs to."""
        return "".join(self.import_ids[:1])

    @model_validator(mode="before")
    @classmethod
    def _of_notification(cls, said: Any) -> Any:  # noqa: ANN401 - whatever stands in the queue
        """Read what S3 says of objects, and what it says to try whether it may write to the queue."""
        match said:
            case {"Event": "s3:TestEvent"}:
                return {"v": 1, "import_ids": []}
            case {"Records": [*records]}:
                keys = [record["s3"]["object"]["key"] for record in records if _names_object(record)]
                return (
                    {"v": 1, "import_ids": [unquote_plus(key) for key in keys]} if len(keys) == len(records) else said
                )
            case _:
                return said


def _names_object(record: object) -> bool:
    match record:
        case {"s3": {"object": {"key": str()}}}:
            return True
    return False


class StartEvent(BaseModel):
    """Start this mailing: what the planner is called with."""

    model_config = ConfigDict(frozen=True, strict=True)

    mailing_id: Id


AnyTicket = TypeVar("AnyTicket", bound=BaseModel)
Dealt = TypeVar("Dealt")


def read(shape: type[AnyTicket], body: str) -> AnyTicket:
    """Read a ticket.

    Raises:
        PermanentError: it is no JSON, of an unknown version, or has other fields; says which. Logs and the API show
            this: it repeats nothing of the body but names of fields that look like names.
    """
    try:
        return shape.model_validate_json(body)
    except PydanticValidationError as error:
        issues = error.errors(include_url=False, include_input=False, include_context=False)
        named = [f"{_path(issue['loc'])}: {issue['msg']}" for issue in issues[:_ISSUES_NAMED]]
        more = [f"and {len(issues) - _ISSUES_NAMED} more"] if len(issues) > _ISSUES_NAMED else []
        raise PermanentError(f"unreadable ticket: {'; '.join(named + more)}") from error


def _path(location: tuple[int | str, ...]) -> str:
    parts = [str(part) if isinstance(part, int) or _NAME.fullmatch(part) else "(unknown field)" for part in location]
    return ".".join(parts) or "ticket"


def deal_out(messages: Sequence[Dealt]) -> list[Sequence[Dealt]]:
    """Cut what is to be a message each, or ids of messages, into tickets."""
    return [messages[start : start + IDS_PER_TICKET] for start in range(0, len(messages), IDS_PER_TICKET)]


def delays(messages: Iterable[tuple[Message, timedelta]]) -> list[tuple[Sequence[int], timedelta]]:
    """Group messages that wait into tickets, each delayed for the longest wait in it.

    Waits within a ticket differ by a second or a tenth of the wait, whichever is longer: few tickets, and nobody
    waits much longer than drawn. Waits that a queue cannot hold are left out: their `due_at` brings them back.
    """
    groups: list[tuple[list[int], timedelta, timedelta]] = []
    for message, wait in sorted(messages, key=lambda pair: pair[1]):
        if wait > MAX_TICKET_DELAY:
            continue
        if groups:
            ids, shortest, _ = groups[-1]
            if len(ids) < IDS_PER_TICKET and wait - shortest <= max(timedelta(seconds=1), shortest / 10):
                ids.append(message.id)
                groups[-1] = (ids, shortest, wait)
                continue
        groups.append(([message.id], wait, wait))
    return [(ids, longest) for ids, _, longest in groups]
