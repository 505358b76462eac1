from typing import Annotated
from urllib.parse import urlencode

from pydantic import BeforeValidator

from chalicelib.admin.pages import Page, Pages, Visit
from chalicelib.admin.roles import Role
from chalicelib.api.lists import next_cursor, position
from chalicelib.api.message_schemas import MessageStatus
from chalicelib.api.schemas import PageQuery
from chalicelib.bootstrap import application
from chalicelib.domain.message import Reason, Status
from chalicelib.domain.phone import mask

messages = Pages(__name__)


def none_if_blank(value: object) -> object:
    """Read a choice of a form: what is left blank was not chosen."""
    return value or None


def _read_reason(value: object) -> Reason | None:
    if not value:
        return None
    if value not in set(Reason):
        raise ValueError("is no reason that a message has")
    return Reason(str(value))


class MessagesQuery(PageQuery):
    """Which messages of a mailing; what is left blank in the form is not asked for."""

    status: Annotated[MessageStatus | None, BeforeValidator(none_if_blank)] = None
    reason: Annotated[Reason | None, BeforeValidator(_read_reason)] = None


@messages.page("/mailings/{mailing_id}/messages", Role.VIEWER)
def show_messages(mailing_id: str, query: MessagesQuery, visit: Visit) -> Page:
    """Show the messages of a mailing, of one status or reason if asked for."""
    built, status = application(), Status(query.status) if query.status else None
    after = position(visit.request, query)
    page = built.read_messages.of_mailing(mailing_id, status, after, query.limit, query.reason)
    clients = built.clients.get_many({message.client_id for message in page.items})
    asked = {"status": query.status or "", "reason": query.reason or "", "limit": query.limit}
    cursor = next_cursor(visit.request, query, page)
    return Page(
        "messages.html",
        {
            "section": "mailings",
            "mailing_id": mailing_id,
            "query": query,
            "messages": page.items,
            "phones": {client.id: mask(client.phone) for client in clients.values()},
            "next": f"?{urlencode(asked | {'cursor': cursor})}" if cursor else None,
            "statuses": list(Status),
            "reasons": list(Reason),
        },
    )


@messages.page("/messages/{message_id}", Role.VIEWER)
def show_message(message_id: int) -> Page:
    """Show one message: why it is where it is, what happens next and when."""
    built = application()
    message, explanation = built.explain_message(message_id)
    client = built.clients.get(message.client_id)
    return Page(
        "message.html",
        {
            "section": "mailings",
            "message": message,
            "explanation": explanation,
            "phone": mask(client.phone) if client else None,
        },
    )
