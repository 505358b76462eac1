from http import HTTPStatus

from chalice.app import Request

from chalicelib.api.auth import Principal
from chalicelib.api.lists import ListResponse, listed, position
from chalicelib.api.mailing_schemas import (
    ChangeMailingRequest,
    CreateMailingRequest,
    ListMailingsQuery,
    MailingResponse,
    ProcessMailingsResponse,
)
from chalicelib.api.message_schemas import ListMessagesQuery, MessageResponse
from chalicelib.api.preconditions import IfMatch
from chalicelib.api.preview_schemas import PreviewResponse
from chalicelib.api.resource import Accepted, Created, Resource
from chalicelib.api.scopes import Scope
from chalicelib.bootstrap import application
from chalicelib.domain.mailing import Mailing, MailingStatus
from chalicelib.domain.message import Status
from chalicelib.ports import NewId

mailings = Resource(__name__, tag="mailings")


@mailings.post("/mailings", Scope.MAILINGS_WRITE)
def create_mailing(body: CreateMailingRequest, principal: Principal, new_id: NewId) -> Created[MailingResponse]:
    """Create a mailing; it starts at its time, or at once if that has passed; a draft when it is told to.

    Unless it is to be a draft, this needs the scope `mailings:send` too.
    """
    if not body.draft:
        principal.require(Scope.MAILINGS_SEND)
    mailing = application().manage_mailings.create(body.to_new_mailing(), new_id())
    return Created(MailingResponse.of(mailing), f"mailings/{mailing.id}")


@mailings.get("/mailings", Scope.MAILINGS_READ)
def list_mailings(request: Request, query: ListMailingsQuery) -> ListResponse[MailingResponse]:
    """List mailings, newest first."""
    status = MailingStatus(query.status) if query.status else None
    page = application().manage_mailings.page(status, position(request, query), query.limit)
    return listed(request, query, page, MailingResponse.of)


@mailings.post("/mailings/process", Scope.MAILINGS_SEND)
def process_mailings() -> Accepted[ProcessMailingsResponse]:
    """Start whatever is due now. Repeating it changes nothing."""
    return Accepted(ProcessMailingsResponse(mailings=application().start_due()))


@mailings.post("/mailings/preview", Scope.MAILINGS_READ)
def preview_mailing(body: CreateMailingRequest) -> PreviewResponse:
    """Say whom a mailing would reach, in how many parts, for how much. Nothing is stored."""
    return PreviewResponse.of(application().preview_mailing(body.to_new_mailing()))


@mailings.get("/mailings/{mailing_id}", Scope.MAILINGS_READ)
def get_mailing(mailing_id: str) -> MailingResponse:
    """Read a mailing."""
    return MailingResponse.of(application().manage_mailings.get(mailing_id))


@mailings.patch("/mailings/{mailing_id}", Scope.MAILINGS_WRITE, HTTPStatus.CONFLICT)
def change_mailing(
    mailing_id: str, body: ChangeMailingRequest, principal: Principal, if_match: IfMatch
) -> MailingResponse:
    """Change a mailing; 409 where its state does not allow it.

    Unless it is a draft, this needs the scope `mailings:send` too.
    """

    def change(mailing: Mailing) -> Mailing:
        if mailing.status is not MailingStatus.DRAFT:
            principal.require(Scope.MAILINGS_SEND)
        if_match.check(MailingResponse.of(mailing))
        return body.applied_to(mailing)

    return MailingResponse.of(application().manage_mailings.update(mailing_id, change))


@mailings.delete("/mailings/{mailing_id}", Scope.MAILINGS_WRITE, HTTPStatus.CONFLICT)
def delete_mailing(mailing_id: str, if_match: IfMatch) -> None:
    """Delete a mailing."""
    application().manage_mailings.delete(mailing_id, lambda mailing: if_match.check(MailingResponse.of(mailing)))


@mailings.get("/mailings/{mailing_id}/messages", Scope.MAILINGS_READ)
def list_mailing_messages(mailing_id: str, request: Request, query: ListMessagesQuery) -> ListResponse[MessageResponse]:
    """List the messages of a mailing, of one status if asked for."""
    status = Status(query.status) if query.status else None
    page = application().read_messages.of_mailing(mailing_id, status, position(request, query), query.limit)
    return listed(request, query, page, MessageResponse.of)
